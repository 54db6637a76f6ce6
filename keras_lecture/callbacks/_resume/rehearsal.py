"""Training that leaves no trace: all that it changes is put back."""

import contextlib

import numpy as np
from keras import ops

from keras_lecture._training.pipeline import carried

_MISSING = object()
# What `fit` leaves on the model beside its variables.
_ATTRIBUTES = ("history", "stop_training", "steps_per_execution", "train_function", "_jax_state", "_jax_state_synced")


@contextlib.contextmanager
def rehearsal(model):
    """Puts back, after an exception too, what training in the block has changed in a built `model`.

    That is every variable of the model, its optimizer, its metrics and its seeds, and what `fit` leaves on the model.
    The values wait on the host.
    """
    attributes = {name: vars(model).get(name, _MISSING) for name in _ATTRIBUTES}
    everything = (*model.variables, *model.optimizer.variables, *model.metrics_variables, *carried(model))
    variables = {id(v): v for v in everything}
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
            # What the first step has built has no value to go back to.
            model.reset_metrics()
            put_back()
