"""`AverageModelCheckpoint`: saves the model with averaged weights while training continues with the raw ones."""

import contextlib
import math
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_lecture._core import checks
from keras_lecture._core.whole_files import written
from keras_lecture._training.running_fit import callback_list
from keras_lecture.callbacks._watch.monitoring import Monitoring, say
from keras_lecture.optimizers.averages import averages_of


class AverageModelCheckpoint(Monitoring):
    """Saves the model with the averaged weights of its optimizer, while training continues with the raw ones.

    Use it with `StochasticWeightAverage`, `Lookahead` or Keras's `use_ema=True`, to have the average of each epoch as a
    file. Costs a copy of the weights on the host and the writing of the file at each save; the training itself is bit
    for bit that without the callback.

        file ← w̄      w̄ the average of w so far; w itself where there is no average yet

    w the model's weights, w̄ of `StochasticWeightAverage` their mean (w before its `start`), of `Lookahead` the slow
    weights φ, of `use_ema` the exponential average. The file holds the raw moving statistics of batch normalization:
    call `recalibrate(model, data)` on the loaded model.

    A file is written under a temporary name first, so that a kill leaves the old file or the new one, both complete.
    With `save_best_only`, the monitored number is the raw weights', unless `keras.callbacks.SwapEMAWeights` validates
    with the average of `use_ema`; the best value so far holds for later calls of `fit` and when training resumes.

    Args:
        filepath: Name of the files, which may have places for the epoch, the batch and logs, as in
            `"run-{epoch:02d}-{val_loss:.2f}.keras"`. It ends in `.keras`, or in `.weights.h5` with `save_weights_only`.
        monitor: Name of the number in the logs, for `save_best_only`. Defaults to `"val_loss"`.
        verbose: `1` reports each file. Defaults to `0`.
        save_best_only: Whether to save only when the monitored number improves. Defaults to `False`.
        save_weights_only: Whether to save the weights without the model and its optimizer. Defaults to `False`.
        mode: `"min"`, `"max"`, or `"auto"`: the direction of the metric. Defaults to `"auto"`.
        save_freq: `"epoch"`, or the number of batches between files. Defaults to `"epoch"`.
        initial_value_threshold: Value that the first best must improve on. Defaults to `None`.

    Example:
        >>> import tempfile
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        >>> sgd = keras_lecture.optimizers.SGD(0.25)
        >>> model.compile(keras_lecture.optimizers.StochasticWeightAverage(sgd, start=1), "mse")
        >>> model.set_weights([np.array([[1.0]])])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     saving = keras_lecture.callbacks.AverageModelCheckpoint(folder + "/average-{epoch}.keras")
        ...     history = model.fit(np.ones((1, 1)), np.zeros((1, 1)), epochs=2, verbose=0, callbacks=[saving])
        ...     saved = keras.models.load_model(folder + "/average-2.keras")
        >>> float(saved.get_weights()[0][0, 0])  # w is 1, then 1/2, then 1/4
        0.375

    Reference:
        As `keras.callbacks.ModelCheckpoint`, which saves the raw weights and writes over the old file. TensorFlow
        Addons' class of this name has a further argument `update_weights`, which trains on from the average: here
        training never changes. Loading a `.keras` file and training on starts from the average. An integer `save_freq`
        needs `save_best_only=False`, because validation numbers exist at the ends of epochs only.
    """

    # `batches` since the last file, and the first batch of the epoch that is not among them yet.
    remembered: tuple[str, ...] = ("best", "batches", "next_batch")

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        owner = "AverageModelCheckpoint"
        checks.one_of(owner, "verbose", verbose, (0, 1, False, True))
        checks.boolean(owner, "save_best_only", save_best_only)
        checks.boolean(owner, "save_weights_only", save_weights_only)
        ending = ".weights.h5" if save_weights_only else ".keras"
        if not isinstance(filepath, str | os.PathLike):
            checks.reject(owner, "filepath", f"a path that ends in {ending}", filepath, error=TypeError)
        if not os.fspath(filepath).endswith(ending):
            checks.reject(owner, "filepath", f"a path that ends in {ending}", filepath)
        _check_braces(owner, os.fspath(filepath))
        if save_freq != "epoch":
            checks.whole(owner, "save_freq", save_freq, "[1, ∞)", 'Pass "epoch" or a number of batches.')
            if save_best_only:
                checks.reject(owner, "save_freq", "'epoch' with save_best_only=True", save_freq)
        if initial_value_threshold is not None:
            checks.number(owner, "initial_value_threshold", initial_value_threshold)
        super().__init__(monitor, mode, 0, 0.0)
        self.filepath: str = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self.initial_value_threshold = initial_value_threshold
        self.best, self.batches, self.next_batch = initial_value_threshold, 0, 0
        # A loop of the user's own may call only the methods of batches.
        self._epoch = 0

    def reset(self) -> None:
        # A later `fit` must not write over a better model.
        best, self.next_batch = self.best, 0
        super().reset()
        self.best = best if self.best is None else self.best

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        if averages_of(self._model.optimizer) is None:
            raise ValueError(
                "AverageModelCheckpoint: the model's optimizer has no average. Wrap it, as in "
                "`StochasticWeightAverage(optimizer, start=1)`, or pass `use_ema=True` to it."
            )
        others = getattr(callback_list(), "callbacks", ())
        if any(isinstance(other, keras.callbacks.SwapEMAWeights) and other.swap_on_epoch for other in others):
            raise ValueError(
                "AverageModelCheckpoint: `SwapEMAWeights(swap_on_epoch=True)` has the average in the model and the raw "
                "weights in the optimizer when a file is saved. Use `SwapEMAWeights()`, or `ModelCheckpoint` with it."
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            return
        # With `steps_per_execution`, `batch` is the last one of an execution. On JAX, Keras 3.15 counts a short last
        # execution in full.
        batch = min(batch, ((self.params or {}).get("steps") or math.inf) - 1)
        # A smaller one than before is that of a new epoch.
        self.batches += batch + 1 - (self.next_batch if batch >= self.next_batch else 0)
        self.next_batch = batch + 1
        if self.batches >= self.save_freq:
            self.batches = 0
            self._save({"batch": batch + 1} | (logs or {}))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq != "epoch":
            return
        if self.save_best_only:
            value = self.find(logs)
            if value is None or not self.improves(value, self.best):
                return
            self.best = value
        self._save(logs or {})

    def _save(self, logs):
        path = self._path(logs)
        path.parent.mkdir(parents=True, exist_ok=True)
        # On JAX, reading `self.model` makes Keras write the state of the running epoch back to the variables.
        model = self.model
        with written(path) as unfinished, _averaged(averages_of(model.optimizer)):
            if self.save_weights_only:
                model.save_weights(unfinished, overwrite=True)
            else:
                model.save(unfinished, overwrite=True)
        if self.verbose:
            say(f"Epoch {self._epoch + 1}: saved the averaged weights to {path}")

    def _path(self, logs):
        try:
            return Path(self.filepath.format(**{**logs, "epoch": self._epoch + 1}))
        except KeyError as error:
            names = ", ".join(sorted({*logs, "epoch"}))
            expected = f"a path with no other names in braces than {names}"
            checks.reject("AverageModelCheckpoint", "filepath", expected, self.filepath, f"There is no {error}.")
        except ValueError as error:
            expected = "a path whose formats fit the numbers in the logs"
            checks.reject("AverageModelCheckpoint", "filepath", expected, self.filepath, f"Python says: {error}.")

    def get_config(self) -> dict[str, Any]:
        return {
            "filepath": self.filepath,
            "monitor": self.monitor,
            "verbose": self.verbose,
            "save_best_only": self.save_best_only,
            "save_weights_only": self.save_weights_only,
            "mode": self.mode,
            "save_freq": self.save_freq,
            "initial_value_threshold": self.initial_value_threshold,
        }


def _check_braces(owner, filepath):
    """Refuses, before a whole epoch is trained, braces that no logs can fill."""
    try:
        # Integers fit the formats of integers and of floats.
        filepath.format_map(defaultdict(int))
    except (ValueError, TypeError, AttributeError) as error:
        expected = "a path with names in braces, as in '{epoch:02d}'"
        checks.reject(owner, "filepath", expected, filepath, f"Python says: {error}.")


@contextlib.contextmanager
def _averaged(pairs):
    """Holds the averages in the weights, and puts the raw weights back, whatever happens."""
    raw = [(weight, np.array(weight.numpy())) for weight, _ in pairs]
    try:
        for weight, average in pairs:
            weight.assign(average)
        yield
    finally:
        for weight, value in raw:
            weight.assign(value)
