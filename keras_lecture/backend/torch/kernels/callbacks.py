"""What callbacks measure on PyTorch: one pass over each tensor, and few small operations, which cost as much."""

import functools

import torch

_HALVES = (torch.float16, torch.bfloat16)


def square_sums(tensors):
    tensors = list(tensors)
    wide = torch.float32 if tensors[0].dtype in _HALVES else None
    return torch.stack(torch._foreach_norm(tensors, 2, wide)).square_()


def square_sum(tensors):
    return square_sums(tensors).sum()


def step_norms(gradients, old, new, groups, count):
    before = square_sums([*gradients, *old])
    # In place: fresh memory costs more than the subtraction.
    torch._foreach_sub_(old, list(new))
    sums = torch.cat([before, square_sums(old)]).view(3, -1)
    if groups is None:
        sums = sums.sum(1, keepdim=True)
    else:
        sums = sums @ _membership(tuple(groups), count, sums.dtype, sums.device)
    gradient, weight, update = sums.sqrt_()
    ratio = torch.where(weight == 0, weight, update / weight)
    return torch.stack([gradient, weight, ratio], dim=1)


@functools.lru_cache(maxsize=32)
def _membership(groups, count, dtype, device):
    """What sums over all tensors and over each group by a product."""
    matrix = torch.zeros((len(groups), 1 + count), dtype=dtype)
    matrix[:, 0] = 1.0
    matrix[torch.arange(len(groups)), torch.tensor(groups) + 1] = 1.0
    return matrix.to(device)


def is_multiple(steps, period):
    return int(steps.value) % period == 0


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


def largest(tensors):
    return torch.stack(torch._foreach_norm(list(tensors), float("inf"))).max()


def scaled(tensors, factor):
    tensors = list(tensors)
    return torch._foreach_mul(tensors, factor.to(tensors[0].dtype))


def all_finite(tensors):
    # The largest magnitude is not finite exactly if any number is not, and takes one pass.
    return torch.stack(torch._foreach_norm(list(tensors), float("inf"))).isfinite()
