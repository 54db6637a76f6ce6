"""Assigning to variables: a copy of another variable's value, and values that depend on a run-time condition."""

from keras import ops

from keras_lecture._backend import accelerate


@accelerate
def assign_when(condition, variables, values):
    """Assigns the tensors that `values()` returns to `variables` if `condition` holds."""
    values = ops.cond(condition, values, lambda: [v.value for v in variables])
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def assign_copy(variable, value):
    """Assigns `value`, a tensor or a variable, to `variable` in memory of its own.

    Keras 3.15 on JAX keeps the array that it is given. `fit` donates the arrays of its model, so that training one of
    two variables with the same array deletes the value of the other.
    """
    variable.assign(ops.copy(ops.convert_to_tensor(value)))
