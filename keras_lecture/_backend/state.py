"""The state of a model in a pure train step: four lists of variables, in the order of Keras's JAX trainer."""

import keras


def variables(model):
    """Trainable, non-trainable, optimizer and metric variables of `model`."""
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def scope(groups, state, **settings):
    """A `StatelessScope` in which the variables have the values `state`: tensors of their dtypes, or variables.

    `StatelessScope(state_mapping=…)` checks shape and dtype of each, which on PyTorch takes as long as a small layer.
    """
    stateless = keras.StatelessScope(**settings)
    for variables, values in zip(groups, state, strict=True):
        for variable, value in zip(variables, values, strict=True):
            stateless.add_update((variable, value.value if isinstance(value, keras.Variable) else value))
    return stateless


def assign(groups, state):
    """Assigns the values `state` to the variables."""
    for group, values in zip(groups, state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)
