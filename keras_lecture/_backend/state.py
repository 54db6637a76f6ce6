"""A model's state as the pure train step sees it: four lists, in the order of Keras's JAX trainer."""

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
    """A `StatelessScope` in which the variables have the values `state`: tensors of their types, or variables.

    Keras looks at the shape and the type of each one by one, which on PyTorch takes as long as a small layer.
    """
    stateless = keras.StatelessScope(**settings)
    for variables, values in zip(groups, state, strict=True):
        for variable, value in zip(variables, values, strict=True):
            stateless.add_update((variable, value.value if isinstance(value, keras.Variable) else value))
    return stateless


def assign(groups, state):
    """Writes `state` into the variables that it came from."""
    for group, values in zip(groups, state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)
