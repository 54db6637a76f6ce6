"""Layers on PyTorch: its native kernels on views that put the channels second."""

import math

import keras
import torch
from torch.nn import functional

from keras_lecture.backend.torch.native import native

# Places of an image that one operation's innermost loop runs over, at the most.
_PLACES = 32
# PyTorch's number for a loss that is neither summed nor averaged.
_EACH = 0


def batch_normalize(x, gamma, beta, axis, epsilon):
    channels = x.shape[axis]
    count = x.numel() // max(channels, 1)
    if not native(x) or count < 2:
        return None
    # (places before, channels, places after): for channels last, a matrix, which is PyTorch's fastest case.
    axis %= x.ndim
    before, after = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    rows = x.reshape(before, channels, after) if after > 1 else x.reshape(before, channels)
    mean, variance = x.new_zeros(channels), x.new_zeros(channels)
    y = functional.batch_norm(
        rows, mean, variance, _weight(gamma, x), _weight(beta, x), training=True, momentum=1.0, eps=epsilon
    )
    # With momentum 1 the running statistics are this batch's, the variance with divisor n − 1.
    return y.reshape(x.shape), mean, variance * ((count - 1) / count)


def group_normalize(x, gamma, beta, groups, axis, epsilon):
    if not native(x) or x.numel() // x.shape[0] <= groups:
        return None
    if axis % x.ndim == x.ndim - 1 and x.device.type == "cpu":
        return _GroupNormalized.apply(x, _filled(gamma, x, 1.0), _filled(beta, x, 0.0), groups, epsilon)
    # Contiguous: version 2.13 crashes in the gradient of its kernel for channels-last images when only the weights
    # need one.
    moved = x.movedim(axis, 1).contiguous()
    y = functional.group_norm(moved, groups, _weight(gamma, x), _weight(beta, x), epsilon)
    return y.movedim(1, axis)


def layer_normalize(x, gamma, beta, axis, epsilon):
    over = sorted(i % x.ndim for i in axis)
    if not native(x) or over != list(range(x.ndim - len(over), x.ndim)):
        return None
    return functional.layer_norm(x, x.shape[over[0] :], _weight(gamma, x), _weight(beta, x), epsilon)


def max_pool(x, pool_size, strides, padding, data_format):
    if not native(x):
        return None
    last = data_format == "channels_last"
    if padding == "same":
        sizes = x.shape[1:-1] if last else x.shape[2:]
        padding = [_same(*each) for each in zip(sizes, pool_size, strides, strict=True)]
    even = all(before == after and 2 * before <= size for (before, after), size in zip(padding, pool_size, strict=True))
    if not even:
        places = [place for pair in reversed(padding) for place in pair]
        x = functional.pad(x, [0, 0, *places] if last else places, value=-math.inf)
    around = [before for before, _ in padding] if even else [0] * len(pool_size)
    moved = x.movedim(-1, 1) if last else x
    if len(pool_size) == 1:
        # As an image of height 1: PyTorch's kernel for sequences does not know channels-last.
        y = functional.max_pool2d(moved.unsqueeze(2), (1, *pool_size), (1, *strides), (0, *around)).squeeze(2)
    else:
        pool = functional.max_pool2d if len(pool_size) == 2 else functional.max_pool3d
        y = pool(moved, pool_size, strides, around)
    return y.movedim(1, -1) if last else y


def leak(x, slope):
    if not native(x):
        return None
    return _Leak.apply(x, slope)


def local_response_normalize(x, size, k, alpha, beta, axis):
    if not native(x) or x.device.type != "cpu":
        return None
    moved = x.movedim(axis, -1)
    return _LocalResponse.apply(moved, _band(moved, size), k, alpha, beta).movedim(-1, axis)


class _Leak(torch.autograd.Function):
    """x + (slope − 1)·min(x, 0), with a gradient that does not store what it can compute."""

    @staticmethod
    def forward(ctx, x, slope):
        ctx.save_for_backward(x, slope)
        return torch.addcmul(x, x.clamp(max=0), slope - 1)

    @staticmethod
    def backward(ctx, gradient):
        x, slope = ctx.saved_tensors
        to_x = torch.addcmul(gradient, gradient * (x <= 0), slope - 1)
        return to_x, (gradient * x.clamp(max=0)).sum_to_size(slope.shape)


