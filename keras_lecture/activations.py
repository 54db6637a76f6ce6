"""Activation functions of the lectures; at a kink, all backends use PyTorch's derivative."""

import keras
from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor

__all__ = ["elu", "leaky_relu", "maxout", "relu", "sigmoid", "softsign", "tanh"]


@register
def sigmoid(x: Tensor) -> Tensor:
    """Maps a score to a probability in (0, 1); it saturates, and its outputs are not zero-centered.

        σ(x) = 1 / (1 + e⁻ˣ),  σ′ = σ·(1 − σ) ≤ ¼

    `sigmoid(-x)` is `1 - sigmoid(x)`.

    Example:
        >>> round(float(keras_lecture.activations.sigmoid(1.0)), 4)
        0.7311

    Reference:
        Decks A, C, D. Deviation: none; the same numbers as `keras.activations.sigmoid`.
    """
    return ops.sigmoid(_floating(x))


@register
def tanh(x: Tensor) -> Tensor:
    """Maps to (−1, 1), zero-centered; it saturates.

        tanh(x) = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ) = 2σ(2x) − 1

    `tanh(x)` is `2 * sigmoid(2 * x) - 1`.

    Example:
        >>> round(float(keras_lecture.activations.tanh(1.0)), 4)
        0.7616

    Reference:
        Decks A, C, D. Deviation: none; the same numbers as `keras.activations.tanh`.
    """
    return ops.tanh(x)


@register
def relu(x: Tensor) -> Tensor:
    """Rectified linear unit: does not saturate for x > 0 and is cheap; a unit with x ≤ 0 for all data is dead.

        relu(x) = max(0, x),  derivative 0 at x = 0

    `relu(x)` is `leaky_relu(x, negative_slope=0)`.

    Example:
        >>> float(keras_lecture.activations.relu(-2.0))
        0.0

    Reference:
        Decks A, C, D. Deviation: none; the same numbers as `keras.activations.relu`.
    """
    return ops.relu(x)


@register
def leaky_relu(x: Tensor, negative_slope: float = 0.1) -> Tensor:
    """ReLU that never dies: a small slope a on the negative side keeps the gradient nonzero.

        leaky_relu(x) = max(a·x, x),  derivative a at x = 0

    a `negative_slope`. `negative_slope=1` is the identity.

    Args:
        negative_slope: Slope a of the negative side, in [0, 1]. Defaults to the slides' `0.1`.

    Example:
        >>> round(float(keras_lecture.activations.leaky_relu(-2.0)), 4)
        -0.2

    Reference:
        Decks A, C. Deviation: none. `keras.activations.leaky_relu` has a = 0.2, and on JAX its derivative at 0 is 1.
    """
    checks.number("leaky_relu", "negative_slope", negative_slope, "[0, 1]")
    return rectified(_floating(x), negative_slope=negative_slope)


@register
def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """Exponential linear unit: smooth, with outputs of mean closer to zero, at the cost of an exponential.

        elu(x) = x for x > 0,  α·(eˣ − 1) for x ≤ 0

    α `alpha`. For large negative x it tends to `-alpha`.

    Args:
        alpha: Depth α > 0 of the negative side. Defaults to `1.0`.

    Example:
        >>> round(float(keras_lecture.activations.elu(-1.0)), 4)
        -0.6321

    Reference:
        Decks A, C. Deviation: none. `keras.activations.elu` subtracts 1 from eˣ on TensorFlow, which rounds a small x
        to 0 in half precision.
    """
    checks.number("elu", "alpha", alpha, "(0, ∞)")
    return exponential(_floating(x), alpha=alpha)


