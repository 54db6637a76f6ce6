"""Carries the variables of `Readings` through a train step that is a pure function of the model's state, as on JAX.

Keras's JAX trainer passes four lists of variables through a step. Ours are added to the non-trainable ones in the way
the states of seed generators are: Keras neither saves them with the weights nor shows them in `model.metrics`. The
user's own `train_step` does not see them.
"""

import contextlib

from keras_lecture import _backend


class _Carried:
    """Takes the place of a seed generator: Keras reads only its `state`."""

    def __init__(self, variable):
        self.state = variable


def carry(model, variables):
    """Makes the train step of `model` carry exactly these variables from now on."""
    if _backend.PURE_TRAIN_STEP:
        # A private list of Keras 3.15, which saving ignores.
        model._seed_generators[:] = [*_own(model), *map(_Carried, variables)]


def carried_by(model) -> list:
    """The variables that `model` carries now."""
    generators = getattr(model, "_seed_generators", ())
    return [generator.state for generator in generators if isinstance(generator, _Carried)]


@contextlib.contextmanager
def hidden(model):
    """Hides the carried variables from the model inside the block."""
    everything = list(model._seed_generators)
    model._seed_generators[:] = _own(model)
    try:
        yield
    finally:
        model._seed_generators[:] = everything


def split(model, variables, values):
    """Splits the non-trainable `values` into the model's own and those of the carried `variables`.

    Returns both lists and the function that merges them again.
    """
    positions = {id(variable): index for index, variable in enumerate(model.non_trainable_variables)}
    ours = [positions[id(variable)] for variable in variables]
    own = [index for index in range(len(values)) if index not in set(ours)]

    def merge(own_values, carried_values):
        merged = dict(zip([*own, *ours], [*own_values, *carried_values], strict=True))
        return [merged[index] for index in range(len(values))]

    return [values[index] for index in own], [values[index] for index in ours], merge


def _own(model):
    return [generator for generator in model._seed_generators if not isinstance(generator, _Carried)]
