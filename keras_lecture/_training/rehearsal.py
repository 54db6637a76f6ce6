"""Training whose effects on a model are undone."""

import contextlib
import itertools

import numpy as np
from keras import ops

from keras_lecture._training.variables import groups_of

_MISSING = object()
# Attributes that `fit` sets on the model.
_ATTRIBUTES = ("history", "stop_training", "steps_per_execution", "train_function", "_jax_state", "_jax_state_synced")


@contextlib.contextmanager
def rehearsal(model):
    """Undoes what training in the block changes in a built `model`, after an exception too.

    Restored are all variables of the model, its optimizer, its metrics and its seeds, and the attributes that `fit`
    sets. The copies of the variables are kept on the host.
    """
    attributes = {name: vars(model).get(name, _MISSING) for name in _ATTRIBUTES}
    variables = {id(v): v for v in itertools.chain(*groups_of(model).values())}
    values = [np.array(ops.convert_to_numpy(v)) for v in variables.values()]

    def put_back():
        for variable, value in zip(variables.values(), values, strict=True):
            variable.assign(value)

    try:
        yield
    finally:
        for name, value in attributes.items():
            if value is not _MISSING:
                setattr(model, name, value)
            elif name in vars(model):
                delattr(model, name)
        put_back()
        if any(id(v) not in variables for v in model.metrics_variables):
            # Metrics that the first step has built had no value before.
            model.reset_metrics()
            put_back()
