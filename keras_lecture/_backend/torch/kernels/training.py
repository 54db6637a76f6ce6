"""The small formulas of the train step on PyTorch."""

import torch


def totaled(totals, amounts):
    for total, amount in zip(totals, amounts, strict=True):
        total.value.add_(amount)
    return totals


def means(sums, count):
    return (sums.value / count.value.clamp(min=1.0)).unbind()


def decided(condition):
    return bool(condition)


def snapshot(weights, needed):
    return torch._foreach_clone(list(weights)) if needed is True or bool(needed) else []
