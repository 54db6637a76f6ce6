"""The small formulas of the train step on PyTorch."""

import torch


def decided(condition):
    return bool(condition)


def snapshot(weights, needed):
    return torch._foreach_clone(list(weights)) if needed is True or bool(needed) else []
