"""Assignments that wait for a condition, on PyTorch, which can ask it."""


def assign_when(condition, variables, values):
    # Not `ops.cond`, which would assign every variable to itself where the condition does not hold.
    if bool(condition):
        for variable, value in zip(variables, values(), strict=True):
            variable.assign(value)
    return True
