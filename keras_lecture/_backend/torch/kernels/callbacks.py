"""Measurements of callbacks on PyTorch: one pass over each tensor and few small operations, which cost as much."""

import functools
import math

import torch

from keras_lecture._backend.torch.native import HALF, WHOLE


def square_sums(tensors):
    tensors = list(tensors)
    if _suit_blas(tensors):
        return torch.stack([_square_sum(x) for x in tensors])
    wide = torch.float32 if tensors[0].dtype in HALF else None
    return torch.stack(torch._foreach_norm(tensors, 2, wide)).square_()


def square_sum(tensors):
    return square_sums(tensors).sum()


def step_norms(gradients, old, new, groups, count):
    if _suit_blas([*gradients, *old, *new]):
        return _norms_in_turn(gradients, old, new, groups, count)
    before = square_sums([*gradients, *old])
    # In place: allocating memory costs more than the subtraction.
    torch._foreach_sub_(old, list(new))
    sums = torch.cat([before, square_sums(old)]).view(3, -1)
    if groups is None:
        sums = sums.sum(1, keepdim=True)
    else:
        sums = sums @ _membership(tuple(groups), count, sums.dtype, sums.device)
    gradient, weight, update = sums.sqrt_()
    ratio = torch.where(weight == 0, weight, update / weight)
    return torch.stack([gradient, weight, ratio], dim=1)


def _norms_in_turn(gradients, old, new, groups, count):
    """One weight at a time, while it is in the cache, with Python numbers, which a CPU need not wait for."""
    sums = [[0.0, 0.0, 0.0] for _ in range(1 + (count if groups else 0))]
    for index, (g, w, moved) in enumerate(zip(gradients, old, new, strict=True)):
        squares = _square_sum(g).item(), _square_sum(w).item(), _square_sum(w.sub_(moved)).item()
        for row in (0, 1 + groups[index]) if groups else (0,):
            sums[row] = [total + square for total, square in zip(sums[row], squares, strict=True)]
    norms = [[math.sqrt(total) for total in row] for row in sums]
    rows = [(gradient, weight, update / weight if weight else 0.0) for gradient, weight, update in norms]
    return torch.tensor(rows, dtype=new[0].dtype)


def _suit_blas(tensors):
    # A dot product takes two thirds of the time of a norm and has a tenth of its rounding error for a million numbers.
    return all(x.device.type == "cpu" and x.dtype in WHOLE and x.is_contiguous() for x in tensors)


def _square_sum(x):
    x = x.view(-1)
    return torch.dot(x, x)


@functools.lru_cache(maxsize=32)
def _membership(groups, count, dtype, device):
    """The matrix whose product gives the sums over all tensors and over each group."""
    matrix = torch.zeros((len(groups), 1 + count), dtype=dtype)
    matrix[:, 0] = 1.0
    matrix[torch.arange(len(groups)), torch.tensor(groups) + 1] = 1.0
    return matrix.to(device)


def is_multiple(steps, period):
    return int(steps.value) % period == 0


def largest(tensors):
    return torch.stack(torch._foreach_norm(list(tensors), float("inf"))).max()


def scaled(tensors, factor):
    tensors = list(tensors)
    return torch._foreach_mul(tensors, factor.to(tensors[0].dtype))


def all_finite(tensors):
    # The largest magnitude is not finite exactly if one of the numbers is not, and takes one pass.
    return torch.stack(torch._foreach_norm(list(tensors), float("inf"))).isfinite()
