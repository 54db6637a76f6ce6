"""Layers on PyTorch: its native kernels on views that put the channels second."""

import math

import keras
import torch
from torch.nn import functional

_NATIVE = (torch.float32, torch.float64)
# Values of the samples that are normalized at a time, and the places of a sample from which on that pays.
_SAMPLES, _PLACES = 2**20, 512


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
    last = axis % x.ndim == x.ndim - 1
    if last and groups == x.shape[-1] and x[0].numel() >= _PLACES * groups and x.device.type == "cpu":
        return _InstanceNormalized.apply(x, _filled(gamma, x, 1.0), _filled(beta, x, 0.0), epsilon)
    moved = x.movedim(axis, 1)
    if groups == x.shape[axis] or x.ndim != 4 or not x.requires_grad:
        # Channels last, PyTorch has a fast kernel for images and several channels a group only, and version 2.13
        # crashes in that kernel's gradient when only the weights need one.
        moved = moved.contiguous()
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


class _InstanceNormalized(torch.autograd.Function):
    """Channels last, some samples at a time, by few long operations: PyTorch would turn all of them around first."""

    @staticmethod
    def forward(ctx, x, gamma, beta, epsilon):
        rows = x.reshape(len(x), -1, x.shape[-1])
        y = torch.empty_like(rows)
        means, scales = rows.new_empty(len(x), 1, x.shape[-1]), rows.new_empty(len(x), 1, x.shape[-1])
        for part, mean, scale, out in _samples(rows, means, scales, y):
            _average(part, out=mean)
            centered = torch.sub(part, mean, out=out)
            torch.rsqrt(_average(centered * centered).add_(epsilon), out=scale)
            torch.addcmul(beta, centered, scale * gamma, out=out)
        ctx.save_for_backward(x, gamma, beta, means, scales)
        ctx.epsilon = epsilon
        return y.view(x.shape)

    @staticmethod
    def backward(ctx, gradient):
        x, gamma, beta, means, scales = ctx.saved_tensors
        if torch.is_grad_enabled():
            # Somebody differentiates this gradient: PyTorch's own knows how.
            y = functional.group_norm(x.movedim(-1, 1), len(gamma), gamma, beta, ctx.epsilon).movedim(1, -1)
            return *torch.autograd.grad(y, (x, gamma, beta), gradient, create_graph=True), None
        rows = x.reshape(len(x), -1, x.shape[-1])
        to_x, upstream = torch.empty_like(rows), gradient.reshape(rows.shape)
        along, shift = torch.empty_like(means), torch.empty_like(means)
        for part, above, mean, scale, out, slope, offset in _samples(rows, upstream, means, scales, to_x, along, shift):
            centered = torch.sub(part, mean, out=out)
            _average(above, out=offset)
            torch.mul(_average(above * centered), scale, out=slope)
            factor = scale * gamma
            out.mul_(slope * scale * -factor).sub_(offset * factor).addcmul_(above, factor)
        places = rows.shape[1]
        return to_x.view(x.shape), along.sum((0, 1)) * places, shift.sum((0, 1)) * places, None


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


def _samples(rows, *others):
    """Slices of all the tensors, with the same samples in each."""
    count = max(1, _SAMPLES // rows[0].numel())
    return zip(*(tensor.split(count) for tensor in (rows, *others)), strict=True)


def _average(rows, out=None):
    """The means over the places of each sample, as a product: PyTorch's own reduction takes twice as long."""
    weights = rows.new_full((1, 1, 1), 1 / rows.shape[1]).expand(len(rows), 1, rows.shape[1])
    return torch.bmm(weights, rows, out=out)


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
    return None if weight is None else keras.ops.convert_to_tensor(weight, keras.backend.standardize_dtype(x.dtype))


def native(x):
    """Half precision keeps its float32 statistics in the formula; symbolic (meta) tensors have no values.

    `torch.compile` fuses the formulas by itself and stops at what reads a value, as the random kernels do.
    """
    return (
        not torch.compiler.is_compiling() and x.dtype in _NATIVE and x.device.type in ("cpu", "cuda") and x.numel() > 0
    )
