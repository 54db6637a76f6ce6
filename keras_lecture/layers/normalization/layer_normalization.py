"""Layer normalization with an activation, as on the slide."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core import checks
from keras_lecture._core.saving import plain, register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.inputs import at_least_float32, floating


@accelerate
def layer_normalize(x: Tensor, gamma: Tensor, beta: Tensor, axis: Sequence[int], epsilon: float) -> Tensor:
    """`x` with mean 0 and variance 1 over `axis`, times γ plus β, which may be None."""
    over = {i % len(x.shape) for i in axis}
    shape = [n if i in over else 1 for i, n in enumerate(x.shape)]
    return ops.cast(standardize(at_least_float32(x), axis, gamma, beta, shape, epsilon), x.dtype)


def standardize(
    x: Tensor, axes: Sequence[int], gamma: Tensor, beta: Tensor, weight_shape: Sequence[int], epsilon: float
) -> Tensor:
    """γ·(x − μ)/√(σ² + ε) + β with moments over `axes`; γ and β, which may be None, in the shape `weight_shape`."""
    mean, variance = ops.moments(x, axes, keepdims=True)
    scale = ops.rsqrt(variance + epsilon)
    if gamma is not None:
        scale = scale * ops.cast(ops.reshape(gamma, weight_shape), x.dtype)
    shift = -mean * scale
    if beta is not None:
        shift = shift + ops.cast(ops.reshape(beta, weight_shape), x.dtype)
    return x * scale + shift


@register
class LayerNormalization(keras.layers.LayerNormalization):
    """Normalizes the features of each sample, or of each position of a sequence, and applies an activation.

    Use it in recurrent networks and transformers, where statistics of a batch are not meaningful. It costs one more
    pass over the input, forward and backward, in training and at inference.

        y = f(g/σ ⊙ (a − μ) + b),   σ = √(variance + ε)

    a the input, μ and the variance over `axis`, f `activation`, ε `epsilon`; g and b learned.
    `activation=None` is `keras.layers.LayerNormalization` for the last axis. For other axes Keras 3.15 on PyTorch
    raises an error or, for square inputs, normalizes over the wrong axes.

    Args:
        axis: The axis or axes to normalize over. Defaults to `-1`.
        epsilon: ε > 0. Defaults to `1e-3`.
        activation: f, a name or a function. Defaults to `None`, the identity.
        **kwargs: As in `keras.layers.LayerNormalization`: `center`, `scale`, initializers, regularizers, constraints.

    Example:
        >>> layer = keras_lecture.layers.LayerNormalization(activation="relu")
        >>> [round(v, 2) for v in keras.ops.convert_to_numpy(layer(np.array([[1.0, 3.0]])))[0].tolist()]
        [0.0, 1.0]

    Reference:
        Ba, Kiros and Hinton, 2016, arXiv:1607.06450, eqs. 3 and 4. Deck B. Deviation: ε. Difference from
        `keras.layers.LayerNormalization`: `activation`.
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        *,
        activation: str | Callable[[Tensor], Tensor] | None = None,
        **kwargs: Any,
    ) -> None:
        for one in axis if isinstance(axis, (list, tuple)) else [axis]:
            checks.whole("LayerNormalization", "axis", one, "(-∞, ∞)")
        checks.number("LayerNormalization", "epsilon", epsilon, "(0, ∞)")
        super().__init__(axis=axis, epsilon=epsilon, **kwargs)
        self.activation: Callable[[Tensor], Tensor] = keras.activations.get(activation)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        if math.prod(input_shape[axis] for axis in self.axis) == 1 and not self.rms_scaling:
            remedy = "The output would be `beta`, whatever the input is."
            checks.reject("LayerNormalization", "axis", "axes of more than one value", list(self.axis), remedy)

    def call(self, inputs: Tensor) -> Tensor:
        inputs = floating(inputs, self.compute_dtype)
        if self.rms_scaling:
            outputs = super().call(inputs)
        else:
            outputs = layer_normalize(inputs, self.gamma, self.beta, list(self.axis), self.epsilon)
        return self.activation(ops.cast(outputs, self.compute_dtype))

    def get_config(self) -> dict[str, Any]:
        return plain({**super().get_config(), "activation": keras.activations.serialize(self.activation)})
