"""Random weights: of a given spread, or of the spread that keeps a signal's variance."""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace

import keras

from keras_lecture._core import checks
from keras_lecture._core.connections import Connections, check_axes, from_shape, from_weight, whole_numbers
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture._core.weights import Weight


@register
class Gaussian(keras.initializers.RandomNormal):
    """Normal weights of a spread that does not know the layer: too small, or too large.

    Use it to see both fail: with `std=0.01` the signal dies within a few layers, with `std=1` tanh units saturate.

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

    def __init__(self, std: float = 0.01, *, mean: float = 0.0, seed=None):
        checks.number("Gaussian", "std", std, "[0, ∞)")
        checks.number("Gaussian", "mean", mean, "(-∞, ∞)")
        _check_seed("Gaussian", seed)
        super().__init__(mean=float(mean), stddev=float(std), seed=seed)

    def __call__(self, shape, dtype=None):
        return _draw("normal", shape, self.mean, self.stddev, self.seed, dtype)

    def get_config(self):
        config = super().get_config()
        return {"std": config["stddev"], "mean": config["mean"], "seed": config["seed"]}


# A subclass of Keras's VarianceScaling, because to these alone `EinsumDense` (and attention, which is made of it) tells
# the axes of its kernel.
class _ByFans(keras.initializers.VarianceScaling):
    """Weights of variance `scale`/n, n the number of connections that `mode` names."""

    def __init__(self, scale, mode, distribution, seed, input_axes, output_axes):
        owner = type(self).__name__
        checks.one_of(owner, "mode", mode, ("fan_in", "fan_out", "fan_avg"))
        checks.one_of(owner, "distribution", distribution, ("normal", "uniform"))
        _check_seed(owner, seed)
        input_axes = whole_numbers(owner, "input_axes", input_axes)
        output_axes = whole_numbers(owner, "output_axes", output_axes)
        super().__init__(scale, mode, "uniform", seed, input_axes, output_axes)
        self.distribution = distribution
        self._connections = None

    def __call__(self, shape, dtype=None):
        connections = self._connections or self._from_axes(shape)
        fan_in, fan_out = connections.fan_in, connections.fan_out
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        # A kernel smaller than its stride has fans below 1; one without entries has none.
        return _draw(self.distribution, shape, 0.0, math.sqrt(self.scale / (fan or 1)), self.seed, dtype)

    def for_weight(self, weight: Weight):
        """This initializer with the fans that the weight's layer knows, unless the user gave axes; of the same seed."""
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

    def get_config(self):
        config = super().get_config()
        del config["scale"]
        return config


@register
class Xavier(_ByFans):
    """Weights that keep the variance of a signal on its way through linear and tanh layers.

    Use it for tanh, softsign and linear layers. The normal distribution is a plain one, without truncation.

        Var w = 1/n

    n the fan of `mode`: the weights that enter one unit (`"fan_in"`, keeps the signal), that leave one (`"fan_out"`,
    keeps the gradient), or the mean of both. `mode="fan_avg", distribution="uniform"` is U(±√6/√(n_in + n_out)).

    A layer shows its initializer a shape and nothing else. From it the fans are right for dense layers and plain
    convolutions, and for `EinsumDense` and attention, which also show the axes. For all kinds of layers they are
    right with `initialize(model, Xavier())`.

    Args:
        mode: `"fan_in"`, `"fan_out"` or `"fan_avg"`. Defaults to `"fan_in"`.
        distribution: `"normal"` or `"uniform"`. Defaults to `"normal"`.
        seed: An integer, a `keras.random.SeedGenerator` or `None`, as in Keras: the same integer draws the same numbers
            at each call. Defaults to `None`.
        input_axes: Axes of the kernel that enter one output unit: `(0, 1)` for a depthwise kernel, `(0, 1, 3)` for a
            transposed convolution. By default all but the last.
        output_axes: Axes of the kernel that leave one input unit. By default all but the last but one.

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
        seed=None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ):
        super().__init__(1.0, mode, distribution, seed, input_axes, output_axes)


@register
class Kaiming(_ByFans):
    """Weights that keep the variance of a signal on its way through ReLU layers, which drop half of it.

    Use it for ReLU, leaky ReLU and parametric ReLU. The normal distribution is a plain one, without truncation.

        Var w = 2/((1 + a²)·n)

    a `negative_slope`, n the fan of `mode`, of which `Xavier` tells more. `negative_slope=1` is `Xavier`.

    Args:
        mode: `"fan_in"`, `"fan_out"` or `"fan_avg"`. Defaults to `"fan_in"`.
        distribution: `"normal"` or `"uniform"`. Defaults to `"normal"`.
        negative_slope: Slope a of the activation below zero. Defaults to `0.0`, ReLU.
        seed: An integer, a `keras.random.SeedGenerator` or `None`, as in Keras: the same integer draws the same numbers
            at each call. Defaults to `None`.
        input_axes: Axes of the kernel that enter one output unit. By default all but the last.
        output_axes: Axes of the kernel that leave one input unit. By default all but the last but one.

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
        seed=None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ):
        checks.number("Kaiming", "negative_slope", negative_slope, "[-1000, 1000]")
        super().__init__(2 / (1 + negative_slope**2), mode, distribution, seed, input_axes, output_axes)
        self.negative_slope = float(negative_slope)

    def get_config(self):
        return {"negative_slope": self.negative_slope, **super().get_config()}


def _draw(distribution: str, shape, mean: float, std: float, seed, dtype) -> Tensor:
    """Half precision is drawn in float32: its own random bits are too coarse for the tails (bfloat16 has 8)."""
    dtype = keras.backend.standardize_dtype(dtype)
    wide = "float32" if dtype in ("float16", "bfloat16") else dtype
    if distribution == "normal":
        values = keras.random.normal(shape, mean, std, dtype=wide, seed=seed)
    else:
        limit = math.sqrt(3) * std
        values = keras.random.uniform(shape, mean - limit, mean + limit, dtype=wide, seed=seed)
    return keras.ops.cast(values, dtype)


def _check_seed(owner: str, seed):
    # A dict is a SeedGenerator in a saved config.
    kinds = (int, dict, keras.random.SeedGenerator, type(None))
    checks.instance(owner, "seed", seed, kinds, "an integer, a keras.random.SeedGenerator or None")
