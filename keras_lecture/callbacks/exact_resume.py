"""`ExactResume`: a run that was killed goes on as if nothing had happened."""

import os
import warnings

import keras

from keras_lecture._core import checks
from keras_lecture._core.random_state import as_arrays, from_arrays, random_state, set_random_state
from keras_lecture._core.saving import register
from keras_lecture._training.running_fit import callback_list, fit_variables
from keras_lecture.callbacks._resume import callback_states, model_state
from keras_lecture.callbacks._resume.checkpoints import Checkpoints
from keras_lecture.callbacks._resume.data_position import DataPosition

# Metrics begin anew with each epoch: they are taken over in the middle of one, not at its beginning.
_MODEL = ("trainable", "non_trainable", "optimizer")


@register
class ExactResume(keras.callbacks.Callback):
    """Saves all that a run is made of, so that the same script, started again after a kill, ends with the same weights.

    Use it for every run that may be interrupted: nothing but the callback changes in the script, and `fit` goes on
    where the latest file left off, to the same bit. Costs the writing of the model and its optimizer at each save, and
    on resuming in the middle of an epoch the making of the batches that were done.

    A file holds the weights and statistics, everything of the optimizer (slots, counters, averages, loss scale), the
    seeds of random layers, the metrics, the states of Python's, NumPy's, Keras's and PyTorch's random generators, the
    position in the data, the logs of all epochs, and the state of the callbacks: those here, Keras's `EarlyStopping`,
    `ReduceLROnPlateau`, `ModelCheckpoint`, `CSVLogger` and `SwapEMAWeights`, and any callback with a
    `state()` that returns a dictionary of arrays and a `restore(state)` that takes it. It is written to the disk under
    another name first, and the two latest are kept; a damaged one is refused with a warning and the one before it used.
    A finished run that is started again returns at once; with more `epochs` it continues. Remove the folder to start
    over.

    The order of the data is exact for `keras_lecture.data` batches, for arrays, and for a `PyDataset` whose order
    depends on its own seed and the number of epochs begun and ended. A warning says where it is not.

    Args:
        path: The folder of the files. One run, one folder.
        every: `"epoch"`, or save after so many steps. A save that falls due with the last step of an epoch is made at
            its end, after validation. Defaults to `"epoch"`.

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
        `keras.callbacks.BackupAndRestore` saves weights and optimizer: dropout, shuffling, the other callbacks and the
        history start anew, an epoch begins again from its start with the weights of its middle, and a kill while it
        writes leaves neither file. A file of another backend resumes, too; then it is the framework's own random
        numbers and its shuffling of arrays that go their own way.
    """

    def __init__(self, path: str, *, every: str | int = "epoch"):
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            checks.reject("ExactResume", "path", "the name of a folder", path, error=TypeError)
        if every != "epoch":
            expected = 'Save at the end of each `"epoch"`, or say after how many steps.'
            checks.whole("ExactResume", "every", every, "[1, ∞)", expected)
        if os.path.exists(path) and not os.path.isdir(path):
            checks.reject("ExactResume", "path", "the name of a folder", path, "There is a file of that name.")
        super().__init__()
        self.path = os.fspath(path)
        self.every = every
        self._data = None
        self._found = None

    def set_model(self, model):
        super().set_model(model)
        fit, callbacks = fit_variables(), callback_list()
        self._data = self._found = None
        if "epoch_iterator" not in fit or callbacks is None:
            return
        self._data = DataPosition(fit, self._between)
        # Last, so that it saves what the others have become; in a list that is not the one Keras walks through now.
        others = [callback for callback in callbacks.callbacks if callback is not self]
        callbacks.callbacks = [*others, self]
        self._others = callback_states.named(others)
        self._files = Checkpoints(self.path)
        self._found = self._files.latest()
        self._first, self._since = fit.get("initial_epoch", 0), 0
        if self._found:
            self._first = self._found["first_epoch"]
            self._data.build(model)
            self._check(_MODEL, self._found)
            for name, callback in self._others.items():
                if name in self._found["callbacks"]:
                    callback_states.prepare(callback, self._found["callbacks"][name])

    def on_train_begin(self, logs=None):
        if self._data is None:
            if "epoch_iterator" in fit_variables():
                raise ValueError(
                    "ExactResume: nothing would be saved: Keras makes this `CallbackList` before `fit` has its data. "
                    "Give `fit` a plain list of callbacks."
                )
            return
        obstacle = self._data.obstacle()
        if obstacle:
            _warn(f"the position in the data cannot be restored: {obstacle}")
        found = self._found
        if not found:
            return
        self._check_position()
        unknown = set(self._others) ^ set(found["callbacks"])
        if unknown:
            _warn(f"only one of the file and this `fit` has the callbacks {', '.join(sorted(unknown))}")
        self._data.live_through(found["epoch"] - self._first)
        self._take_over(found, _MODEL, found["random"])
        # Not public: it is how Keras's `BackupAndRestore` does it.
        self._model._initial_epoch = self.params["epochs"] if found["stopped"] else found["epoch"]

    def on_epoch_begin(self, epoch, logs=None):
        if self._data is None:
            return
        self._model._initial_epoch = None
        self._epoch, self._batch = epoch, 0
        found, self._found = self._found, None
        if found and found["batch"]:
            # The other callbacks had begun this epoch before, and have just begun it again.
            self._check(("metrics",), found)
            self._take_over(found, model_state.GROUPS, found["random_of_epoch"])
            self._data.skip(found["batch"], lambda: set_random_state(from_arrays(found["random"])))
            self._batch = found["batch"]
        if self.every != "epoch":
            self._at_begin = {"random_of_epoch": as_arrays(random_state()), "data": self._data.state()}

    def on_epoch_end(self, epoch, logs=None):
        if self._data is None:
            return
        self._since += (self._data.number or self._batch + 1) - self._batch
        if self._is_due():
            self._save(epoch + 1, 0, {"data": self._data.state()})

    def on_train_end(self, logs=None):
        if self._data is not None:
            self._model._initial_epoch = None
            self._data = self._others = self._found = None

    def _between(self, batch):
        self._since += batch - self._batch
        self._batch = batch
        # Whether a batch was the last one, which data of unknown length do not tell, nobody must find out on resuming.
        if self.every != "epoch" and self._is_due() and self._data.number:
            self._save(self._epoch, batch, self._at_begin)

    def _is_due(self):
        return self.every == "epoch" or self._since >= self.every

    def _save(self, epoch, batch, more):
        self._since = 0
        # Looking at `model` makes Keras hand back the state of a running epoch on JAX.
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

    def _take_over(self, found, groups, random):
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
                f"ExactResume: the files in {self.path} are of another model: {difference}. Start the script that "
                "wrote them, or give this one another folder."
            )

    def _check_position(self):
        batch, batches, size = self._found["batch"], self._found["batches"], self._model.steps_per_execution
        if batch and (batches != self._data.number or batch % size):
            raise ValueError(
                f"ExactResume: the latest file in {self.path} was written after {batch} of {batches} batches. It "
                f"cannot be resumed with epochs of {self._data.number} batches and `steps_per_execution={size}`. Give "
                "`fit` the same data and batch size."
            )

    def get_config(self):
        return {"path": self.path, "every": self.every}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _warn(message):
    warnings.warn(f"ExactResume: {message}.", stacklevel=3)
