"""Bilinear interpolation as the initial kernel of a transposed convolution."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lecture._core import checks
from keras_lecture._core.connections import whole_numbers
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture._core.weights import Weight


@register
class Bilinear(keras.initializers.Initializer):
    """The kernel with which a transposed convolution upsamples its input by linear interpolation.

    Use it as the `kernel_initializer` of `Conv1DTranspose`, `Conv2DTranspose` and `Conv3DTranspose` in segmentation and
    generation: upsampling starts as interpolation and is then trained.

        w[i, j] = t(i)·t(j),    t(i) = max(0, 1 − |i − (K − 1)/2|/s)

    K the kernel size, s `strides`. With padding `"valid"`, output o is the input at (o − (K − 1)/2)/s, and the input is
    zero outside; s=2, K=4 samples at the pixel centers. Every output channel interpolates the input channel of the same
    index, or the only one.

    Args:
        strides: Strides s of the layer, one whole number or one per axis; the kernel needs K ≥ 2s − 1. By default the
            largest possible, ⌊(K + 1)/2⌋; `initialize(model, Bilinear(), where=…)` reads them from the layer.

    Example:
        >>> layer = keras.layers.Conv1DTranspose(1, 3, 2, kernel_initializer=keras_lecture.initializers.Bilinear())
        >>> y = layer(keras.ops.convert_to_tensor([[[1.0], [3.0]]]))
        >>> keras.ops.convert_to_numpy(y)[0, :, 0].tolist()
        [0.5, 1.0, 2.0, 3.0, 1.5]

    Reference:
        Long et al., 2015, arXiv:1411.4038, section 3.3; deck B. Deviation from their Caffe filler: channels are not
        mixed, and a kernel larger than 2s interpolates too.
    """

    def __init__(self, strides: int | Sequence[int] | None = None) -> None:
        self.strides: list[int] = whole_numbers("Bilinear", "strides", strides, "[1, ∞)")

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
        checks.rank("Bilinear", "shape", shape, 3, "Use it for the kernels of transposed convolutions.")
        *space, outputs, inputs = shape
        if inputs not in (1, outputs):
            remedy = "The layer needs as many filters as its input has channels, or an input with one channel."
            checks.reject("Bilinear", "shape", "(…, channels, channels) or (…, channels, 1)", tuple(shape), remedy)
        strides = self.strides or [(size + 1) // 2 for size in space]
        strides = strides * len(space) if len(strides) == 1 else strides
        if len(strides) != len(space):
            checks.reject("Bilinear", "strides", f"one whole number or {len(space)} of them", self.strides)
        triangles = [_triangle(size, stride) for size, stride in zip(space, strides, strict=True)]
        pixel = math.prod(np.ix_(*triangles))[..., None, None]
        channels = np.eye(outputs) if inputs == outputs else np.ones((outputs, 1))
        return keras.ops.convert_to_tensor(pixel * channels, keras.backend.standardize_dtype(dtype))

    def for_weight(self, weight: Weight) -> "Bilinear":
        """This initializer with the strides of the weight's layer, unless they were given."""
        return Bilinear(self.strides or getattr(weight.layer, "strides", None))

    def get_config(self) -> dict[str, Any]:
        return {"strides": self.strides}


def _triangle(size: int, stride: int) -> np.ndarray:
    """A triangular kernel: copies shifted by multiples of `stride` sum to one wherever they fully overlap."""
    if size < 2 * stride - 1:
        remedy = f"Stride {stride} with a smaller kernel leaves gaps between the pixels."
        checks.reject("Bilinear", "kernel_size", f"at least {2 * stride - 1}", size, remedy)
    return np.maximum(0, 1 - np.abs(np.arange(size) - (size - 1) / 2) / stride)
