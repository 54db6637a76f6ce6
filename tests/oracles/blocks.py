"""Independent float64 references of the composite layers, channels first, from PyTorch's functions and NumPy.

Imports nothing of keras_lecture.
"""

import numpy as np
import torch
from torch.nn import functional


def tensor(x):
    return torch.tensor(np.asarray(x, dtype="float64"))


def convolution(x, kernel, stride=1, dilation=1, bias=None):
    """Kernel `(…, inputs, outputs)`, padding "same": of an odd number of places, the larger half comes last."""
    rank = x.ndim - 2
    around = []
    for n, k in zip(x.shape[:1:-1], kernel.shape[rank - 1 :: -1], strict=True):
        places = max((-(-n // stride) - 1) * stride + dilation * (k - 1) + 1 - n, 0)
        around += [places // 2, places - places // 2]
    weight = tensor(np.moveaxis(kernel, (-1, -2), (0, 1)))
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]
    return convolve(
        functional.pad(x, around), weight, None if bias is None else tensor(bias), stride=stride, dilation=dilation
    )


def batch_norm(x, gamma, beta, epsilon=1e-3):
    """By the moments of the batch."""
    return functional.batch_norm(x, None, None, tensor(gamma), tensor(beta), training=True, eps=epsilon)


def bilinear(x, factors):
    """The image of channels-last `x` enlarged, output o at (o + ½)/s − ½, the edge continued."""
    y = np.asarray(x, dtype="float64")
    for axis, s in zip((1, 2), factors, strict=True):
        n = y.shape[axis]
        places = (np.arange(n * s) + 0.5) / s - 0.5
        left = np.floor(places).astype(int)
        share = (places - left).reshape([-1 if a == axis else 1 for a in range(y.ndim)])
        y = (1 - share) * y.take(np.clip(left, 0, n - 1), axis) + share * y.take(np.clip(left + 1, 0, n - 1), axis)
    return y
