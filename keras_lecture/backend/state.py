"""A model's state as the pure train step sees it: four lists, in the order of Keras's JAX trainer."""


def variables(model):
    """Trainable, non-trainable, optimizer and metric variables of `model`."""
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def assign(groups, state):
    """Writes `state` into the variables that it came from."""
    for group, values in zip(groups, state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)
