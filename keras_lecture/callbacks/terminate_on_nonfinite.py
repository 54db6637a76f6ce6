"""`TerminateOnNonFinite`: stops training at the first infinity or NaN, with the weights from before it."""

import math
import os
import weakref
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_lecture import _backend
from keras_lecture._core import checks
from keras_lecture._core.types import Tensor
from keras_lecture._core.whole_files import written
from keras_lecture._training.pipeline import pipeline_of
from keras_lecture._training.readings import Readings
from keras_lecture._training.running_fit import callback_list, calls_directly
from keras_lecture._training.step import Step
from keras_lecture.callbacks._watch.monitoring import say
from keras_lecture.callbacks._watch.norms import all_finite
from keras_lecture.callbacks._watch.observe import Observer
from keras_lecture.diagnosis import first_nonfinite

_CURES = {
    "weight": "The update of the previous batch caused it: lower the learning rate, or clip gradients.",
    "input": "Look for missing values and divisions in the data.",
    "target": "Look for missing values and divisions in the data.",
    "activation": "A logarithm, root, quotient or power in it is undefined at its input, or overflows: "
    "normalize its inputs, or lower the learning rate.",
    "loss": "A logarithm or a quotient in it received 0: compute the loss from logits, or bound its inputs.",
    "gradient": "A root, norm or quotient has no gradient at 0: add a small number inside it, or clip gradients.",
    "unknown": "Repeated operation by operation, with other random numbers, the batch gives finite numbers.",
}


class Finding(NamedTuple):
    """The finding of `TerminateOnNonFinite`: epoch and batch (from 0), kind and place of the fault, and saved files."""

    epoch: int
    batch: int
    kind: str
    where: str
    message: str
    batch_path: str | None = None
    weights_path: str | None = None


class _Kept(NamedTuple):
    """A recent batch and its step."""

    step: int
    epoch: int
    batch: int
    data: tuple


