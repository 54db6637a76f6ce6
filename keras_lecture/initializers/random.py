"""Random initializers: a fixed standard deviation, or one that preserves the variance of the signal."""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import keras

from keras_lecture._core import checks
from keras_lecture._core.connections import Connections, check_axes, from_shape, from_weight, whole_numbers
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture._core.weights import Weight


@register
class Gaussian(keras.initializers.RandomNormal):
    """Normal weights with the same standard deviation in every layer, either too small or too large.

    Use it to see both fail: with `std=0.01` the signal vanishes within a few layers, with `std=1` tanh units saturate.

        w ~ N(μ, σ²)

    σ `std`, μ `mean`.

    Args:
        std: Standard deviation σ ≥ 0. Defaults to `0.01`.
        mean: Mean μ. Defaults to `0.0`.
        seed: An integer, a `keras.random.SeedGenerator` or `None`, as in Keras: the same integer draws the same numbers
            at each call. Defaults to `None`.

    Example:
        >>> w = keras_lecture.initializers.Gaussian(std=1.0, seed=0)((100, 100))
        >>> round(float(keras.ops.std(w)), 1)
        1.0

    Reference:
        Decks A, B, C. Deviation from `keras.initializers.RandomNormal`: float16 and bfloat16 weights are drawn in
        float32 and rounded.
    """

    def __init__(
        self, std: float = 0.01, *, mean: float = 0.0, seed: int | keras.random.SeedGenerator | None = None
    ) -> None:
        checks.number("Gaussian", "std", std, "[0, ∞)")
        checks.number("Gaussian", "mean", mean, "(-∞, ∞)")
        _check_seed("Gaussian", seed)
        super().__init__(mean=float(mean), stddev=float(std), seed=seed)

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
        return _draw("normal", shape, self.mean, self.stddev, self.seed, dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {"std": config["stddev"], "mean": config["mean"], "seed": config["seed"]}


# A subclass of Keras's VarianceScaling, because `EinsumDense` (and attention, which uses it) passes the axes of its
# kernel only to these.
class _ByFans(keras.initializers.VarianceScaling):
    """Weights of variance `scale`/n, n the fan of `mode`."""

    def __init__(
        self,
        scale: float,
        mode: str,
        distribution: str,
        seed: Any,
        input_axes: Sequence[int] | None,
        output_axes: Sequence[int] | None,
    ) -> None:
        owner = type(self).__name__
        checks.one_of(owner, "mode", mode, ("fan_in", "fan_out", "fan_avg"))
        checks.one_of(owner, "distribution", distribution, ("normal", "uniform"))
        _check_seed(owner, seed)
        input_axes = whole_numbers(owner, "input_axes", input_axes)
        output_axes = whole_numbers(owner, "output_axes", output_axes)
        super().__init__(scale, mode, "uniform", seed, input_axes, output_axes)
        self.distribution = distribution
        self._connections = None

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
        connections = self._connections or self._from_axes(shape)
        fan_in, fan_out = connections.fan_in, connections.fan_out
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        # A kernel smaller than its stride has fans below 1; the fan of an empty kernel is 0.
        return _draw(self.distribution, shape, 0.0, math.sqrt(self.scale / (fan or 1)), self.seed, dtype)

    def for_weight(self, weight: Weight) -> Self:
        """This initializer, with the same seed and the fans of the weight's layer, unless axes were given."""
        if self.input_axes is not None or self.output_axes is not None:
            return self
        fitted = copy.copy(self)
        fitted._connections = from_weight(weight)
        return fitted

    def _from_axes(self, shape) -> Connections:
        check_axes(type(self).__name__, "input_axes", self.input_axes, shape)
        check_axes(type(self).__name__, "output_axes", self.output_axes, shape)
        connections = from_shape(shape)
        given = {"incoming": self.input_axes, "outgoing": self.output_axes}
        return replace(connections, **{name: tuple(axes) for name, axes in given.items() if axes is not None})

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["scale"]
        return config


@register
class Xavier(_ByFans):
    """Weights that preserve the variance of the signal through linear and tanh layers.

    Use it for tanh, softsign and linear layers. The normal distribution is not truncated.

        Var w = 1/n

    n the fan of `mode`: the number of weights into a unit (`"fan_in"`, preserves the signal), out of it (`"fan_out"`,
    preserves the gradient), or the mean of both. `mode="fan_avg", distribution="uniform"` is U(±√6/√(n_in + n_out)).

    A layer passes only a shape to its initializer. This gives the right fans for dense layers and plain convolutions,
    and for `EinsumDense` and attention, which also pass the axes. `initialize(model, Xavier())` gives the right fans
    for all kinds of layers.

    Args:
        mode: `"fan_in"`, `"fan_out"` or `"fan_avg"`. Defaults to `"fan_in"`.
        distribution: `"normal"` or `"uniform"`. Defaults to `"normal"`.
        seed: An integer, a `keras.random.SeedGenerator` or `None`, as in Keras: the same integer draws the same numbers
            at each call. Defaults to `None`.
        input_axes: Axes of the kernel over which the weights into one output unit lie: `(0, 1)` for a depthwise kernel,
            `(0, 1, 3)` for a transposed convolution. By default all but the last.
        output_axes: Axes of the kernel over which the weights out of one input unit lie. By default all but the
            second to last.

    Example:
        >>> w = keras_lecture.initializers.Xavier(seed=0)((400, 100))
        >>> round(float(keras.ops.std(w)), 2)
        0.05

    Reference:
        Glorot and Bengio, 2010, eq. 12 and 16; decks A (which prints σ·1/N for the variance 1/N that it derives), B
        (uniform, eq. 16), C, E. Deviations from `keras.initializers.GlorotNormal`: fan-in by default, no truncation.
    """

    def __init__(
        self,
        mode: str = "fan_in",
        *,
        distribution: str = "normal",
        seed: int | keras.random.SeedGenerator | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(1.0, mode, distribution, seed, input_axes, output_axes)


@register
class Kaiming(_ByFans):
    """Weights that preserve the variance of the signal through ReLU layers, which lose half of it.

    Use it for ReLU, leaky ReLU and parametric ReLU. The normal distribution is not truncated.

        Var w = 2/((1 + a²)·n)

    a `negative_slope`, n the fan of `mode`, as in `Xavier`. `negative_slope=1` is `Xavier`.

    Args:
        mode: `"fan_in"`, `"fan_out"` or `"fan_avg"`. Defaults to `"fan_in"`.
        distribution: `"normal"` or `"uniform"`. Defaults to `"normal"`.
        negative_slope: Slope a of the activation below zero. Defaults to `0.0`, ReLU.
        seed: An integer, a `keras.random.SeedGenerator` or `None`, as in Keras: the same integer draws the same numbers
            at each call. Defaults to `None`.
        input_axes: Axes of the kernel over which the weights into one output unit lie. By default all but the last.
        output_axes: Axes of the kernel over which the weights out of one input unit lie. By default all but the
            second to last.

    Example:
        >>> w = keras_lecture.initializers.Kaiming(seed=0)((200, 100))
        >>> round(float(keras.ops.std(w)), 2)
        0.1

    Reference:
        He et al., 2015, arXiv:1502.01852, eq. 10, 14 and 15; deck C. Deviations from `keras.initializers.HeNormal`: no
        truncation, any slope.
    """

    def __init__(
        self,
        mode: str = "fan_in",
        *,
        distribution: str = "normal",
        negative_slope: float = 0.0,
        seed: int | keras.random.SeedGenerator | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        checks.number("Kaiming", "negative_slope", negative_slope, "[-1000, 1000]")
        super().__init__(2 / (1 + negative_slope**2), mode, distribution, seed, input_axes, output_axes)
        self.negative_slope: float = float(negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {"negative_slope": self.negative_slope, **super().get_config()}


def _draw(distribution: str, shape, mean: float, std: float, seed, dtype) -> Tensor:
    """Random numbers, for half precision drawn in float32: half-precision random bits (bfloat16: 8) cut the tails."""
    dtype = keras.backend.standardize_dtype(dtype)
    wide = "float32" if dtype in ("float16", "bfloat16") else dtype
    if distribution == "normal":
        values = keras.random.normal(shape, mean, std, dtype=wide, seed=seed)
    else:
        limit = math.sqrt(3) * std
        values = keras.random.uniform(shape, mean - limit, mean + limit, dtype=wide, seed=seed)
    return keras.ops.cast(values, dtype)


def _check_seed(owner: str, seed):
    # A saved config holds a SeedGenerator as a dict.
    kinds = (int, dict, keras.random.SeedGenerator, type(None))
    checks.instance(owner, "seed", seed, kinds, "an integer, a keras.random.SeedGenerator or None")
