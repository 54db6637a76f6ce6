"""Layers by PyTorch's native kernels, on views with the channels second."""

import math

import keras
import torch
import torch.distributed
from torch.nn import functional

from keras_lecture._backend.torch.native import HALF, WHOLE, native


def batch_normalize(x, gamma, beta, axis, epsilon):
    """The layer call takes 3.4 times as long with the formula (docs/benchmarks/layers.md)."""
    channels = x.shape[axis]
    count = x.numel() // max(channels, 1)
    if not native(x) or count < 2:
        return None
    # (before, channels, after); with channels last a matrix, which is PyTorch's fastest case.
    axis %= x.ndim
    before, after = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    rows = x.reshape(before, channels, after) if after > 1 else x.reshape(before, channels)
    mean, variance = x.new_zeros(channels), x.new_zeros(channels)
    y = functional.batch_norm(
        rows, mean, variance, _weight(gamma, x), _weight(beta, x), training=True, momentum=1.0, eps=epsilon
    )
    # With momentum 1 the running statistics are this batch's, the variance with divisor n − 1.
    return y.reshape(x.shape), mean, variance * ((count - 1) / count)


def total_over_devices(tensors):
    if not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1:
        return None
    return [_AllReduce.apply(tensor) for tensor in tensors]


def group_normalize(x, gamma, beta, groups, axis, epsilon):
    """PyTorch's kernel on centered values, because it computes the variance as E[x²] − μ².

    Not measured; the kernel before it was 1.5 to 3.4 times as fast as the formula.
    """
    if not native(x) or x.numel() // x.shape[0] <= groups:
        return None
    moved = x.movedim(axis, 1)
    split = moved.detach().unflatten(1, (groups, -1))
    mean = split.mean([2, *range(3, split.ndim)], keepdim=True)
    # A shift does not change the result, so that the mean needs no gradient.
    centered = moved - mean.expand(*split.shape[:3], *[1] * (split.ndim - 3)).flatten(1, 2)
    if not centered.requires_grad:
        # PyTorch 2.13 crashes in the gradient for channels-last images if only the weights need one.
        centered = centered.contiguous()
    y = functional.group_norm(centered, groups, _weight(gamma, x), _weight(beta, x), epsilon)
    return y.movedim(1, axis)


def layer_normalize(x, gamma, beta, axis, epsilon):
    """The layer call takes 6.9 times as long with the formula (docs/benchmarks/layers.md)."""
    over = sorted(i % x.ndim for i in axis)
    if not native(x) or over != list(range(x.ndim - len(over), x.ndim)):
        return None
    return functional.layer_norm(x, x.shape[over[0] :], _weight(gamma, x), _weight(beta, x), epsilon)


def max_pool(x, pool_size, strides, padding, data_format):
    """The layer call takes 5 to 8 times as long with windows of `keras.ops` (docs/benchmarks/layers.md)."""
    # A maximum needs no wider type.
    if not native(x, (*WHOLE, *HALF)):
        return None
    last = data_format == "channels_last"
    if padding == "same":
        sizes = x.shape[1:-1] if last else x.shape[2:]
        padding = [_same(*each) for each in zip(sizes, pool_size, strides, strict=True)]
    even = all(before == after and 2 * before <= size for (before, after), size in zip(padding, pool_size, strict=True))
    if not even:
        widths = [width for pair in reversed(padding) for width in pair]
        x = functional.pad(x, [0, 0, *widths] if last else widths, value=-math.inf)
    around = [before for before, _ in padding] if even else [0] * len(pool_size)
    moved = x.movedim(-1, 1) if last else x
    if len(pool_size) == 1:
        # As an image of height 1: PyTorch's kernel for sequences has no channels-last format.
        y = functional.max_pool2d(moved.unsqueeze(2), (1, *pool_size), (1, *strides), (0, *around)).squeeze(2)
    else:
        pool = functional.max_pool2d if len(pool_size) == 2 else functional.max_pool3d
        y = pool(moved, pool_size, strides, around)
    return y.movedim(1, -1) if last else y


def leak(x, slope):
    """PyTorch's kernel for one slope per channel. Not measured; the kernel before it was 2.4 times as fast."""
    channels = [axis - slope.ndim for axis, n in enumerate(slope.shape) if n != 1] or [-1]
    if not native(x) or len(channels) != 1 or x.ndim < 2:
        return None
    return functional.prelu(x.movedim(channels[0], 1), slope.reshape(-1)).movedim(1, channels[0])


def _same(n, size, stride):
    width = max((-(-n // stride) - 1) * stride + size - n, 0)
    return width // 2, width - width // 2


def _weight(weight, x):
    # Keras's `convert_to_tensor` takes longer than a small kernel.
    return None if weight is None else (weight.value if isinstance(weight, keras.Variable) else weight).to(x)


class _AllReduce(torch.autograd.Function):
    """The sum over the processes of the default group; the gradient of a sum of all losses is summed alike."""

    @staticmethod
    def forward(context, x):
        total = x.detach().clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context, upstream):
        return _AllReduce.apply(upstream)