@register
def softsign(x: Tensor) -> Tensor:
    """Maps to (−1, 1) like tanh, but approaches its limits slowly, so that it saturates less.

        softsign(x) = x / (1 + |x|)

    `softsign(-x)` is `-softsign(x)`.

    Example:
        >>> float(keras_lecture.activations.softsign(3.0))
        0.75

    Reference:
        Deck B. Deviation: none. `keras.activations.softsign` is NaN at ±∞, where this one is ±1, and its derivative
        cancels on JAX and PyTorch: its relative error is 10⁻³ at x = 10⁴.
    """
    x = _floating(x)
    side = ops.where(x < 0, -ops.ones_like(x), ops.ones_like(x))
    # The derivative of 1 − 1/(1 + |x|) is 1/(1 + |x|)²; autodiff of x/(1 + |x|) computes it as a difference.
    slope = -side / (1 + side * x)
    value = ops.stop_gradient(ops.where(ops.isinf(x), side, x / (1 + side * x)))
    return value + (slope - ops.stop_gradient(slope))


@register
def maxout(x: Tensor, pieces: int = 2, axis: int = -1) -> Tensor:
    """The maximum over pieces: a learned convex activation that never saturates or dies, at `pieces` times the weights.

        maxout(x)_j = max_k x_(k·n + j),  k = 0 … pieces − 1,  n = channels / pieces

    `axis` holds `pieces` blocks of n channels, one block per piece. `pieces=1` is the identity.

    Args:
        pieces: Number k of linear pieces. Defaults to `2`.
        axis: The channel axis. Defaults to `-1`.

    Returns:
        A tensor with `channels / pieces` channels. On a tie the first piece gets the gradient.

    Example:
        >>> y = keras_lecture.activations.maxout(keras.ops.array([1.0, 5.0, 3.0, 2.0]))
        >>> [float(unit) for unit in y]
        [3.0, 5.0]

    Reference:
        Goodfellow et al., 2013, arXiv:1302.4389, eq. 1–2; decks A, C, D. Deviation from TensorFlow Addons' `Maxout`:
        there the pieces of one output are adjacent channels; here a piece is a block, so that two slices are compared.
    """
    checks.whole("maxout", "pieces", pieces, "[1, ∞)")
    x = _tensor(x)
    checks.rank("maxout", "x", x.shape, 1)
    checks.whole("maxout", "axis", axis, f"[-{len(x.shape)}, {len(x.shape)})")
    channels = x.shape[axis]
    if channels is not None and channels % pieces:
        checks.reject("maxout", "x", f"divisible into pieces={pieces} blocks on axis {axis}", tuple(x.shape))
    return maximum_of_pieces(x, pieces=pieces, axis=axis)


def _tensor(x):
    return x if ops.is_tensor(x) or isinstance(x, keras.KerasTensor) else ops.convert_to_tensor(x)


def _floating(x):
    """`x` as a tensor, with integers as numbers of `floatx`: the frameworks disagree which functions take integers."""
    x = _tensor(x)
    return x if "float" in keras.backend.standardize_dtype(x.dtype) else ops.cast(x, keras.config.floatx())


@accelerate
def rectified(x: Tensor, *, negative_slope: float) -> Tensor:
    return ops.where(x > 0, x, negative_slope * x)


@accelerate
def exponential(x: Tensor, *, alpha: float) -> Tensor:
    negative = ops.where(x > 0, ops.zeros_like(x), x)
    # The frameworks compute the derivative of eˣ − 1 as y + 1 from the result y, which cancels.
    slope = ops.exp(negative)
    value = ops.stop_gradient(ops.expm1(negative)) + (slope - ops.stop_gradient(slope))
    return ops.where(x > 0, x, alpha * value)


@accelerate
def maximum_of_pieces(x: Tensor, *, pieces: int, axis: int) -> Tensor:
    first, *others = ops.split(x, int(pieces), axis=axis)
    for piece in others:
        # Not `ops.maximum`: on a tie JAX and PyTorch give half the gradient to each side. NaN is propagated.
        first = ops.where(ops.logical_or(first >= piece, ops.isnan(first)), first, piece)
    return first
