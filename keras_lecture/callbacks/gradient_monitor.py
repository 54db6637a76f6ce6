"""`GradientMonitor`: the norms of gradients, weights and updates in the logs of `fit`."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._training.condition import Condition
from keras_lecture._training.readings import Readings, totaled
from keras_lecture._training.step import Step
from keras_lecture.callbacks._watch.norms import is_multiple, step_norms
from keras_lecture.callbacks._watch.observe import Observer
from keras_lecture.callbacks._watch.tensorboard import boards, write_histogram

_QUANTITIES = ("gradient_norm", "weight_norm", "update_ratio")
# Exponents of the bins: float16 gradients underflow below 2⁻⁴⁰ even with a loss scale.
_LOWEST, _HIGHEST = -40, 16
# The first and last bin get an outer edge for `TensorBoard`, which has no open bins.
_EDGES = np.arange(_LOWEST - 1, _HIGHEST + 2)


@register
class GradientMonitor(Observer):
    """Logs the norms of the gradient and the weights, and the relative size of the updates.

    Use it when a model does not learn: gradient norms near 0 vanish, growing ones explode, and a healthy step changes
    the weights by about a thousandth. The numbers appear beside the loss in the progress bar, in `History` and in the
    output of other callbacks. Costs one pass over the gradients and two over the weights in each observed step.

        gradient_norm = ‖g‖      weight_norm = ‖w‖      update_ratio = ‖w⁺ − w‖ / ‖w‖

    g the gradient, w the weights before the step and w⁺ after it; all are means over the observed steps of the epoch.
    For plain gradient descent `update_ratio` is η‖g‖/‖w‖.

    Args:
        per_layer: Whether to log the same numbers for each layer, as `gradient_norm/dense`. Defaults to `False`.
        histogram: Whether to count the magnitudes of each layer's gradients, see `histograms`; a Keras `TensorBoard`
            among the callbacks shows them as `gradient_magnitudes/dense` over log₂|g|. Costs many passes over the
            gradients: combine it with `every`. Defaults to `False`.
        every: k: observe the first step of each epoch and every k-th step after it. Defaults to `1`.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, name="line")])
        >>> model.compile(keras.optimizers.SGD(0.25), loss="mse")
        >>> model.set_weights([np.array([[2.0]])])
        >>> history = model.fit(
        ...     np.ones((4, 1)), np.ones((4, 1)), batch_size=4, verbose=0,
        ...     callbacks=[keras_lecture.callbacks.GradientMonitor()],
        ... ).history
        >>> {name: history[name][0] for name in ("gradient_norm", "weight_norm", "update_ratio")}
        {'gradient_norm': 2.0, 'weight_norm': 2.0, 'update_ratio': 0.25}

    Reference:
        Deck A ("the learning goes on only if the gradient is non-zero"). The gradient is the one that the optimizer
        receives: after any `GradientClipping` earlier in the list of callbacks, before the optimizer's own clipping;
        unscaled under mixed precision; with gradient accumulation the mean used for the update. Skipped steps do not
        count. Under `tf.distribute` it is the gradient of the global batch, for which each step reduces the replicas'
        gradients a second time. Keras's `TensorBoard` writes weights but no gradients.
    """

    once = True

    def __init__(self, per_layer: bool = False, *, histogram: bool = False, every: int = 1) -> None:
        checks.boolean("GradientMonitor", "per_layer", per_layer)
        checks.boolean("GradientMonitor", "histogram", histogram)
        checks.whole("GradientMonitor", "every", every, "[1, ∞)")
        super().__init__()
        self.per_layer = per_layer
        self.histogram = histogram
        self.every = every
        self._histograms = {}
        self._restored_histograms = {}

    @property
    def histograms(self) -> dict[str, np.ndarray]:
        """Mean counts of gradient magnitudes by layer: arrays of shape (epochs, bins).

        Bin 0 counts magnitudes below 2⁻⁴⁰ (zero included), bin i those in [2ⁱ⁻⁴¹, 2ⁱ⁻⁴⁰), and the last bin those from
        2¹⁶ on and values that are not finite. Means are over the observed steps of each epoch of the latest `fit`.
        """
        return {layer: np.stack(epochs) for layer, epochs in self._histograms.items()}

    def readings_for(self, variables: list[keras.Variable]) -> Readings:
        # In Keras 3.15 the variable paths of some models start with the model's name.
        prefix = f"{self._model.name}/"
        owners = [variable.path.rpartition("/")[0].removeprefix(prefix) for variable in variables]
        layers = list(dict.fromkeys(owners))
        names = [*_QUANTITIES]
        if self.per_layer:
            names += [f"{quantity}/{layer}" for layer in layers for quantity in _QUANTITIES]
        self._group_of = dict(zip(map(id, variables), map(layers.index, owners), strict=True))
        self._layers = layers
        bins = _HIGHEST - _LOWEST + 2 if self.histogram else 0
        return _Observed(names, len(layers), bins)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        restored, self._restored_histograms = self._restored_histograms, {}
        self._histograms = {layer: list(rows) for layer, rows in restored.items()}
        self._boards = boards() if self.histogram else []
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        if self.histogram and self._run is not None and self.readings is not None:
            # Not `float(count)`: under `tf.distribute` a variable holds one number per replica.
            counts, steps = (ops.convert_to_numpy(each) for each in (self.readings.counts, self.readings.count))
            counts = counts / max(float(steps), 1.0)
            for layer, row in zip(self._layers, counts, strict=True):
                self._histograms.setdefault(layer, []).append(row)
                for board in self._boards:
                    write_histogram(board, f"gradient_magnitudes/{layer}", _EDGES, row, epoch)

    def before(self, step: Step) -> tuple[Any, ...]:
        observed = step.due
        if self.every > 1:
            observed = observed & is_multiple(self.readings.steps, self.every)
        # Observers after this one in the list may change the gradients.
        return observed, step.gradients, step.snapshot(observed)

    def after(self, step: Step, memo: tuple[Any, ...]) -> tuple[Any, ...]:
        observed, gradients, old = memo
        shapes = [(len(self.readings.names),)] + ([tuple(self.readings.counts.shape)] if self.histogram else [])

        def measure():
            return self._measurements(step, gradients, old)

        def nothing():
            return [ops.zeros(shape, self.readings.dtype) for shape in shapes]

        values = observed.choose(measure, nothing)
        observed = observed & step.taken
        # Under loss scaling a step with an overflow is skipped, and its gradient is none of the model's.
        if step.is_dynamically_scaled:
            observed = observed & ops.isfinite(values[0][0])
        return values, observed, step.due

    def _measurements(self, step: Step, gradients, old):
        groups = [self._group_of[id(v)] for v in step.variables] if self.per_layer else None
        # Not `step.weights`, which takes a dozen times as long on PyTorch.
        values = step_norms(gradients, old, [v.value for v in step.variables], groups, len(self._layers))
        values = [ops.cast(ops.reshape(values, (-1,)), self.readings.dtype)]
        return [*values, self._counts(step.variables, gradients)] if self.histogram else values

    def _counts(self, variables, gradients):
        counts = [ops.zeros((self.readings.counts.shape[1],), self.readings.dtype)] * len(self._layers)
        for variable, gradient in zip(variables, gradients, strict=True):
            group = self._group_of[id(variable)]
            counts[group] = counts[group] + ops.cast(_magnitudes(gradient), self.readings.dtype)
        return ops.stack(counts)

    def state(self) -> dict[str, np.ndarray]:
        """The histograms so far, for `restore` in another process."""
        return dict(self._restored_histograms) or self.histograms

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continues the histograms of `state` in the next `fit`."""
        self._restored_histograms = dict(state)

    def get_config(self) -> dict[str, Any]:
        return {"per_layer": self.per_layer, "histogram": self.histogram, "every": self.every}


class _Observed(Readings):
    def __init__(self, names, layers, bins):
        super().__init__(names, "gradient_monitor")
        self.steps = self.add_variable((), "zeros", dtype="int32", name="steps")
        if bins:
            self.counts = self.add_variable((layers, bins), "zeros", name="counts")

    def update_state(self, values, observed: Condition, due: Condition):
        totaled([self.steps], [due.count("int32")])
        if observed.is_false:
            return
        super().update_state(values[0], observed)
        for counts in values[1:]:
            self.counts.assign_add(observed.where(counts, ops.zeros_like(counts)))


def _magnitudes(x):
    """The number of elements of `x` in each bin of `GradientMonitor.histograms`."""
    x = ops.abs(ops.reshape(x, (-1,)))
    # Differences of the counts above each power of 2, because scattering is slow on all backends.
    at_least = [x.shape[0]] + [
        ops.sum(ops.cast(ops.logical_not(x < 2.0**e), "int32")) for e in range(_LOWEST, _HIGHEST + 1)
    ]
    at_least = ops.stack([ops.cast(n, "int32") for n in at_least])
    return at_least - ops.concatenate([at_least[1:], ops.zeros((1,), "int32")])
