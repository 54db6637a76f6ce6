"""Batch normalization with moving or exact population statistics."""

import math

import keras
from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.inputs import floating


@accelerate
def batch_normalize(x: Tensor, gamma: Tensor, beta: Tensor, axis: int, epsilon: float):
    """`x` normalized over all axes but `axis` by its own moments; returns the result, the mean and the variance.

    The moments are those of the batch, the variance with divisor n; they are for keeping, not for differentiating.
    `gamma` or `beta` may be None.
    """
    wide = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    axes = [i for i in range(len(x.shape)) if i != axis % len(x.shape)]
    mean, variance = ops.moments(wide, axes=axes)
    y = ops.batch_normalization(wide, mean, variance, axis, offset=beta, scale=gamma, epsilon=epsilon)
    return ops.cast(y, x.dtype), ops.stop_gradient(mean), ops.stop_gradient(variance)


@register
class BatchNormalization(keras.layers.BatchNormalization):
    """Normalizes each channel by the mean and variance of the batch; at inference by those of the training data.

    Use it after a convolution or a dense layer, before the activation; a bias directly before it is redundant. One pass
    over the input more in each direction.

        training:   y = γ·(x − μ_B)/√(σ²_B + ε) + β
        inference:  y = γ·(x − μ)/√(σ² + ε) + β
        moving:     μ ← ρμ + (1−ρ)μ_B,   σ² ← ρσ² + (1−ρ)σ²_B
        population: μ = mean(μ_B),       σ² = B/(B−1)·mean(σ²_B)   over the batches of the last pass

    γ, β learned, ε `epsilon`, ρ `momentum`, B the values per channel in a batch. Batches of different sizes (the last
    one of an epoch, masked ones) count by their size: μ = Σ B·μ_B / Σ B and σ² = Σ B·σ²_B / Σ (B−1).
    With `statistics="moving"` it is `keras.layers.BatchNormalization`.

    A pass starts where `model.reset_metrics()` is called: `fit` does so at the start of every epoch, a training loop of
    your own must, `train_on_batch` does so for each batch. An `evaluate` in between does not end the pass. A model that
    overrides `metrics` must list those of its layers as well, or no second pass starts.

    σ² of the population, as of the slide, is the variance within a batch. It leaves out how far the means of the
    batches lie apart, Σ B·(μ_B − μ)²/Σ B: nothing to speak of for shuffled data, nearly all of it for sorted data.
    `keras_lecture.layers.recalibrate` adds it, and computes the statistics for the final weights.

    Args:
        axis: The axis of the channels. Defaults to `-1`.
        momentum: ρ, in [0, 1]; unused with `statistics="population"`. Defaults to `0.99`.
        epsilon: ε > 0. Defaults to `1e-3`.
        statistics: `"moving"` or `"population"`: what inference normalizes by. Defaults to `"moving"`.
        **kwargs: As in `keras.layers.BatchNormalization`: `center`, `scale`, initializers, regularizers, constraints,
            `synchronized`, `renorm` (not together with `statistics="population"`), `name`, `dtype`.

    Example:
        >>> layer = keras_lecture.layers.BatchNormalization(statistics="population")
        >>> y = layer(keras.ops.convert_to_tensor([[1.0], [3.0]]), training=True)
        >>> float(layer.moving_mean[0]), float(layer.moving_variance[0])
        (2.0, 2.0)

    Reference:
        Ioffe and Szegedy, 2015, arXiv:1502.03167, algorithms 1 and 2. Decks A, B, E. Deck A prints the inference
        formula without the root; this is the paper's. Deviation from the paper: `"moving"` keeps the biased variance,
        as Keras does. Differences from `keras.layers.BatchNormalization`: `statistics`, and a batch without any
        value, empty or wholly masked, changes no statistics.
    """

    def __init__(self, axis=-1, momentum=0.99, epsilon=1e-3, *, statistics: str = "moving", **kwargs):
        checks.whole("BatchNormalization", "axis", axis, "(-∞, ∞)")
        checks.number("BatchNormalization", "momentum", momentum, "[0, 1]")
        checks.number("BatchNormalization", "epsilon", epsilon, "(0, ∞)")
        checks.one_of("BatchNormalization", "statistics", statistics, ("moving", "population"))
        if statistics == "population" and kwargs.get("renorm"):
            checks.reject("BatchNormalization", "renorm", 'False with statistics="population"', True)
        super().__init__(axis=axis, momentum=momentum, epsilon=epsilon, **kwargs)
        self.statistics = statistics
        if statistics == "population":
            self._pass = _Pass(self._metrics_reset, self._metrics_read)

    def build(self, input_shape):
        super().build(input_shape)
        if self.statistics == "population":
            # Σ B and Σ (B−1) of this pass: the weights of what `moving_mean` and `moving_variance` hold so far.
            # Negative: metrics were reset, so that the next training batch starts a pass.
            self.seen = self.add_weight(
                name="seen", shape=(2,), initializer="zeros", trainable=False, autocast=False, dtype="float32"
            )

    @property
    def metrics(self):
        if self.statistics == "population":
            self._pass.listed = True
        return super().metrics

    def call(self, inputs, training=None, mask=None):
        inputs = floating(inputs, self.compute_dtype)
        if self.renorm:
            return super().call(inputs, training=training, mask=mask)
        if not (training and self.trainable):
            return self._normalize(inputs, self.moving_mean, self.moving_variance)
        if mask is None and not self.synchronized:
            outputs, mean, variance = batch_normalize(inputs, self.gamma, self.beta, self.axis, self.epsilon)
            count = _count(inputs, self.axis)
        else:
            mean, variance, count = moments(inputs, self.axis, mask, self.synchronized)
            outputs = self._normalize(inputs, mean, variance)
        self._remember(mean, variance, count)
        return outputs

    def get_config(self):
        return {**super().get_config(), "statistics": self.statistics}

    def _normalize(self, x, mean, variance):
        wide = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
        y = ops.batch_normalization(
            wide, mean, variance, self.axis, offset=self.beta, scale=self.gamma, epsilon=self.epsilon
        )
        return ops.cast(y, self.compute_dtype)

    def _remember(self, mean, variance, count):
        if isinstance(count, int) and not count:
            return
        if self.statistics == "moving":
            weights = [1.0 - self.momentum] * 2
        else:
            count = ops.cast(count, mean.dtype)
            added = ops.stack([count, ops.maximum(count - 1, 0)])
            seen = ops.maximum(ops.cast(self.seen, mean.dtype), 0) + added
            # The mean of all batches so far, without ever holding their sum: m ← m + (n/N)(new − m).
            weights = ops.unstack(added / ops.maximum(seen, 1), 2)
            # Bessel's B/(B−1); a single value per channel has no variance to add (its weight is 0).
            variance = variance * count / ops.maximum(count - 1, 1)
            self.seen.assign(seen)
        for variable, new, weight in (
            (self.moving_mean, mean, weights[0]),
            (self.moving_variance, variance, weights[1]),
        ):
            old = ops.cast(variable, new.dtype)
            if not isinstance(count, int):
                # The moments of an empty batch are NaN, which a weight of 0 does not remove.
                new = ops.where(count > 0, new, old)
            variable.assign(old + weight * (ops.stop_gradient(new) - old))

    def _metrics_reset(self):
        """A pass starts, unless an evaluation does; a second reset without anything read is that of an evaluation."""
        if self.built:
            seen = self.seen.value
            self.seen.assign(ops.where(seen < 0, 0.0, -seen))

    def _metrics_read(self):
        """Metrics that are read although no batch has trained since they were reset are those of an evaluation."""
        if not self.built:
            return
        try:
            seen = self.seen.value
        except TypeError:  # A step of Keras 3.15 on JAX reads metrics while the layers' own variables have no values.
            return
        self.seen.assign(ops.abs(seen))


