"""Batch normalization with moving or exact population statistics."""

import math
from typing import Any

import keras
from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.inputs import at_least_float32, floating


@accelerate
def batch_normalize(x: Tensor, gamma: Tensor, beta: Tensor, axis: int, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """`x` normalized over all axes but `axis` by the moments of the batch; returns the result, mean and variance.

    The variance has divisor n. No gradient flows through the returned moments. `gamma` or `beta` may be None.
    """
    wide = at_least_float32(x)
    mean, variance = ops.moments(wide, axes=_other_axes(x, axis))
    y = ops.batch_normalization(wide, mean, variance, axis, offset=beta, scale=gamma, epsilon=epsilon)
    return ops.cast(y, x.dtype), ops.stop_gradient(mean), ops.stop_gradient(variance)


@accelerate
def total_over_devices(tensors: list[Tensor]) -> list[Tensor]:
    """The sums of `tensors` over the devices of a step that see parts of the batch; on JAX a step sees all of it."""
    return tensors


@register
class BatchNormalization(keras.layers.BatchNormalization):
    """Normalizes each channel by the mean and variance of the batch; at inference by those of the training data.

    Use it after a convolution or a dense layer, before the activation; a bias directly before it is redundant. It costs
    one more pass over the input, forward and backward.

        training:   y = γ·(x − μ_B)/√(σ²_B + ε) + β
        inference:  y = γ·(x − μ)/√(σ² + ε) + β
        moving:     μ ← ρμ + (1−ρ)μ_B,   σ² ← ρσ² + (1−ρ)σ²_B
        population: μ = mean(μ_B),       σ² = B/(B−1)·mean(σ²_B)   over the batches of the last pass

    γ, β learned, ε `epsilon`, ρ `momentum`, B the number of values per channel in a batch. Batches of different sizes
    (the last one of an epoch, masked ones) are weighted by size: μ = Σ B·μ_B / Σ B and σ² = Σ B·σ²_B / Σ (B−1).
    With `statistics="moving"` it is `keras.layers.BatchNormalization`.

    A pass starts with `model.reset_metrics()`: `fit` calls it at the start of every epoch, `train_on_batch` for each
    batch, and a custom training loop has to call it. An `evaluate` in between does not end the pass. A model that
    overrides `metrics` must list those of its layers as well, or no second pass starts.

    The population σ², as on the slide, is the variance within batches. It omits the variance of the batch means,
    Σ B·(μ_B − μ)²/Σ B, which is negligible for shuffled data and nearly all of the variance for sorted data.
    `keras_lecture.layers.recalibrate` includes it, and computes the statistics for the final weights.

    Args:
        axis: The axis of the channels. Defaults to `-1`.
        momentum: ρ, in [0, 1]; unused with `statistics="population"`. Defaults to `0.99`.
        epsilon: ε > 0. Defaults to `1e-3`.
        statistics: Statistics used at inference, `"moving"` or `"population"`. Defaults to `"moving"`.
        **kwargs: As in `keras.layers.BatchNormalization`: `center`, `scale`, initializers, regularizers, constraints,
            `synchronized`, `renorm` (not together with `statistics="population"`), `name`, `dtype`. With
            `synchronized=True` the moments are of the global batch on all backends: under a `tf.distribute` strategy
            and in a PyTorch process group by two reductions in each direction; on JAX they are so without it.

    Example:
        >>> layer = keras_lecture.layers.BatchNormalization(statistics="population")
        >>> y = layer(keras.ops.convert_to_tensor([[1.0], [3.0]]), training=True)
        >>> float(layer.moving_mean[0]), float(layer.moving_variance[0])
        (2.0, 2.0)

    Reference:
        Ioffe and Szegedy, 2015, arXiv:1502.03167, algorithms 1 and 2. Decks A, B, E. Deck A prints the inference
        formula without the root; this is the paper's. Deviation from the paper: `"moving"` keeps the biased variance,
        as Keras does. Differences from `keras.layers.BatchNormalization`: `statistics`, `synchronized` on every
        backend and with masks, and an empty or fully masked batch does not change the statistics.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        *,
        statistics: str = "moving",
        **kwargs: Any,
    ) -> None:
        checks.whole("BatchNormalization", "axis", axis, "(-∞, ∞)")
        checks.number("BatchNormalization", "momentum", momentum, "[0, 1]")
        checks.number("BatchNormalization", "epsilon", epsilon, "(0, ∞)")
        checks.one_of("BatchNormalization", "statistics", statistics, ("moving", "population"))
        if statistics == "population" and kwargs.get("renorm"):
            checks.reject("BatchNormalization", "renorm", 'False with statistics="population"', True)
        # Keras 3.15 accepts `synchronized` on TensorFlow alone; its own moments are those of `renorm`.
        synchronized = False if kwargs.get("renorm") else kwargs.pop("synchronized", False)
        super().__init__(axis=axis, momentum=momentum, epsilon=epsilon, **kwargs)
        self.synchronized: bool = self.synchronized or synchronized
        self.statistics = statistics
        if statistics == "population":
            self._pass = _Pass(self._metrics_reset, self._metrics_read)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        if self.statistics == "population":
            # Σ B and Σ (B−1) of this pass, the weights of `moving_mean` and `moving_variance` so far. Negative after a
            # reset of the metrics: the next training batch starts a pass.
            self.seen: keras.Variable = self.add_weight(
                name="seen", shape=(2,), initializer="zeros", trainable=False, autocast=False, dtype="float32"
            )

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        if self.statistics == "population":
            self._pass.listed = True
        return super().metrics

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor = None) -> Tensor:
        inputs = floating(inputs, self.compute_dtype)
        if self.renorm:
            return super().call(inputs, training=training, mask=mask)
        if not (training and self.trainable):
            return self._normalize(inputs, self.moving_mean, self.moving_variance)
        if mask is None and not self.synchronized:
            outputs, mean, variance = batch_normalize(inputs, self.gamma, self.beta, self.axis, self.epsilon)
            count = _count(inputs, self.axis)
        else:
            mean, variance, count = channel_moments(inputs, self.axis, mask, self.synchronized)
            outputs = self._normalize(inputs, mean, variance)
        self._remember(mean, variance, count)
        return outputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "statistics": self.statistics}

    def _normalize(self, x, mean, variance):
        weights = {"offset": self.beta, "scale": self.gamma}
        y = ops.batch_normalization(at_least_float32(x), mean, variance, self.axis, **weights, epsilon=self.epsilon)
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
            # The running mean of all batches, without their sum: m ← m + (n/N)(new − m).
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
                # The moments of an empty batch are NaN, and 0·NaN is NaN.
                new = ops.where(count > 0, new, old)
            variable.assign(old + weight * (ops.stop_gradient(new) - old))

    def _metrics_reset(self):
        """Marks the start of a pass; a second reset before the metrics are read is an evaluation's, and starts it."""
        if self.built:
            seen = self.seen.value
            self.seen.assign(ops.where(seen < 0, 0.0, -seen))

    def _metrics_read(self):
        """Removes the mark if no batch was trained on since the reset, which was then an evaluation's."""
        if not self.built:
            return
        try:
            seen = self.seen.value
        except TypeError:  # On JAX, a step of Keras 3.15 reads metrics while the layers' variables have no values.
            return
        self.seen.assign(ops.abs(seen))


def channel_moments(
    x: Tensor, axis: int, mask: Tensor = None, synchronized: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, variance (divisor n) and number n of the unmasked values of each channel, at least in float32."""
    x, axes = at_least_float32(x), _other_axes(x, axis)
    if mask is None and not synchronized:
        # Not `ops.moments`: Keras 3.15 on PyTorch computes E[x²] − E[x]², which cancels far from zero.
        mean = ops.mean(x, axes, keepdims=True)
        return ops.squeeze(mean, axes), ops.mean(ops.square(x - mean), axes), _count(x, axis)
    total = total_over_devices if synchronized else list
    if mask is None:
        count, sums = total([ops.cast(_count(x, axis), x.dtype), ops.sum(x, axes, keepdims=True)])
        mean = sums / ops.maximum(count, 1)
        (squares,) = total([ops.sum(ops.square(x - mean), axes)])
        return ops.squeeze(mean, axes), squares / ops.maximum(count, 1), count
    if len(mask.shape) != len(x.shape) - 1:
        remedy = "It selects values along all axes except that of the channels."
        checks.reject("BatchNormalization", "mask", f"a tensor with {len(x.shape) - 1} axes", tuple(mask.shape), remedy)
    admitted = ops.broadcast_to(ops.expand_dims(ops.cast(mask, "bool"), axis), ops.shape(x))
    count = ops.sum(ops.cast(admitted, x.dtype)) / x.shape[axis]
    # Not a product: masked values may be NaN.
    count, sums = total([count, ops.sum(ops.where(admitted, x, 0.0), axes, keepdims=True)])
    divisor = ops.maximum(count, 1)
    mean = sums / divisor
    (squares,) = total([ops.sum(ops.square(ops.where(admitted, x - mean, 0.0)), axes)])
    return ops.squeeze(mean, axes), squares / divisor, count


def _other_axes(x, axis):
    return [i for i in range(len(x.shape)) if i != axis % len(x.shape)]


def _count(x, axis):
    """The number of values per channel; a Python int if the shape is known, which saves small operations in a step."""
    shape = ops.shape(x)
    return (math.prod if all(isinstance(n, int) for n in shape) else ops.prod)(shape) // x.shape[axis]


class _Pass(keras.metrics.Metric):
    """Tells a layer that a pass over the data starts, since Keras resets all metrics there; reports nothing.

    Keras resets metrics for an evaluation, too, and reads them at its end. In a compiled step, reading must not change
    anything. Before it resets metrics Keras lists them, the metric of a nested layer once for each layer around it: all
    resets after one listing count as one.
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
