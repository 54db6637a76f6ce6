"""Local contrast normalization: each place of an image against its neighborhood."""

import keras
import numpy as np
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor


def local_mean(x: Tensor, window) -> Tensor:
    """Weighted means of channels-last images of one channel over the window around each place, axis by axis.

    At the borders the weights inside the image count alone, and sum to 1 again.
    """
    size = len(window)
    for axis in (1, 2):
        shape = [size if i == axis - 1 else 1 for i in range(2)]
        kernel = ops.reshape(ops.cast(window, x.dtype), (*shape, 1, 1))
        inside = ops.conv(ops.ones_like(x[:1]), kernel, padding="same", data_format="channels_last")
        x = ops.conv(x, kernel, padding="same", data_format="channels_last") / inside
    return x


@register
class LocalContrastNormalization(keras.Layer):
    """Subtracts from each place the mean of its neighborhood, over all channels, and divides by the deviation.

    Use it on images whose lighting varies, before the first convolution, or to rebuild networks before AlexNet. It has
    no weights and costs four one-dimensional convolutions with one channel.

        v = x − Σ w·x,   σ = √(Σ w·v²),   y = v / max(c, σ)

    Σ over the window around a place and over the channels, w Gaussian weights of width `size` with Σ w = 1, c `floor`
    or the mean of σ over the image. A constant image becomes zero.

    Args:
        size: Width and height of the window, odd. Defaults to `9`.
        std: Standard deviation of the Gaussian in pixels. Defaults to `None`, `size / 4`.
        floor: The least divisor c, > 0. Defaults to `None`, the mean of σ over each image, but at least a thousandth of
            its largest value.
        divisive: Whether to divide; `False` subtracts only. Defaults to `True`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.

    Example:
        >>> layer = keras_lecture.layers.LocalContrastNormalization(3)
        >>> abs(round(float(keras.ops.max(layer(keras.ops.ones((1, 6, 6, 2))))), 2))
        0.0

    Reference:
        Jarrett et al., 2009, ICCV, section 2 (N). Deck B names it in its picture of AlexNet, without a formula.
        Deviation: at the borders, of which the paper does not speak, the weights inside the image are scaled to sum to
        1. Keras has no such layer.
    """

    def __init__(
        self,
        size: int = 9,
        *,
        std: float | None = None,
        floor: float | None = None,
        divisive: bool = True,
        data_format: str | None = None,
        **kwargs,
    ):
        owner = "LocalContrastNormalization"
        checks.whole(owner, "size", size)
        if size % 2 == 0:
            checks.reject(owner, "size", "odd", size, "The window has a place in its middle.")
        if std is not None:
            checks.number(owner, "std", std, "(0, ∞)")
        if floor is not None:
            checks.number(owner, "floor", floor, "(0, ∞)", "0 would divide by zero where an image is even.")
        checks.boolean(owner, "divisive", divisive)
        checks.one_of(owner, "data_format", data_format, (None, "channels_first", "channels_last"))
        super().__init__(**kwargs)
        self.size, self.std, self.floor, self.divisive = size, std, floor, divisive
        self.data_format = data_format or keras.config.image_data_format()

    def build(self, input_shape):
        if len(input_shape) != 4:
            checks.reject("LocalContrastNormalization", "inputs", "images, a tensor of 4 axes", tuple(input_shape))

    def call(self, inputs):
        first = self.data_format == "channels_first"
        x = ops.transpose(inputs, (0, 2, 3, 1)) if first else inputs
        # Squares leave the range of float16.
        x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
        y = x - self._mean(x)
        if self.divisive:
            # The gradient of √0 is not a number.
            deviation = ops.sqrt(ops.maximum(self._mean(ops.square(y)), 1e-14))
            least = self._mean_deviation(x, deviation) if self.floor is None else self.floor
            y = y / ops.maximum(deviation, least)
        y = ops.cast(y, self.compute_dtype)
        return ops.transpose(y, (0, 3, 1, 2)) if first else y

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "std": self.std,
            "floor": self.floor,
            "divisive": self.divisive,
            "data_format": self.data_format,
        }

    def _mean_deviation(self, x, deviation):
        # An image without contrast: roundings are not to be raised to 1.
        largest = ops.max(ops.abs(x), (1, 2, 3), keepdims=True, initial=0.0)
        return ops.maximum(ops.mean(deviation, (1, 2, 3), keepdims=True), 1e-3 * largest + 1e-7)

    def _mean(self, x):
        std = self.size / 4 if self.std is None else self.std
        window = np.exp(-0.5 * np.square((np.arange(self.size) - self.size // 2) / std))
        return local_mean(ops.mean(x, -1, keepdims=True), window / window.sum())
