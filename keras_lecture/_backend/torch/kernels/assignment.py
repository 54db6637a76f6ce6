"""Conditional assignment on PyTorch, where the condition is known."""


def assign_when(condition, variables, values):
    # `ops.cond` would assign every variable to itself if the condition is false.
    if bool(condition):
        for variable, value in zip(variables, values(), strict=True):
            variable.assign(value)
    return True
