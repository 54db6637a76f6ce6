"""AlexNet's normalization across neighboring channels."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.inputs import at_least_float32, floating


def local_response_normalize(x: Tensor, size: int, k: float, alpha: float, beta: float, axis: int) -> Tensor:
    """`x / (k + α·Σ x²)^β`, the sum over the `size` channels around each channel, fewer at the ends.

    The sum is a product with a band matrix: summing slices of a padded tensor takes several times as long.
    """
    wide = ops.moveaxis(at_least_float32(x), axis, -1)
    distance = np.subtract.outer(np.arange(wide.shape[-1]), np.arange(wide.shape[-1]))
    band = (distance >= -(size // 2)) & (distance < size - size // 2)
    s = k + alpha * ops.matmul(ops.square(wide), ops.cast(band, wide.dtype))
    return ops.cast(ops.moveaxis(wide * _power(s, beta), -1, axis), x.dtype)


def _power(s, beta):
    """s^−β; the paper's 0.75 without logarithms."""
    if beta == 0.75:
        root = ops.rsqrt(s)
        return root * ops.sqrt(root)
    return ops.power(s, -beta)


@register
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each value by the energy of the neighboring channels: lateral inhibition.

    Use it to reproduce AlexNet and networks of its time; batch normalization has replaced it. It has no weights and
    costs about as much as a small convolution.

        y_c = x_c / (k + α·Σ x_j²)^β,   j from c − ⌊n/2⌋ to c + n − 1 − ⌊n/2⌋, within the channels

    n `size`, k `k`, α `alpha`, β `beta`. `alpha=0, k=1` changes nothing.
    α multiplies the sum, as in the paper; PyTorch and Caffe divide it by n first, so their alpha is n times this one.

    Args:
        size: n, the number of channels in the sum. Defaults to `5`.
        k: Added to the sum, > 0. Defaults to `2.0`.
        alpha: Factor of the sum, ≥ 0. Defaults to `1e-4`.
        beta: The power, ≥ 0. Defaults to `0.75`.
        axis: The axis of the channels; `1` for channels-first data. Defaults to `-1`.

    Example:
        >>> layer = keras_lecture.layers.LocalResponseNormalization(3, k=1.0, alpha=1.0, beta=0.5)
        >>> [round(v, 3) for v in keras.ops.convert_to_numpy(layer(keras.ops.ones((1, 3))))[0].tolist()]
        [0.577, 0.5, 0.577]

    Reference:
        Krizhevsky et al., 2012, section 3.3. Deck B. Deviation: none. Keras has no such layer;
        `tf.nn.local_response_normalization(x, depth_radius=2, bias=k, alpha, beta)` is this one.
    """

    def __init__(
        self,
        size: int = 5,
        *,
        k: float = 2.0,
        alpha: float = 1e-4,
        beta: float = 0.75,
        axis: int = -1,
        **kwargs: Any,
    ) -> None:
        owner = "LocalResponseNormalization"
        checks.whole(owner, "size", size)
        checks.number(owner, "k", k, "(0, ∞)", "0 would divide by zero where all neighbors are zero.")
        checks.number(owner, "alpha", alpha, "[0, ∞)")
        checks.number(owner, "beta", beta, "[0, ∞)")
        checks.whole(owner, "axis", axis, "(-∞, ∞)")
        super().__init__(**kwargs)
        self.size = size
        self.k = k
        self.alpha = alpha
        self.beta = beta
        self.axis = axis
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[self.axis] is None:
            checks.reject("LocalResponseNormalization", "axis", "an axis of known size", self.axis)

    def call(self, inputs: Tensor) -> Tensor:
        inputs = floating(inputs, self.compute_dtype)
        return local_response_normalize(inputs, self.size, self.k, self.alpha, self.beta, self.axis)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "size": self.size,
            "k": self.k,
            "alpha": self.alpha,
            "beta": self.beta,
            "axis": self.axis,
        }
