"""All variables of a compiled model, by group."""

from keras_lecture._training.carried import carried_by
from keras_lecture._training.pipeline import carried

GROUPS = ("trainable", "non_trainable", "optimizer", "metrics")


def groups_of(model) -> dict[str, list]:
    """Weights; statistics and seeds; slots, counters and scales of the optimizer; metrics and readings of callbacks."""
    groups = (
        model.trainable_variables,
        own_non_trainable(model),
        model.optimizer.variables,
        [*model.metrics_variables, *carried(model)],
    )
    return dict(zip(GROUPS, groups, strict=True))


def own_non_trainable(model) -> list:
    """Statistics and seeds, without the readings that the train step carries for callbacks."""
    # Not `carried(model)`: those of a stage that has ended stay in the model until the last stage of its `fit` ends.
    ours = set(map(id, carried_by(model)))
    return [variable for variable in getattr(model, "non_trainable_variables", ()) if id(variable) not in ours]
