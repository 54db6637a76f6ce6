"""Subtraction of the training mean, per channel or per pixel."""

from typing import Any

import keras
import numpy as np

from keras_lecture._core import checks
from keras_lecture._core.saving import plain, register
from keras_lecture._core.types import Tensor
from keras_lecture.layers.augmentation._preparation import Preparation
from keras_lecture.layers.normalization._one_pass import given, moments, squares, statistic


@register
class ZeroCenter(Preparation):
    """Subtracts the mean of the training data from every input, in training and at inference.

    Use it as the first layer: with all-positive inputs the gradients of a neuron's weights all have the same sign, and
    training zig-zags. Call `adapt(training_data)` first, which takes one pass, or give the mean. It costs one
    subtraction per value.

        y = x − μ            or, with `unit_variance=True`,            y = (x − μ)/σ

    μ, σ mean and standard deviation (divisor n) over the training data, of each channel (`per="channel"`) or of each
    value of a sample (`per="pixel"`). Where σ is zero, as at the border of digits, the divisor is 1. After `adapt` the
    training data have mean 0 and, with `unit_variance=True`, variance 1.

    Args:
        per: `"channel"` for one mean per channel, or `"pixel"` for one mean per value of a sample; then all inputs must
            have the same size. Defaults to `"channel"`.
        unit_variance: Whether to divide by the standard deviation. Defaults to `False`.
        mean: μ, instead of `adapt`: one number, or one per channel or per value of a sample. Defaults to `None`.
        deviation: σ > 0, like `mean`, for `unit_variance=True`. Defaults to `None`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.

    Example:
        >>> layer = keras_lecture.layers.ZeroCenter(unit_variance=True)
        >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
        >>> keras.ops.convert_to_numpy(layer(keras.ops.convert_to_tensor([[3.0, 10.0]]))).tolist()
        [[1.0, -1.0]]

    Reference:
        Krizhevsky et al., 2012 (AlexNet), section 2: "subtracting the mean activity over the training set from each
        pixel" is `per="pixel"`; VGG, arXiv:1409.1556, section 2.1, subtracts per channel. Decks A, B, C. Deviation:
        none. Differences from `keras.layers.Normalization`: the mean alone or with the variance; statistics in float64
        (Keras sums batches in float32); a constant value is divided by 1, not by 10⁻⁷; a call before `adapt` is an
        error, not the identity; a new `adapt` takes effect in a model that is already compiled. A `tf.data` pipeline
        that was built before keeps the old statistics with PyTorch and JAX: call `ds.map(layer)` again.
    """

    def __init__(
        self,
        per: str = "channel",
        *,
        unit_variance: bool = False,
        mean: float | Tensor | None = None,
        deviation: float | Tensor | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        ranks = (0, 1) if per == "channel" else range(4)
        checks.one_of("ZeroCenter", "per", per, ("channel", "pixel"))
        checks.boolean("ZeroCenter", "unit_variance", unit_variance)
        if mean is not None:
            mean = given("ZeroCenter", "mean", mean, *ranks)
        if (deviation is None) != (mean is None or not unit_variance):
            expectation = "given together with `mean` for `unit_variance=True`, and only then"
            checks.reject("ZeroCenter", "deviation", expectation, deviation)
        if deviation is not None:
            deviation = given("ZeroCenter", "deviation", deviation, *ranks)
            if np.min(deviation) <= 0:
                checks.reject("ZeroCenter", "deviation", "in (0, ∞)", deviation)
        checks.one_of("ZeroCenter", "data_format", data_format, (None, "channels_first", "channels_last"))
        super().__init__(**kwargs)
        self.per = per
        self.unit_variance = unit_variance
        self.data_format: str = data_format or keras.config.image_data_format()
        self._given = {"mean": mean, "deviation": deviation}
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        checks.rank("ZeroCenter", "inputs", input_shape, 2)
        # A leading channel axis broadcasts against the axes after it.
        after = len(input_shape) - 2 if self.data_format == "channels_first" else 0
        shape = tuple(input_shape[1:]) if self.per == "pixel" else (input_shape[self._axis],)
        if None in shape:
            checks.reject("ZeroCenter", "inputs", f'of known size with per="{self.per}"', tuple(input_shape))
        for name, value in self._given.items():
            if np.ndim(value):
                checks.same_shape("ZeroCenter", name, np.shape(value), shape)
        self._after = (1,) * after if self.per == "channel" else ()
        self.mean: keras.Variable = statistic("mean", shape, self.variable_dtype, self._given["mean"])
        if self.unit_variance:
            given_deviation = self._given["deviation"]
            self.deviation: keras.Variable = statistic("deviation", shape, self.variable_dtype, given_deviation)

    def adapt(self, data: Any, *, verbose: int = 0) -> None:
        """Computes the mean of `data`, and with `unit_variance=True` the standard deviation, in one pass.

        `data` is an array of samples, or a `tf.data.Dataset`, a `PyDataset`, a PyTorch `DataLoader` or a generator of
        batches of samples, or a list of such batches. In a tuple of arrays, and in a batch that is a tuple or a list,
        the samples come first. `verbose=1` shows a progress bar.
        """
        found, shape = moments("ZeroCenter", data, self._rows, squares, verbose)
        if not self.built:
            self.build(shape)
        expected = self.mean.shape
        checks.same_shape("ZeroCenter", "data", shape[1:] if self.per == "pixel" else found.mean.shape, expected)
        self.mean.assign(found.mean.reshape(expected))
        if self.unit_variance:
            deviation = np.sqrt(found.scatter / found.count)
            # A variation below the resolution of float32 counts as a constant.
            constant = deviation <= np.finfo("float32").eps * np.abs(found.mean)
            self.deviation.assign(np.where(constant, 1.0, deviation).reshape(expected))

    def call(self, inputs: Tensor) -> Tensor:
        y = self.widen(inputs) - self._broadcast(self.mean)
        if self.unit_variance:
            y = y / self._broadcast(self.deviation)
        return self.ops.cast(y, self.output_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        own = {"per": self.per, "unit_variance": self.unit_variance, "data_format": self.data_format}
        return {**super().get_config(), **own, **plain(self._given)}

    @property
    def _axis(self):
        return 1 if self.data_format == "channels_first" else -1

    def _broadcast(self, weight):
        return self.ops.reshape(self.value(weight), (*weight.shape, *self._after))

    def _rows(self, x):
        checks.rank("ZeroCenter", "data", x.shape, 2, "Pass batches of samples.")
        if self.per == "pixel":
            return x.reshape(len(x), -1)
        return np.moveaxis(x, self._axis, -1).reshape(-1, x.shape[self._axis])
