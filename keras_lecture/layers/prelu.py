"""A rectifier with a learned slope for negative inputs."""

import numbers
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core import checks
from keras_lecture._core.saving import plain, register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.inputs import floating


@accelerate
def leak(x: Tensor, slope: Tensor) -> Tensor:
    """`x` where it is positive, `slope·x` elsewhere; `slope` broadcasts against `x`."""
    return ops.where(x > 0, x, slope * x)


@register
class PReLU(keras.layers.PReLU):
    """Rectifier with a learned slope for negative inputs, one slope per channel.

    Use it after a convolution or dense layer in place of ReLU; pair it with `keras_lecture.initializers.Kaiming`. It
    costs one weight per channel.

        y = x       for x > 0
        y = β·x     for x ≤ 0

    β the weight `alpha`. For β ≤ 1 this is max(βx, x). With all β = 0 it is ReLU.

    Args:
        alpha_initializer: Initializer of the slopes, or one number for all of them. Defaults to `0.25`.
        alpha_regularizer: Regularizer of the slopes. Weight decay would pull them toward ReLU. Defaults to `None`.
        alpha_constraint: Constraint of the slopes. Defaults to `None`.
        shared_axes: Axes that share one slope. Defaults to `None`, all but the channels.
        axis: The axis of the channels; `1` for channels-first data. Defaults to `-1`.

    Example:
        >>> layer = keras_lecture.layers.PReLU()
        >>> keras.ops.convert_to_numpy(layer(keras.ops.convert_to_tensor([[-4.0, 2.0]]))).tolist()
        [[-1.0, 2.0]]

    Reference:
        He et al., 2015, arXiv:1502.01852, eq. 1. Decks C, D. The slide writes max(βx, x), which differs for β > 1.
        Differences from `keras.layers.PReLU`: one slope per channel instead of one per unit (`shared_axes=[]` gives
        that), and the paper's initial slope 0.25 instead of 0.
    """

    def __init__(
        self,
        alpha_initializer: float | str | Callable[..., Tensor] = 0.25,
        alpha_regularizer: str | Callable[..., Tensor] | None = None,
        alpha_constraint: str | Callable[..., Tensor] | None = None,
        shared_axes: int | Sequence[int] | None = None,
        *,
        axis: int = -1,
        **kwargs: Any,
    ) -> None:
        checks.whole("PReLU", "axis", axis, "(-∞, ∞)")
        if axis == 0:
            checks.reject("PReLU", "axis", "an axis other than the batch, 0", axis)
        if shared_axes is not None:
            checks.instance("PReLU", "shared_axes", shared_axes, (int, Sequence), "axes, counted from 1, or None")
            # Keras would take −1 for the axis before the last.
            for shared in [shared_axes] if isinstance(shared_axes, int) else shared_axes:
                checks.whole("PReLU", "shared_axes", shared, "[1, ∞)")
        if isinstance(alpha_initializer, numbers.Real):
            alpha_initializer = keras.initializers.Constant(float(alpha_initializer))
        super().__init__(alpha_initializer, alpha_regularizer, alpha_constraint, shared_axes, **kwargs)
        self.axis = axis

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        given = self.shared_axes
        if given is None:
            rank = len(input_shape)
            self.shared_axes: list[int] | None = [i for i in range(1, rank) if i != self.axis % rank]
        super().build(input_shape)
        self.shared_axes = given

    def call(self, inputs: Tensor) -> Tensor:
        inputs = floating(inputs, self.compute_dtype)
        return leak(inputs, ops.cast(self.alpha, inputs.dtype))

    def get_config(self) -> dict[str, Any]:
        return plain({**super().get_config(), "axis": self.axis})
