"""Losses on PyTorch."""

import torch
from torch.nn import functional

AVERAGES = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


def reduced(loss, y_true, y_pred, sample_weight):
    """The plain mean without the overhead of Keras's `Loss.__call__`, which is three times a small cross entropy."""
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
    numbers, is_class = _class_numbers(y_true, scores)
    if label_smoothing:
        one_hot = torch.zeros_like(scores).scatter_(-1, numbers, 1.0)
        losses = one_hot_cross_entropy(one_hot, scores, label_smoothing=label_smoothing)
    else:
        losses = _ClassCrossEntropy.apply(numbers, scores)
    return torch.where(is_class, losses, float("nan"))


def one_hot_cross_entropy(y_true, scores, *, label_smoothing):
    if y_true.requires_grad:
        return None
    q = y_true.to(scores.dtype)
    if not label_smoothing and q.is_cpu and q.numel():
        largest, numbers = q.max(-1, keepdim=True)
        if torch.all(largest == 1) and torch.count_nonzero(q) == largest.numel():
            return _ClassCrossEntropy.apply(numbers, scores)
    q = (1.0 - label_smoothing) * q + label_smoothing / q.shape[-1] if label_smoothing else q
    return _RowCrossEntropy.apply(q, scores)


class _ClassCrossEntropy(torch.autograd.Function):
    """(m − s_y) + log(1 + Σ_{k≠y} exp(s_k − m) + exp(s_y − m) − 1), m = max s, on one buffer for forward and backward.

    As in the formula, the 1 of the largest score is left out of the sum, and 1 − p_y is the sum of the other p.
    """

    @staticmethod
    def forward(ctx, numbers, scores):
        maximum = scores.amax(-1, keepdim=True)
        behind = scores.gather(-1, numbers) - maximum
        others = torch.sub(scores, maximum).exp_().scatter_(-1, numbers, 0.0)
        u = others.sum(-1, keepdim=True) + behind.expm1()
        ctx.save_for_backward(numbers, scores, others, u)
        return (u.log1p() - behind).squeeze(-1)

    @staticmethod
    def backward(ctx, upstream):
        numbers, scores, others, u = ctx.saved_tensors
        upstream = upstream.unsqueeze(-1)
        if torch.is_grad_enabled():  # Double backward.
            p = scores.softmax(-1)
            return None, upstream * p.scatter_add(-1, numbers, torch.full_like(upstream, -1.0))
        gradient = others * (upstream / (1 + u))
        return None, gradient.scatter_(-1, numbers, -gradient.sum(-1, keepdim=True))


class _RowCrossEntropy(torch.autograd.Function):
    """Σ q·(m − s) + Σ q·log(1 + u).

    The derivative is p·(Σq − q) − q·(1 − p), with 1 − p = u/(1 + u) for the largest score.
    """

    @staticmethod
    def forward(ctx, q, scores):
        gap = scores.amax(-1, keepdim=True) - scores
        top = gap == 0
        e = torch.exp(-gap)
        u = (e - top.to(e.dtype)).sum(-1, keepdim=True) + (top.sum(-1, keepdim=True) - 1)
        total = q.sum(-1, keepdim=True)
        ctx.save_for_backward(q, scores, total, top, e, u)
        # 0·∞ = 0: a score of −∞ excludes its class.
        away = gap.masked_fill_(q == 0, 0.0).mul_(q).sum(-1, keepdim=True)
        return (away + total * u.log1p()).squeeze(-1)

    @staticmethod
    def backward(ctx, upstream):
        q, scores, total, top, e, u = ctx.saved_tensors
        upstream = upstream.unsqueeze(-1)
        if torch.is_grad_enabled():  # Double backward.
            return None, upstream * (scores.softmax(-1) * total - q)
        p = e / (1 + u)
        left = torch.where(top, u / (1 + u), 1 - p).mul_(q)
        return None, p.mul_(total - q).sub_(left).mul_(upstream)


def binary_cross_entropy(y, s):
    # Only for labels 0 and 1, the numbers equal to their squares (a NaN is not): log(1 + e^−s) and log(1 + e^s).
    if not y.is_cpu or y.requires_grad or not torch.equal(y * y, y):
        return None
    losses = functional.softplus(s * (1 - 2 * y))
    return losses.mean(-1) if losses.dim() > 1 else losses


def multiclass_hinge(y_true, scores, *, margin):
    numbers, is_class = _class_numbers(y_true, scores)
    return torch.where(is_class, _MulticlassHinge.apply(numbers, scores, margin), float("nan"))


def _class_numbers(y_true, scores):
    """The class index of each sample, with one further axis, and whether the label is a valid class."""
    if y_true.dim() == scores.dim():
        y_true = y_true.squeeze(-1)
    numbers = y_true.long().clamp(0, scores.shape[-1] - 1)
    return numbers.unsqueeze(-1), numbers == y_true


class _MulticlassHinge(torch.autograd.Function):
    """In place on one buffer; a naive version makes one-hot masks, each of the size of the scores."""

    @staticmethod
    def forward(ctx, numbers, scores, margin):
        # Not `scores − (true − margin)`: next to a score of 10⁸ the margin would be rounded away.
        behind = torch.sub(scores, scores.gather(-1, numbers)).add_(margin).clamp_min_(0)
        behind.scatter_(-1, numbers, 0.0)
        ctx.save_for_backward(numbers, behind)
        return behind.sum(-1)

    @staticmethod
    def backward(ctx, upstream):
        numbers, behind = ctx.saved_tensors
        # The gradient is 1 for each rival score within the margin, and minus their number for the true score.
        slope = torch.sign(behind)
        slope.scatter_(-1, numbers, -slope.sum(-1, keepdim=True))
        return None, slope.mul_(upstream.unsqueeze(-1)), None