def moments(x: Tensor, axis: int, mask: Tensor = None, synchronized: bool = False):
    """Mean, variance (divisor n) and number n of the values of each channel that `mask` admits, in float32."""
    x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    axes = [i for i in range(len(x.shape)) if i != axis % len(x.shape)]
    if mask is None and synchronized:
        mean, variance = ops.moments(x, axes=axes, synchronized=True)
        return mean, variance, _count(x, axis)
    if mask is None:
        # Keras 3.15 on PyTorch subtracts the squared mean from the mean of squares, which cancels far from zero.
        mean = ops.mean(x, axes, keepdims=True)
        return ops.squeeze(mean, axes), ops.mean(ops.square(x - mean), axes), _count(x, axis)
    if len(mask.shape) != len(x.shape) - 1:
        remedy = "The mask says which values of all axes but that of the channels count."
        checks.reject("BatchNormalization", "mask", f"a tensor with {len(x.shape) - 1} axes", tuple(mask.shape), remedy)
    admitted = ops.broadcast_to(ops.expand_dims(ops.cast(mask, "bool"), axis), ops.shape(x))
    count = ops.sum(ops.cast(admitted, x.dtype)) / x.shape[axis]
    divisor = ops.maximum(count, 1)
    # Not a product: what is masked may be NaN.
    mean = ops.sum(ops.where(admitted, x, 0.0), axes, keepdims=True) / divisor
    variance = ops.sum(ops.square(ops.where(admitted, x - mean, 0.0)), axes) / divisor
    return ops.squeeze(mean, axes), variance, count


def _count(x, axis):
    """The number of values of each channel: of Python's if the shape is known, which spares a step small operations."""
    shape = ops.shape(x)
    return (math.prod if all(isinstance(n, int) for n in shape) else ops.prod)(shape) // x.shape[axis]


class _Pass(keras.metrics.Metric):
    """How a layer learns that a pass over the data starts: Keras resets all metrics there. Reports nothing.

    It resets them for an evaluation as well, and reads them at its end. In a compiled step reading may change nothing.
    Before it resets metrics it lists them: that of a layer inside other layers once for each of those, so that all
    resets after one listing are one.
    """

    def __init__(self, reset, read):
        super().__init__(name="population_pass")
        self._reset, self._read = reset, read
        self.listed = True

    def update_state(self, *args, **kwargs):
        pass

    def result(self):
        self._read()
        return {}

    def reset_state(self):
        if self.listed:
            self.listed = False
            self._reset()
