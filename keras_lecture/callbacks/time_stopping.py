"""`TimeStopping`: stops training when its time is used up."""

from time import monotonic
from typing import Any, Self

import keras
import numpy as np

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture.callbacks._watch.monitoring import say


@register
class TimeStopping(keras.callbacks.Callback):
    """Stops training after the batch that exceeds a number of seconds.

    Use it to compare methods at equal time, or when training must leave time for what follows. The epoch is cut short:
    its logs are those of its batches so far, and its validation still runs.

        stop  if  now − start > seconds      at the end of a batch or an epoch

    start is the beginning of `fit`, so that compiling, validation and other callbacks count; `elapsed` is now − start.
    With `steps_per_execution`, the end of a batch is that of an execution. A second `fit` has all the seconds again.

    With `ExactResume` the seconds are those of the whole run: a resumed one has what was left at the last save, and the
    time between does not count. Where a scheduler limits the time of a process, use `ExactResume` alone and let the
    process be killed: a run that stops itself is finished, also with more seconds.

    Args:
        seconds: The time for training.
        verbose: `1` reports when it stops. Defaults to `0`.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> stopping = keras_lecture.callbacks.TimeStopping(seconds=0.01)
        >>> history = model.fit(np.ones((4, 1)), np.ones((4, 1)), epochs=10**6, verbose=0, callbacks=[stopping])
        >>> len(history.epoch) < 10**6, stopping.elapsed > 0.01
        (True, True)

    Reference:
        As TensorFlow Addons' class, which looks at the clock at the ends of epochs only, starts again when training
        resumes, and reads the system's time: here, setting the clock has no effect. A step that JAX or a GPU has begun
        is completed. Processes that train one model together each read their own clock and may stop at different steps.
    """

    def __init__(self, seconds: float, *, verbose: int = 0) -> None:
        checks.number("TimeStopping", "seconds", seconds, "[0, ∞)")
        checks.one_of("TimeStopping", "verbose", verbose, (0, 1, False, True))
        super().__init__()
        self.seconds = seconds
        self.verbose = verbose
        # A loop of the user's own may call only the methods of batches.
        self._epoch = 0
        self._start = self._end = None
        self._used = self._restored = 0.0

    @property
    def elapsed(self) -> float:
        """The seconds that the running or the last `fit` has taken, with those before it was resumed."""
        if self._start is None:
            return self._restored
        return self._used + (monotonic() if self._end is None else self._end) - self._start

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._used, self._restored = self._restored, 0.0
        self._start, self._end = monotonic(), None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._stop_if_late()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._stop_if_late()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._end = monotonic()

    def _stop_if_late(self):
        # `_model`, because on JAX reading `model` after each batch would copy the state of training.
        if self.elapsed <= self.seconds or self._model.stop_training:
            return
        self._model.stop_training = True
        if self.verbose:
            say(f"Epoch {self._epoch + 1}: stopping after {self.elapsed:.1f} seconds")

    def state(self) -> dict[str, np.ndarray]:
        """The seconds used, from which `restore` continues in another process."""
        return {"elapsed": np.array(self.elapsed)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continues from `state` in the next `fit`."""
        self._restored = float(state["elapsed"])
        self._start = None

    def get_config(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "verbose": self.verbose}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config)
