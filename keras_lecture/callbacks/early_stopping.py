"""`EarlyStopping`: stops training when a number no longer improves, and can restore the best epoch."""

from typing import Any

import numpy as np

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._training.pipeline import pipeline_of
from keras_lecture._training.running_fit import callback_list
from keras_lecture._training.variables import own_non_trainable
from keras_lecture.callbacks._rates.reduced_rate import reduced_schedules
from keras_lecture.callbacks._watch.monitoring import Monitoring, say


@register
class EarlyStopping(Monitoring):
    """Stops training when a monitored number no longer improves, and can restore the best epoch.

    Use it with a held-out set: the training loss keeps falling while the model memorizes its training data. With
    `restore_best_weights`, each new best epoch costs a copy of the model's and the optimizer's variables on the host.

        s = m / (1 − βᵗ),   m ← βm + (1 − β)x      the t-th monitored number x, smoothed
        best ← s   if s < best − δ                 (s > best + δ where more is better)

    β `smoothing`, δ `min_delta`; training stops after `patience` epochs in a row without a new best. `smoothing=0` and
    a number for `min_delta` is Keras's rule. A number that is not finite is never best.

    `restore_best_weights` also restores the optimizer's variables (learning rate and step number among them) and the
    states of random layers, so that a further `fit` continues from the best epoch. It does so however `fit` ends: after
    its last epoch, by an exception or by Ctrl-C, before any handler runs.

    Args:
        monitor: Name of the number in the logs. Defaults to `"val_loss"`.
        min_delta: Smallest improvement that counts: a number, or a fraction of the best value so far, as in `"1%"`.
            Defaults to `0`.
        patience: Epochs without improvement after which training stops. Defaults to `0`.
        verbose: `1` reports when it stops and what it restores. Defaults to `0`.
        mode: `"min"`, `"max"`, or `"auto"`: the direction of the metric. Defaults to `"auto"`.
        baseline: Value that a new best must also improve on to reset the count of epochs. Defaults to `None`.
        restore_best_weights: Whether to restore the best epoch at the end. Defaults to `False`.
        start_from_epoch: Number of epochs to ignore at the beginning. Defaults to `0`.
        smoothing: β in [0, 1) of an exponential average that is monitored in place of the number. Defaults to `0.0`.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        >>> model.compile(keras.optimizers.SGD(1.5), loss="mse")
        >>> model.set_weights([np.array([[1.0]])])
        >>> stopping = keras_lecture.callbacks.EarlyStopping("loss", patience=2, restore_best_weights=True)
        >>> history = model.fit(np.ones((4, 1)), np.zeros((4, 1)), epochs=9, verbose=0, callbacks=[stopping])
        >>> history.history["loss"], stopping.best_epoch, float(model.get_weights()[0][0, 0])
        ([1.0, 4.0, 16.0], 0, -2.0)

    Reference:
        Deck B and D (held-out set, best weights kept); Prechelt, 1998. As `keras.callbacks.EarlyStopping`, which
        restores no optimizer and nothing after an exception, takes a first NaN as best, and only warns about a
        `monitor` that does not exist: here that is an error after the first epoch. On JAX an interrupted step leaves
        Keras's model without weights; here it gets the restored ones. A training loss is the mean over the epoch, while
        the weights are those at its end: monitor a validation number.
    """

    remembered: tuple[str, ...] = ("best", "wait", "best_epoch", "stopped_epoch")
    _run = None

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float | str = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
        *,
        smoothing: float = 0.0,
    ) -> None:
        checks.whole("EarlyStopping", "patience", patience, "[0, ∞)")
        checks.one_of("EarlyStopping", "verbose", verbose, (0, 1, False, True))
        if baseline is not None:
            checks.number("EarlyStopping", "baseline", baseline)
        checks.boolean("EarlyStopping", "restore_best_weights", restore_best_weights)
        checks.whole("EarlyStopping", "start_from_epoch", start_from_epoch, "[0, ∞)")
        super().__init__(monitor, mode, min_delta, smoothing)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.reset()

    def reset(self) -> None:
        self.best_epoch = self.stopped_epoch = 0
        self.best_weights = _arrays(self._restored, "best_weight")
        # The optimizer's variables and the seeds of the best epoch.
        self._best_rest = _arrays(self._restored, "best_variable") or []
        # The factors of the schedules that `ReduceLearningRate` has reduced.
        self._best_factors = [float(factor) for factor in _arrays(self._restored, "best_factor") or []]
        super().reset()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self._stop_watching()
        if self.restore_best_weights and hasattr(self._model, "make_train_function"):
            self._run = pipeline_of(self._model).open(callback_list())
            self._run.when_interrupted(self._interrupted)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        value = self.find(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        value = self.smoothed(value)
        self.wait += 1
        if self.improves(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                model = self.model
                self.best_weights = model.get_weights()
                self._best_rest = [np.array(variable.numpy()) for variable in _rest(model)]
                self._best_factors = [schedule.factor for schedule in reduced_schedules(model)]
            if self.baseline is None or self.improves(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._stop_watching()
        if self.stopped_epoch > 0 and self.verbose:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        self._restore_best()

    def _interrupted(self):
        self._run = None
        self._restore_best()
        # On JAX an interrupted step has deleted the values of the metrics.
        self._model.reset_metrics()

    def _stop_watching(self):
        if self._run is not None:
            self._run.stop_waiting(self._interrupted)
            self._run = None

    def _restore_best(self):
        if not self.restore_best_weights or self.best_weights is None:
            return
        if self.verbose:
            say(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
        model = self.model
        model.set_weights(self.best_weights)
        for variable, value in zip(_rest(model), self._best_rest, strict=True):
            variable.assign(value)
        for schedule, factor in zip(reduced_schedules(model), self._best_factors, strict=False):
            schedule.factor = factor

    def state(self) -> dict[str, np.ndarray]:
        state = super().state()
        if not self._restored:
            kept = {
                "best_weight": self.best_weights or (),
                "best_variable": self._best_rest,
                "best_factor": map(np.asarray, self._best_factors),
            }
            for name, values in kept.items():
                state |= {f"{name}_{index}": _plain(value) for index, value in enumerate(values)}
        return state

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "patience": self.patience,
            "verbose": self.verbose,
            "baseline": self.baseline,
            "restore_best_weights": self.restore_best_weights,
            "start_from_epoch": self.start_from_epoch,
        }


def _rest(model) -> list:
    """The training state other than the weights: the optimizer's variables and the seeds of random layers."""
    optimizer, others = getattr(model, "optimizer", None), own_non_trainable(model)
    weights = {id(variable) for variable in model.weights} if others else ()
    return [*getattr(optimizer, "variables", ()), *(variable for variable in others if id(variable) not in weights)]


def _arrays(state, name) -> list | None:
    """The arrays `name_0`, `name_1`, … of `state`; `None` if there are none."""
    names = [f"{name}_{index}" for index in range(len(state))]
    return [np.asarray(state[name]) for name in names if name in state] or None


def _plain(array):
    """A copy that a file can hold: NumPy has no bfloat16 of its own."""
    return array.astype("float32") if array.dtype.name == "bfloat16" else np.array(array)
