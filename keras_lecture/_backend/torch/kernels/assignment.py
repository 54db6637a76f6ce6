"""Conditional assignment on PyTorch, where the condition is known."""

import torch


def assign_when(condition, variables, values):
    # `ops.cond` would assign every variable to itself if the condition is false.
    if bool(condition):
        # Tensors kept for a gradient would be missed where `keras.RematScope` computes the call a second time.
        with torch.no_grad():
            for variable, value in zip(variables, values(), strict=True):
                variable.assign(value)
    return True
