"""Independent float64 references of the composite layers, channels first, in PyTorch and NumPy.

Imports nothing from keras_lecture.
"""

import numpy as np
import torch
from torch.nn import functional


def tensor(x):
    return torch.tensor(np.asarray(x, dtype="float64"))


def convolution(x, kernel, stride=1, dilation=1, bias=None):
    """Kernel `(…, inputs, outputs)`, padding "same"; if the total padding is odd, the larger half is at the end."""
    rank = x.ndim - 2
    around = []
    for n, k in zip(x.shape[:1:-1], kernel.shape[rank - 1 :: -1], strict=True):
        width = max((-(-n // stride) - 1) * stride + dilation * (k - 1) + 1 - n, 0)
        around += [width // 2, width - width // 2]
    weight = tensor(np.moveaxis(kernel, (-1, -2), (0, 1)))
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]
    return convolve(
        functional.pad(x, around), weight, None if bias is None else tensor(bias), stride=stride, dilation=dilation
    )


def batch_norm(x, gamma, beta, epsilon=1e-3):
    """Batch normalization by the moments of the batch."""
    return functional.batch_norm(x, None, None, tensor(gamma), tensor(beta), training=True, eps=epsilon)


def bilinear(x, factors):
    """Channels-last `x` enlarged: output o is at (o + ½)/s − ½ of the input, beyond the edge the edge value."""
    y = np.asarray(x, dtype="float64")
    for axis, s in zip((1, 2), factors, strict=True):
        n = y.shape[axis]
        positions = (np.arange(n * s) + 0.5) / s - 0.5
        left = np.floor(positions).astype(int)
        share = (positions - left).reshape([-1 if a == axis else 1 for a in range(y.ndim)])
        y = (1 - share) * y.take(np.clip(left, 0, n - 1), axis) + share * y.take(np.clip(left + 1, 0, n - 1), axis)
    return y
