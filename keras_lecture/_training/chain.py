"""Optimizers that wrap other optimizers: Keras's loss scaling, averages of the weights."""

import keras


def chain(optimizer):
    """Yields the optimizer and those inside it, from the outermost to the innermost."""
    yield optimizer
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
        yield optimizer


def innermost(optimizer):
    """The optimizer that updates the weights."""
    *_, core = chain(optimizer)
    return core


def holds(optimizer, searched) -> bool:
    """Whether `searched` is `optimizer` or one of the optimizers inside it."""
    return any(
        each is searched or any(holds(part, searched) for part in getattr(each, "optimizers", ()))
        for each in chain(optimizer)
    )


def is_fixed(optimizer) -> bool:
    """Whether the learning rate is a number, which can be set, and not a schedule."""
    return isinstance(innermost(optimizer)._learning_rate, keras.Variable)
