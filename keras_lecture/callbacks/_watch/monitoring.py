"""Base class of callbacks that monitor whether a number in the logs improves."""

import logging
import math
import re
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_lecture._core import checks
from keras_lecture._training.running_fit import fit_variables
from keras_lecture.callbacks._rates.smoothing import exponential_mean


class Monitoring(keras.callbacks.Callback):
    """A callback that tracks a number in the logs and its best value so far.

    `best` is `None` before the first finite value. `remembered` names the attributes that `state` saves.
    """

    remembered: tuple[str, ...] = ("best", "wait")

    def __init__(self, monitor: str, mode: str, min_delta: float | str, smoothing: float) -> None:
        owner = type(self).__name__
        checks.instance(owner, "monitor", monitor, str, "the name of a number in the logs")
        checks.one_of(owner, "mode", mode, ("auto", "min", "max"))
        delta, relative = _difference(owner, min_delta)
        checks.number(owner, "smoothing", smoothing, "[0, 1)")
        super().__init__()
        self.monitor = monitor
        self.mode = mode
        self.min_delta = min_delta
        self.smoothing = smoothing
        # `ops.less` or `ops.greater`, as in Keras's classes; set at the first value, when the metrics are known.
        self.monitor_op = None
        self._delta, self._relative = delta, relative
        self._restored = {}

    def reset(self) -> None:
        """Resets the counters, to the state that `restore` was given if there is one."""
        self.best: float | None = None
        self.wait: int = 0
        self.average, self.count, self._seen = 0.0, 0, False
        for name in (*self.remembered, "average", "count"):
            if name in self._restored:
                setattr(self, name, np.asarray(self._restored[name]).item())

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.reset()
        self._restored = {}

    def find(self, logs: dict[str, Any] | None) -> float | None:
        """The monitored number; `None` after an epoch without validation; an error if there is no such number."""
        logs = logs or {}
        if self.monitor in logs:
            self._seen = True
            if self.monitor_op is None:
                self.monitor_op = ops.greater if self._is_upward() else ops.less
            value = np.asarray(logs[self.monitor])
            if value.size != 1:
                checks.reject(type(self).__name__, "monitor", "one number", self.monitor, f"It has {value.size}.")
            return float(value.item())
        if self._seen:
            return None
        remedy = "These names are in the logs."
        if self.monitor.startswith("val_") and not any(name.startswith("val_") for name in logs):
            if fit_variables().get("validation_data") is not None:
                # With `validation_freq` it comes in a later epoch.
                return None
            if self.monitor.removeprefix("val_") in logs:
                remedy = "These names are in the logs: pass `validation_data` to `fit`."
        checks.one_of(type(self).__name__, "monitor", self.monitor, logs, remedy)
        return None

    def smoothed(self, value: float) -> float:
        """The bias-corrected exponential average; a value that is not finite is returned and left out of it."""
        if not math.isfinite(value):
            return value
        self.count += 1
        self.average, corrected = exponential_mean(self.average, self.count, value, self.smoothing)
        return corrected

    def improves(self, value: float, reference: float | None) -> bool:
        """Whether `value` is finite and better than `reference` by more than `min_delta`."""
        if not math.isfinite(value):
            return False
        if reference is None:
            return True
        margin = self._delta * abs(reference) if self._relative else self._delta
        return value - margin > reference if self.monitor_op is ops.greater else value + margin < reference

    def _is_upward(self):
        """Whether larger is better: from `mode`, or from the metric's `_direction`, a private name in Keras 3.15."""
        if self.mode != "auto":
            return self.mode == "max"
        name, known = self.monitor.removeprefix("val_"), {"loss": "down"}
        for metric in getattr(self._model, "metrics", ()):
            for single in getattr(metric, "metrics", (metric,)):
                known[single.name] = getattr(single, "_direction", known.get(single.name))
        # With several outputs, the names in the logs begin with that of the output.
        fits = [n for n, direction in known.items() if direction and (name == n or name.endswith(f"_{n}"))]
        if not fits:
            remedy = f"No metric tells whether larger or smaller values of {self.monitor!r} are better."
            checks.one_of(type(self).__name__, "mode", self.mode, ("min", "max"), remedy)
        return known[max(fits, key=len)] == "up"

    def state(self) -> dict[str, np.ndarray]:
        """Arrays from which `restore` continues in another process."""
        if self._restored:
            return dict(self._restored)
        values = {name: getattr(self, name, None) for name in (*self.remembered, "average", "count")}
        return {name: np.array(value) for name, value in values.items() if value is not None}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continues from `state` in the next `fit`."""
        self._restored = dict(state)

    def get_config(self) -> dict[str, Any]:
        return {
            "monitor": self.monitor,
            "mode": self.mode,
            "min_delta": self.min_delta,
            "smoothing": self.smoothing,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config)


def say(message: str) -> None:
    """Prints a message or, if Keras's interactive logging is off, logs it."""
    if keras.config.is_interactive_logging_enabled():
        print(message)
    else:
        logging.getLogger(__name__).info(message)


def _difference(owner, min_delta) -> tuple[float, bool]:
    """`min_delta` as a positive number, and whether it is a fraction of the best value."""
    remedy = 'Write "1%" for a fraction of the best value so far.'
    if isinstance(min_delta, str):
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?%", min_delta):
            checks.reject(owner, "min_delta", "a number or a percentage", min_delta, remedy)
        return float(min_delta[:-1]) / 100.0, True
    checks.number(owner, "min_delta", min_delta, "(-∞, ∞)", remedy)
    return abs(min_delta), False
