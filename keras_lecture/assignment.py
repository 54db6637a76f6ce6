"""Assignments that wait for a condition only the data know."""

from keras import ops

from keras_lecture.backend import accelerate


@accelerate
def assign_when(condition, variables, values):
    """Assigns the tensors that `values()` returns to `variables` if `condition` holds."""
    values = ops.cond(condition, values, lambda: [v.value for v in variables])
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