class _GroupNormalized(torch.autograd.Function):
    """Channels last, by sums of whole rows: PyTorch sums x² − μ² and x·gradient, which cancel where μ is large.

    PyTorch's squared error is (x − μ)² in one pass, its gradient 2·(x − μ)·gradient. Both go where the result will be:
    a tensor of the input's size that the system must first provide takes longer than any pass over it.
    """

    @staticmethod
    def forward(ctx, x, gamma, beta, groups, epsilon):
        rows = x.reshape(len(x), -1, x.shape[-1])
        mean = _group_means(rows.sum(1), rows, groups)
        y = torch.empty_like(_lines(rows))
        torch.ops.aten.mse_loss.out(_lines(rows), _line(mean, rows), _EACH, out=y)
        scale = (_group_means(y.view(rows.shape).sum(1), rows, groups) + epsilon).rsqrt_()
        slope = scale * gamma
        torch.addcmul(_line(beta - mean * slope, rows), _lines(rows), _line(slope, rows), out=y)
        ctx.save_for_backward(x, gamma, beta, mean, scale)
        ctx.constants = groups, epsilon
        return y.view(x.shape)

    @staticmethod
    def backward(ctx, gradient):
        x, gamma, beta, mean, scale = ctx.saved_tensors
        groups, epsilon = ctx.constants
        if torch.is_grad_enabled():
            # Somebody differentiates this gradient: PyTorch's own knows how.
            y = functional.group_norm(x.movedim(-1, 1), groups, gamma, beta, epsilon).movedim(1, -1)
            return *torch.autograd.grad(y, (x, gamma, beta), gradient, create_graph=True), None, None
        rows, upstream = x.reshape(len(x), -1, x.shape[-1]), gradient.reshape(len(x), -1, x.shape[-1])
        lines, pulled = _lines(rows), _lines(upstream)
        to_x = torch.empty_like(lines)
        torch.ops.aten.mse_loss_backward.grad_input(pulled, lines, _line(mean, rows), _EACH, grad_input=to_x)
        along, total = to_x.view(rows.shape).sum(1) * (scale / 2), upstream.sum(1)
        # scale·(γ·gradient − mean(γ·gradient) − (x − μ)·slope), as a sum of multiples of x and the gradient.
        slope = _group_means(along * gamma, rows, groups) * scale
        offset = slope * mean - _group_means(total * gamma, rows, groups)
        torch.addcmul(_line(scale * offset, rows), lines, _line(-scale * slope, rows), out=to_x)
        to_x.addcmul_(pulled, _line(scale * gamma, rows))
        return to_x.view(x.shape), along.sum(0), total.sum(0), None, None


class _LocalResponse(torch.autograd.Function):
    """The sum over neighbors as a product with a band matrix, and a gradient of the same cost."""

    @staticmethod
    def forward(ctx, x, band, k, alpha, beta):
        s = (x * x).matmul(band).mul_(alpha).add_(k)
        scale = _power(s, beta)
        ctx.save_for_backward(x, band, s, scale)
        ctx.constants = k, alpha, beta
        return x * scale

    @staticmethod
    def backward(ctx, gradient):
        x, band, s, scale = ctx.saved_tensors
        k, alpha, beta = ctx.constants
        if torch.is_grad_enabled():
            # Somebody differentiates this gradient, and would take what was saved for constants.
            s = (x * x).matmul(band) * alpha + k
            scale = s**-beta
            inner = (gradient * x * scale / s).matmul(band.T) * x * (2 * alpha * beta)
            return gradient * scale - inner, None, None, None, None
        inner = (gradient * x).mul_(scale).div_(s).matmul(band.T).mul_(x).mul_(2 * alpha * beta)
        return (gradient * scale).sub_(inner), None, None, None, None


def _group_means(sums, rows, groups):
    """For each sample and channel the mean of its group, from the sums over the places of each channel."""
    means = sums / rows.shape[1]
    if groups < means.shape[1]:
        split = means.view(len(means), groups, -1)
        means = split.mean(-1, keepdim=True).expand_as(split).reshape(means.shape)
    return means


def _lines(rows):
    """Some places of (sample, place, channel) in one row: PyTorch's loops take their time to start."""
    return rows.view(len(rows), -1, math.gcd(rows.shape[1], _PLACES) * rows.shape[2])


def _line(vectors, rows):
    """A number for each channel (and sample), as often as a row of `_lines` wants it."""
    return vectors.repeat(1, math.gcd(rows.shape[1], _PLACES))[:, None]


def _filled(weight, x, value):
    return x.new_full(x.shape[-1:], value) if weight is None else _weight(weight, x)


def _power(s, beta):
    """s^−β; the paper's 0.75 without logarithms."""
    if beta == 0.75:
        root = s.rsqrt()
        return root.sqrt().mul_(root)
    return s.pow(-beta)


def _band(x, size):
    """band[j, c] = 1 where channel j belongs to the window of channel c."""
    channel = torch.arange(x.shape[-1], device=x.device)
    distance = channel[:, None] - channel[None, :]
    return ((distance >= -(size // 2)) & (distance < size - size // 2)).to(x.dtype)


def _same(n, size, stride):
    places = max((-(-n // stride) - 1) * stride + size - n, 0)
    return places // 2, places - places // 2


def _weight(weight, x):
    # Keras's conversion takes longer than a small kernel.
    return None if weight is None else (weight.value if isinstance(weight, keras.Variable) else weight).to(x)
