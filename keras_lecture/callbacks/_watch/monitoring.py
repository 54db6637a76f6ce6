"""The base of the callbacks that judge by a number of the logs whether training still improves."""

import logging
import math
import re

import keras
import numpy as np
from keras import ops

from keras_lecture._core import checks
from keras_lecture._training.running_fit import fit_variables


class Monitoring(keras.callbacks.Callback):
    """A callback that follows one number of the logs and the best it has been.

    `best` is `None` until there is one. `remembered` names the attributes that `state` carries.
    """

    remembered = ("best", "wait")

    def __init__(self, monitor, mode, min_delta, smoothing):
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
        # `ops.less` or `ops.greater`, as in Keras's classes; known when the model is.
        self.monitor_op = None
        self._delta, self._relative = delta, relative
        self._restored = {}

    def reset(self):
        """Forgets the last `fit`, and takes over what `restore` was given."""
        self.best = None
        self.wait = 0
        self.average, self.count, self._seen = 0.0, 0, False
        for name in (*self.remembered, "average", "count"):
            if name in self._restored:
                setattr(self, name, np.asarray(self._restored[name]).item())

    def on_train_begin(self, logs=None):
        self.reset()
        self._restored = {}

    def find(self, logs) -> float | None:
        """The monitored number; `None` after an epoch without validation, an error where it does not exist."""
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
        remedy = "These are in the logs."
        if self.monitor.startswith("val_") and not any(name.startswith("val_") for name in logs):
            if fit_variables().get("validation_data") is not None:
                # It comes later, with `validation_freq`.
                return None
            if self.monitor.removeprefix("val_") in logs:
                remedy = "These are in the logs: give `fit` some `validation_data`."
        checks.one_of(type(self).__name__, "monitor", self.monitor, logs, remedy)
        return None

    def smoothed(self, value: float) -> float:
        """The exponential average of the values so far, without the pull towards its start at 0."""
        if not math.isfinite(value):
            return value
        self.count += 1
        self.average = self.smoothing * self.average + (1.0 - self.smoothing) * value
        return self.average / (1.0 - self.smoothing**self.count)

    def improves(self, value: float, reference: float | None) -> bool:
        """Whether `value` is finite and better than `reference` by more than `min_delta`."""
        if not math.isfinite(value):
            return False
        if reference is None:
            return True
        margin = self._delta * abs(reference) if self._relative else self._delta
        return value - margin > reference if self.monitor_op is ops.greater else value + margin < reference

    def _is_upward(self):
        """Whether more is better; the metric knows, under the private name `_direction` in Keras 3.15."""
        if self.mode != "auto":
            return self.mode == "max"
        name, known = self.monitor.removeprefix("val_"), {"loss": "down"}
        for metric in getattr(self._model, "metrics", ()):
            for single in getattr(metric, "metrics", (metric,)):
                known[single.name] = getattr(single, "_direction", known.get(single.name))
        # The logs of a model with several outputs put the output's name in front.
        fits = [n for n, direction in known.items() if direction and (name == n or name.endswith(f"_{n}"))]
        if not fits:
            remedy = f"Nothing says whether more or less of {self.monitor!r} is better."
            checks.one_of(type(self).__name__, "mode", self.mode, ("min", "max"), remedy)
        return known[max(fits, key=len)] == "up"

    def state(self) -> dict[str, np.ndarray]:
        """What a resumed training needs, see `keras_lecture._core.stateful`."""
        if self._restored:
            return dict(self._restored)
        values = {name: getattr(self, name, None) for name in (*self.remembered, "average", "count")}
        return {name: np.array(value) for name, value in values.items() if value is not None}

    def restore(self, state: dict[str, np.ndarray]):
        """Goes on from `state` with the next `fit`."""
        self._restored = dict(state)

    def get_config(self):
        return {
            "monitor": self.monitor,
            "mode": self.mode,
            "min_delta": self.min_delta,
            "smoothing": self.smoothing,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def say(message):
    """Prints a message as Keras does: on the terminal, or to the log where that is not interactive."""
    if keras.config.is_interactive_logging_enabled():
        print(message)
    else:
        logging.getLogger(__name__).info(message)


def _difference(owner, min_delta) -> tuple[float, bool]:
    """The difference that counts, and whether it is a part of the reference."""
    remedy = 'A share of the best value so far is written "1%".'
    if isinstance(min_delta, str):
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?%", min_delta):
            checks.reject(owner, "min_delta", "a number or a percentage", min_delta, remedy)
        return float(min_delta[:-1]) / 100.0, True
    checks.number(owner, "min_delta", min_delta, "(-∞, ∞)", remedy)
    return abs(min_delta), False
