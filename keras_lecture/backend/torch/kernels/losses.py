"""Losses on PyTorch."""

import torch
from torch.nn import functional

AVERAGES = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


def reduced(loss, y_true, y_pred, sample_weight):
    """The plain mean without the fixed cost of Keras's `Loss.__call__`, which is three times a small cross entropy."""
    plain = (
        sample_weight is None
        and loss.reduction in AVERAGES
        and isinstance(y_true, torch.Tensor)
        and isinstance(y_pred, torch.Tensor)
        and y_true.device == y_pred.device
        and y_pred.dtype == getattr(torch, loss.dtype)
        and y_pred.numel()
        and getattr(y_pred, "_keras_mask", None) is None
    )
    return loss.call(y_true, y_pred).mean() if plain else None


def class_cross_entropy(y_true, scores, *, label_smoothing):
    if not scores.is_cpu or y_true.is_floating_point() and not torch.equal(y_true, y_true.trunc()):
        return None
    if y_true.dim() == scores.dim():
        y_true = y_true.squeeze(-1)
    rows = scores.reshape(-1, scores.shape[-1])
    try:
        losses = functional.cross_entropy(
            # No class is ignored: the default, −100, would silently count as 0.
            rows,
            y_true.reshape(-1).long(),
            reduction="none",
            label_smoothing=label_smoothing,
            ignore_index=-(2**62),
        )
    except IndexError:  # A label that names no class: the formula marks its sample.
        return None
    return losses.reshape(scores.shape[:-1])


def binary_cross_entropy(y, s):
    if not y.is_cpu or not y.numel():
        return None
    low, high = torch.aminmax(y)
    if not (low >= 0 and high <= 1):
        return None
    losses = functional.binary_cross_entropy_with_logits(s, y, reduction="none")
    return losses.mean(-1) if losses.dim() > 1 else losses


def multiclass_hinge(y_true, scores, *, margin):
    if y_true.dim() == scores.dim():
        y_true = y_true.squeeze(-1)
    numbers = y_true.long()
    if not scores.is_cpu or not numbers.numel() or scores.is_meta:
        return None
    low, high = torch.aminmax(numbers)
    if low < 0 or high >= scores.shape[-1] or y_true.is_floating_point() and not torch.equal(numbers, y_true):
        return None
    return _MulticlassHinge.apply(numbers.unsqueeze(-1), scores, margin)


class _MulticlassHinge(torch.autograd.Function):
    """In place on one buffer: the one-hot masks of a naive version are each as large as the scores."""

    @staticmethod
    def forward(ctx, numbers, scores, margin):
        behind = torch.sub(scores, scores.gather(-1, numbers) - margin).clamp_min_(0)
        behind.scatter_(-1, numbers, 0.0)
        ctx.save_for_backward(numbers, behind)
        return behind.sum(-1)

    @staticmethod
    def backward(ctx, upstream):
        numbers, behind = ctx.saved_tensors
        # Each rival that is not far enough behind is pushed down by 1, and the true score up by their number.
        slope = torch.sign(behind)
        slope.scatter_(-1, numbers, -slope.sum(-1, keepdim=True))
        return None, slope.mul_(upstream.unsqueeze(-1)), None