class TerminateOnNonFinite(Observer):
    """Stops training at the first batch whose loss or gradient is infinite or NaN, and locates the cause.

    Use it on every long run, and to find the cause of a NaN: the step is not taken, so the model keeps the weights,
    statistics and optimizer state from before that batch. One more pass over the batch then names the first layer whose
    output is not finite, and tells weight, input, activation, target, loss and gradient apart, see
    `keras_lecture.diagnosis.first_nonfinite`. Costs a pass over the gradients and, like any callback that checks each
    batch, makes Keras wait for each batch to finish.

        w ← w   instead of the optimizer's step, from the first batch on whose loss or gradient is not finite

    Training that stays finite is unchanged. `finding` holds `epoch`, `batch`, `kind`, `where` and `message`, which is
    also printed; it is `None` if no fault was found. To reproduce the step:

        model.load_weights("broken.weights.h5")
        model.train_on_batch(**np.load("broken.npz"))

    Parts of a structure are numbered, as `y_0` and `y_1` for two outputs: put them together again before.

    Args:
        path: Where to save the batch (`path.npz`) and the weights from before it (`path.weights.h5`). Defaults to
            `None`: nothing is saved.
        every: Number of calls of the train step between checks, and of batches kept until then. The batch found and the
            weights from before it are the same; the steps up to the check have no effect. Defaults to `1`.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, name="line")])
        >>> model.add(keras.layers.Lambda(keras.ops.log, name="log"))
        >>> model.compile("sgd", loss="mse")
        >>> model.set_weights([np.array([[1.0]])])
        >>> guard = keras_lecture.callbacks.TerminateOnNonFinite()
        >>> x = np.array([[1.0], [1.0], [0.0], [1.0]])
        >>> _ = model.fit(x, np.zeros((4, 1)), batch_size=1, shuffle=False, verbose=0, callbacks=[guard])
        Epoch 1, batch 3: the output of 'log' is not finite, while what goes into it is. A logarithm, ...
        >>> guard.finding.kind, guard.finding.where, float(model.get_weights()[0][0, 0])
        ('activation', 'log', 1.0)

    Reference:
        Deck A (the tuning table: exploding). `keras.callbacks.TerminateOnNaN` checks the mean loss of the epoch only,
        after the update has reached the weights. Under Keras's loss scaling a gradient that overflows is no fault while
        the scale is above 1, and a batch with a loss that is not finite has moved the statistics of batch
        normalization. An update that makes weights overflow by itself is found at the next batch, as a `weight`, and
        not undone. Where the gradients cannot be observed (a warning says so), only the logged loss is checked, after
        the step. A batch that an earlier callback in the list handles, as `GradientClipping` with
        `on_nonfinite="skip"` does, is no fault. On PyTorch, dropout draws other masks in the pass that locates the
        layer.
    """

    refuses = True
    unseen_effect = "only the logged loss is checked, after the step, and no step is skipped"
    finding: Finding | None = None

    def __init__(self, path: str | os.PathLike[str] | None = None, *, every: int = 1) -> None:
        if path is not None and (not isinstance(path, str | os.PathLike) or not os.fspath(path)):
            checks.reject("TerminateOnNonFinite", "path", "a path without an extension, or None", path, error=TypeError)
        checks.whole("TerminateOnNonFinite", "every", every, "[1, ∞)")
        super().__init__()
        self.path: str | None = None if path is None else os.fspath(path)
        self.every = every

    def readings_for(self, variables: list[keras.Variable]) -> Readings:
        self._paths = [variable.path for variable in variables]
        return _FirstFault()

    def differentiated(self, loss: Tensor) -> Tensor:
        # An infinite loss may have a finite gradient (1 for an absolute error): the factor makes it NaN everywhere.
        return loss * ops.where(ops.isfinite(loss), ops.ones_like(loss), float("nan"))

    def before(self, step: Step) -> Tensor:
        fine = ops.all(all_finite(step.batch))
        if step.loss is not None:
            fine = ops.logical_and(fine, ops.isfinite(step.loss))
        self._covers_loss = not step.is_dynamically_scaled
        if step.is_dynamically_scaled:
            fine = ops.logical_or(fine, ops.convert_to_tensor(step.scale) > 1.0)
        if not step.taken.is_true:
            # Another callback has already skipped the step.
            fine = ops.logical_or(fine, ops.logical_not(step.taken.value))
        # The steps between the first fault and the next check must not move the weights.
        step.taken = step.taken & ops.logical_and(fine, self.readings.first.value < 0)
        return fine

    def after(self, step: Step, memo: Tensor) -> tuple[Any, ...]:
        return (memo,)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.finding = None
        self._broken = False
        # Whether the step checks the loss; otherwise the logged loss is checked.
        self._covers_loss = False
        self._steps = self._calls = 0
        # New readings for each `fit`: each has its own first fault.
        self.readings = None
        size = self._model.steps_per_execution
        # One more, for the batch before the first of them.
        self._kept = deque(maxlen=self.every * size + 1)
        super().on_train_begin(logs)
        callbacks = callback_list()
        self._callbacks = None if callbacks is None else weakref.ref(callbacks)
        self._watched = self._run or pipeline_of(self._model).open(callbacks)
        self._watched.surround(self._around)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._batch = batch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._broken or (self.model and self._first() >= 0):
            self._broken, self._model.stop_training = False, True
            self._report()
        super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._kept.clear()
        super().on_train_end(logs)
        self._watched.release(self._around)

    def _around(self, plain, *args):
        """Wraps the train function, which gets an iterator of batches or, on PyTorch, a list."""
        if self._callbacks is not None and not calls_directly(self._callbacks()):
            # A callback trains inside this `fit`, as a learning rate sweep does.
            return plain(*args)
        *state, data = args
        batches, data = _backend.execution(data, self._model.steps_per_execution)
        if not batches:
            raise StopIteration
        for offset, batch in enumerate(batches):
            self._kept.append(_Kept(self._steps, self._epoch, self._batch + offset, batch))
            self._steps += 1
        result = plain(*state, data)
        self._calls += 1
        if self._calls % self.every == 0:
            logs, carried = (result[0], result[1][1]) if state else (result, None)
            loss_is_fine = self._covers_loss or math.isfinite(float(logs.get("loss", 0.0)))
            if self._first(carried) >= 0 or not loss_is_fine:
                self._broken = self._model.stop_training = True
        return result

    def _first(self, carried=None) -> int:
        """The first faulty step, or −1. On JAX `carried` holds the values of the non-trainable variables."""
        if self.readings is None:
            return -1
        variable = self.readings.first
        if carried is None:
            return int(ops.convert_to_numpy(variable))
        indices = [index for index, v in enumerate(self._model.non_trainable_variables) if v is variable]
        return int(carried[indices[0]]) if indices else -1

    def _report(self):
        model, first = self.model, self._first()
        kept = [self._whole(each) for each in self._kept if first < 0 or each.step == first]
        for each in kept:
            found = first_nonfinite(model, *_unpacked(each.data))
            if found is not None:
                break
        else:
            each = kept[-1]
            found = "unknown", model.name, "the loss or a gradient was not finite"
        kind, where, message = found
        before = [other for other in self._kept if other.step == each.step - 1]
        if kind == "weight" and before:
            each = self._whole(before[0])
        files = self._save(model, each) if self.path is not None else ()
        message = f"Epoch {each.epoch + 1}, batch {each.batch + 1}: {message}. {_CURES[kind]}"
        if files:
            message += f" The batch and the weights are in {files[0]} and {files[1]}."
        self.finding = Finding(each.epoch, each.batch, kind, where, message, *files)
        say(message)

    def _whole(self, kept):
        return kept._replace(data=_backend.global_batch(self._model, kept.data))

    def _save(self, model, kept):
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        arrays = {}
        for name, part in zip(("x", "y", "sample_weight"), _unpacked(kept.data), strict=True):
            leaves = [ops.convert_to_numpy(leaf) for leaf in keras.tree.flatten(part) if leaf is not None]
            single = len(leaves) == 1
            arrays |= {name if single else f"{name}_{index}": np.array(leaf) for index, leaf in enumerate(leaves)}
        files = f"{self.path}.npz", f"{self.path}.weights.h5"
        with written(files[0]) as batch, written(files[1]) as weights:
            np.savez(batch, **arrays)
            model.save_weights(weights)
        return files

    def get_config(self) -> dict[str, Any]:
        return {"path": self.path, "every": self.every}


class _FirstFault(Readings):
    """The number of the first faulty step, −1 before one; never logged and never reset."""

    def __init__(self):
        super().__init__((), "first_fault")
        self.steps = self.add_variable((), "zeros", dtype="int32", name="steps")
        self.first = self.add_variable((), keras.initializers.Constant(-1), dtype="int32", name="first")

    def update_state(self, fine):
        new = ops.logical_and(self.first.value < 0, ops.logical_not(fine))
        self.first.assign(ops.where(new, self.steps.value, self.first.value))
        self.steps.assign_add(1)

    def reset_state(self):
        pass


def _unpacked(data):
    """`x`, `y` and sample weights, `None` where absent, which TensorFlow marks by an object of its own."""
    parts = keras.utils.unpack_x_y_sample_weight(data)
    return keras.tree.map_structure(lambda leaf: leaf if hasattr(leaf, "shape") else None, parts)
