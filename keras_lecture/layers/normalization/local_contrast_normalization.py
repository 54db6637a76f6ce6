"""Local contrast normalization: each pixel relative to its neighborhood."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.inputs import at_least_float32


def local_mean(x: Tensor, window: np.ndarray) -> Tensor:
    """Weighted means over the window around each pixel, axis by axis, of channels-last images with one channel.

    At the borders, the weights inside the image are rescaled to sum to 1.
    """
    size = len(window)
    for axis in (1, 2):
        shape = [size if i == axis - 1 else 1 for i in range(2)]
        kernel = ops.reshape(ops.cast(window, x.dtype), (*shape, 1, 1))
        inside = ops.conv(ops.ones_like(x[:1]), kernel, padding="same", data_format="channels_last")
        x = ops.conv(x, kernel, padding="same", data_format="channels_last") / inside
    return x


@register
class LocalContrastNormalization(keras.layers.Layer):
    """Subtracts from each pixel the mean of its neighborhood over all channels, and divides by the standard deviation.

    Use it on images with varying lighting, before the first convolution, or to reproduce networks from before AlexNet.
    It has no weights and costs four one-dimensional convolutions with one channel.

        v = x − Σ w·x,   σ = √(Σ w·v²),   y = v / max(c, σ)

    Σ over the window around a pixel and over the channels, w Gaussian weights of width `size` with Σ w = 1, c `floor`
    or the mean of σ over the image. A constant image becomes zero.

    Args:
        size: Width and height of the window, odd. Defaults to `9`.
        std: Standard deviation of the Gaussian in pixels. Defaults to `None`, `size / 4`.
        floor: The smallest divisor c, > 0. Defaults to `None`, the mean of σ over each image, but at least a thousandth
            of its largest value.
        divisive: Whether to divide; `False` subtracts only. Defaults to `True`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.

    Example:
        >>> layer = keras_lecture.layers.LocalContrastNormalization(3)
        >>> abs(round(float(keras.ops.max(layer(keras.ops.ones((1, 6, 6, 2))))), 2))
        0.0

    Reference:
        Jarrett et al., 2009, ICCV, section 2 (N). Deck B names it in its picture of AlexNet, without a formula.
        Deviation: at the borders, which the paper does not mention, the weights inside the image are rescaled to sum
        to 1. Keras has no such layer.
    """

    def __init__(
        self,
        size: int = 9,
        *,
        std: float | None = None,
        floor: float | None = None,
        divisive: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        owner = "LocalContrastNormalization"
        checks.whole(owner, "size", size)
        if size % 2 == 0:
            checks.reject(owner, "size", "odd", size, "The window is centered on a pixel.")
        if std is not None:
            checks.number(owner, "std", std, "(0, ∞)")
        if floor is not None:
            checks.number(owner, "floor", floor, "(0, ∞)", "0 would divide by zero where an image is constant.")
        checks.boolean(owner, "divisive", divisive)
        checks.one_of(owner, "data_format", data_format, (None, "channels_first", "channels_last"))
        super().__init__(**kwargs)
        self.size = size
        self.std = std
        self.floor = floor
        self.divisive = divisive
        self.data_format: str = data_format or keras.config.image_data_format()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if len(input_shape) != 4:
            checks.reject("LocalContrastNormalization", "inputs", "images, a tensor of 4 axes", tuple(input_shape))

    def call(self, inputs: Tensor) -> Tensor:
        first = self.data_format == "channels_first"
        x = ops.transpose(inputs, (0, 2, 3, 1)) if first else inputs
        x = at_least_float32(x)
        y = x - self._mean(x)
        if self.divisive:
            # The gradient of √0 would be NaN.
            deviation = ops.sqrt(ops.maximum(self._mean(ops.square(y)), 1e-14))
            least = self._mean_deviation(x, deviation) if self.floor is None else self.floor
            y = y / ops.maximum(deviation, least)
        y = ops.cast(y, self.compute_dtype)
        return ops.transpose(y, (0, 3, 1, 2)) if first else y

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "size": self.size,
            "std": self.std,
            "floor": self.floor,
            "divisive": self.divisive,
            "data_format": self.data_format,
        }

    def _mean_deviation(self, x, deviation):
        # In an image without contrast, rounding errors would be amplified to 1.
        largest = ops.max(ops.abs(x), (1, 2, 3), keepdims=True, initial=0.0)
        return ops.maximum(ops.mean(deviation, (1, 2, 3), keepdims=True), 1e-3 * largest + 1e-7)

    def _mean(self, x):
        std = self.size / 4 if self.std is None else self.std
        window = np.exp(-0.5 * np.square((np.arange(self.size) - self.size // 2) / std))
        return local_mean(ops.mean(x, -1, keepdims=True), window / window.sum())
