"""`ExactResume`: resumes a killed training run with bit-identical results."""

import os
import warnings
from typing import Any, Self

import keras

from keras_lecture._core import checks
from keras_lecture._core.random_state import as_arrays, from_arrays, random_state, set_random_state
from keras_lecture._training.running_fit import callback_list, fit_variables
from keras_lecture._training.variables import GROUPS
from keras_lecture.callbacks._resume import callback_states, form, model_state
from keras_lecture.callbacks._resume.checkpoints import Checkpoints
from keras_lecture.callbacks._resume.data_position import DataPosition
from keras_lecture.callbacks._resume.lock import Lock
from keras_lecture.callbacks._resume.termination import Termination

# Metrics restart with each epoch: they are restored only when a run resumes within one.
_MODEL = ("trainable", "non_trainable", "optimizer")


class ExactResume(keras.callbacks.Callback):
    """Saves the complete training state, so that a script restarted after a kill ends with the same weights.

    Use it for every run that may be interrupted: the script changes by this callback only, and `fit` continues from the
    latest file, bit for bit. Costs writing the model and its optimizer at each save and, when a run resumes within an
    epoch, generating the finished batches again.

    SIGTERM, which a machine sends that is taken away, ends the program at the end of the current batch: the run is
    saved, a line on standard error says so, and the exit status is 143. A handler of your own stays in charge. Ctrl-C
    and SIGKILL end it at once, and the run continues from its latest file. One process at a time may use a folder.

    A file holds the weights and statistics, the full optimizer state (slots, counters, averages, loss scale), the seeds
    of random layers, the metrics, the random states of Python, NumPy, Keras and PyTorch, the position in the data, the
    logs of all epochs, and the state of the callbacks: those of this package, Keras's `EarlyStopping`,
    `ReduceLROnPlateau`, `ModelCheckpoint`, `CSVLogger` and `SwapEMAWeights`, and any callback with a `state()` that
    returns a dictionary of arrays and a `restore(state)` that takes it. A file is first written to disk under a
    temporary name, and the latest two are kept; a damaged one is skipped with a warning and the one before it used. A
    finished run that is restarted returns at once; with more `epochs` it continues. Remove the folder to start over.

    The order of the data is exact for `keras_lecture.data` batches, for arrays, and for a `PyDataset` whose order
    depends on its own seed and the number of epochs begun and ended. For other data there is a warning.

    The learning rate is part of the optimizer's state: another one in `compile` has no effect on a resumed run.

    Args:
        path: Folder of the files, one for each run.
        every: `"epoch"`, or the number of steps between saves. A save due at the last step of an epoch is made at the
            end of the epoch, after validation. Defaults to `"epoch"`.

    Example:
        >>> import tempfile
        >>> def run(epochs, folder):
        ...     keras.utils.set_random_seed(0)
        ...     model = keras.Sequential([keras.Input((1,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
        ...     model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss="mse")
        ...     resume = keras_lecture.callbacks.ExactResume(folder)
        ...     x = np.ones((8, 1))
        ...     return model.fit(x, x, batch_size=2, epochs=epochs, verbose=0, callbacks=[resume]).history["loss"]
        >>> with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
        ...     interrupted = run(2, a) and run(3, a)
        ...     interrupted == run(3, b)
        True

    Reference:
        `keras.callbacks.BackupAndRestore` saves weights and optimizer only: dropout, shuffling, the other callbacks and
        the history start over, an interrupted epoch restarts at its first batch with the weights from its middle, and a
        kill during a save loses the old and the new file. A file from another backend can be resumed too; only the
        framework's own random numbers and its shuffling of arrays then differ.
    """

    def __init__(self, path: str | os.PathLike[str], *, every: str | int = "epoch") -> None:
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            checks.reject("ExactResume", "path", "the name of a folder", path, error=TypeError)
        if every != "epoch":
            expected = 'Pass `"epoch"` or a number of steps.'
            checks.whole("ExactResume", "every", every, "[1, ∞)", expected)
        if os.path.exists(path) and not os.path.isdir(path):
            checks.reject("ExactResume", "path", "the name of a folder", path, "A file of that name exists.")
        super().__init__()
        self.path: str = os.fspath(path)
        self.every = every
        self._data = None
        self._found = None

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        fit, callbacks = fit_variables(), callback_list()
        self._data = self._found = None
        if "epoch_iterator" not in fit or callbacks is None:
            return
        self._data = DataPosition(fit, self._between)
        # Last, so that it saves the final state of the others; in a new list, because Keras is iterating over the old.
        others = [callback for callback in callbacks.callbacks if callback is not self]
        callbacks.callbacks = [*others, self]
        self._others = callback_states.named(others)
        self._claim = Lock(self.path)
        self._claim.acquire()
        self._files = Checkpoints(self.path, form.check)
        self._found = self._files.latest()
        self._termination = Termination(callbacks)
        self._first, self._since = fit.get("initial_epoch", 0), 0
        if self._found:
            self._first = self._found["first_epoch"]
            self._data.build(model)
            self._check(_MODEL, self._found)
            with form.restoring(self.path):
                for name, callback in self._others.items():
                    if name in self._found["callbacks"]:
                        callback_states.prepare(callback, self._found["callbacks"][name])

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._data is None:
            if "epoch_iterator" in fit_variables():
                raise ValueError(
                    "ExactResume: nothing would be saved: this `CallbackList` was made before `fit` has its data. Pass "
                    "`fit` a plain list of callbacks."
                )
            return
        self._termination.begin()
        obstacle = self._data.obstacle()
        if obstacle:
            _warn(f"the position in the data cannot be restored: {obstacle}")
        found = self._found
        if not found:
            return
        self._check_position()
        unknown = set(self._others) ^ set(found["callbacks"])
        if unknown:
            _warn(f"found only in the file or only in this `fit`: the callbacks {', '.join(sorted(unknown))}")
        self._data.replay_epochs(found["epoch"] - self._first)
        self._restore(found, _MODEL, found["random"])
        # A private name of Keras, as `BackupAndRestore` sets it.
        self._model._initial_epoch = self.params["epochs"] if found["stopped"] else found["epoch"]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._data is None:
            return
        self._model._initial_epoch = None
        self._epoch, self._batch = epoch, 0
        found, self._found = self._found, None
        if found and found["batch"]:
            # The other callbacks have just begun this epoch a second time: their saved state undoes that.
            self._check(("metrics",), found)
            self._restore(found, GROUPS, found["random_of_epoch"])
            self._data.skip(found["batch"], lambda: set_random_state(from_arrays(found["random"])))
            self._batch = found["batch"]
        self._at_begin = {"random_of_epoch": as_arrays(random_state()), "data": self._data.state()}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._data is None:
            return
        self._since += (self._data.number or self._batch + 1) - self._batch
        asked = self._termination.is_asked
        if self._is_due() or asked:
            self._save(epoch + 1, 0, {"data": self._data.state()})
        if asked:
            self._leave(f"after epoch {epoch + 1}")

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._data is not None:
            self._model._initial_epoch = None
            self._data = self._others = self._found = None
            self._claim.release()
            self._termination.end()
            if self._termination.is_asked:
                self._termination.leave("The training had ended.")

    def _between(self, batch):
        self._since += batch - self._batch
        self._batch = batch
        # No save while the length of an epoch is unknown: this batch may be its last, which resuming could not tell.
        asked, known = self._termination.is_asked, self._data.number
        if known and (asked or (self.every != "epoch" and self._is_due())):
            self._save(self._epoch, batch, self._at_begin)
        if asked and known:
            self._leave(f"after epoch {self._epoch} and {batch} of {known} batches")
        elif asked:
            message = "The number of batches in an epoch is not known yet, so that nothing could be saved."
            self._termination.leave(f"{message} The run continues from its latest file, if there is one.")

    def _leave(self, where):
        self._claim.release()
        self._termination.leave(f"The run is saved in {self.path} {where}. Start the program again to continue it.")

    def _is_due(self):
        return self.every == "epoch" or self._since >= self.every

    def _save(self, epoch, batch, more):
        self._since = 0
        # On JAX, reading `self.model` makes Keras write the state of the running epoch back to the variables.
        model = self.model
        tree = {
            "keras": keras.__version__,
            "backend": keras.backend.backend(),
            "epoch": epoch,
            "batch": batch,
            "batches": self._data.number,
            "first_epoch": self._first,
            "stopped": bool(model.stop_training),
            "random": as_arrays(random_state()),
            "callbacks": {name: callback_states.state(callback) for name, callback in self._others.items()},
            "model": model_state.state(model),
        }
        self._files.write(tree | more)

    def _restore(self, found, groups, random):
        with form.restoring(self.path):
            model_state.assign(self._model, found["model"], groups)
            for name, callback in self._others.items():
                if name in found["callbacks"]:
                    callback_states.restore(callback, found["callbacks"][name])
            self._data.restore(found["data"])
            self._model.stop_training = found["stopped"]
            set_random_state(from_arrays(random))

    def _check(self, groups, found):
        difference = model_state.difference(self._model, found["model"], groups)
        if difference:
            raise ValueError(
                f"ExactResume: the files in {self.path} were written by another model: {difference}. Run the script "
                "that wrote them, or use another folder."
            )

    def _check_position(self):
        batch, batches, size = self._found["batch"], self._found["batches"], self._model.steps_per_execution
        if batch and (batches != self._data.number or batch % size):
            raise ValueError(
                f"ExactResume: the latest file in {self.path} was written after {batch} of {batches} batches. It "
                f"cannot be resumed with epochs of {self._data.number} batches and `steps_per_execution={size}`. Pass "
                "`fit` the same data and batch size."
            )

    def get_config(self) -> dict[str, Any]:
        return {"path": self.path, "every": self.every}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config)


def _warn(message):
    warnings.warn(f"ExactResume: {message}.", stacklevel=3)
