"""`TerminateOnNonFinite`: training that ends at its first infinity or NaN, with the weights from before it."""

import itertools
import math
import os
import weakref
from collections import deque
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._training.pipeline import pipeline_of
from keras_lecture._training.readings import Readings
from keras_lecture._training.running_fit import callback_list, calls_directly
from keras_lecture.callbacks._watch.monitoring import say
from keras_lecture.callbacks._watch.norms import all_finite
from keras_lecture.callbacks._watch.observe import Observer
from keras_lecture.diagnosis import first_nonfinite

_CURES = {
    "weight": "The update of the batch before made it so: lower the learning rate, or clip gradients.",
    "input": "Look for missing values and divisions in the data.",
    "target": "Look for missing values and divisions in the data.",
    "activation": "A logarithm, root, quotient or power in it met a number that it is not made for: "
    "normalize what goes into it, or lower the learning rate.",
    "loss": "A logarithm or a quotient in it met 0: let the loss take logits, or bound what it is given.",
    "gradient": "A root, norm or quotient has none at 0: add a small number inside of it, or clip gradients.",
    "unknown": "One operation after the other, with other random numbers, the batch gives finite numbers.",
}


class Finding(NamedTuple):
    """What `TerminateOnNonFinite` found: when (both from 0), what and where, and the files it wrote."""

    epoch: int
    batch: int
    kind: str
    where: str
    message: str
    batch_path: str | None = None
    weights_path: str | None = None


class _Kept(NamedTuple):
    """A batch of late, and when it was."""

    step: int
    epoch: int
    batch: int
    data: tuple


@register
class TerminateOnNonFinite(Observer):
    """Stops training at the first batch that makes a loss or a gradient infinite or NaN, and says where that begins.

    Use it on every long run, and to find the cause of a NaN: the step is refused, so the model keeps the weights,
    statistics and optimizer from before that batch. Then one pass on the batch names the first layer with an output
    that is not finite, and tells weight, input, activation, target, loss and gradient apart, see
    `keras_lecture.diagnosis.first_nonfinite`. Costs a pass over the gradients and, as any callback that looks at each
    batch, that Keras waits for its end.

        w ← w   instead of the optimizer's step, from the first batch on whose loss or gradient is not finite

    Training that stays finite is as without it. `finding` tells `epoch`, `batch`, `kind`, `where` and `message`, which
    is also printed; it is `None` after a training that was stopped by nothing. To reproduce the step:

        model.load_weights("broken.weights.h5")
        model.train_on_batch(**np.load("broken.npz"))

    Args:
        path: Where to save the batch (`path.npz`) and the weights from before it (`path.weights.h5`). Defaults to
            `None`: nowhere.
        every: Look every so many calls of the train step, and keep as many batches until then. The batch, and the
            weights from before it, are the same; training goes on to no effect for a while. Defaults to `1`.

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
        Deck A (the tuning table: exploding). `keras.callbacks.TerminateOnNaN` sees the mean loss of the epoch alone,
        after the weights are spoilt. Under Keras's loss scaling a gradient that overflows is no fault while the scale
        is above 1, and a batch with a loss that is not finite has moved the statistics of batch normalization. An
        update that makes weights overflow by itself is found at the next batch, as a `weight`, and not undone. Where
        the gradients cannot be seen (a warning says so) only the logged loss is, after the step. What a callback before
        it in the list deals with, as `GradientClipping(…, on_nonfinite="skip")`, is no fault. Dropout on PyTorch draws
        other masks in the pass that looks for the layer.
    """

    refuses = True
    loss_of_sight = "only the logged loss is watched, after the step, and no step is refused"
    finding: Finding | None = None

    def __init__(self, path: str | None = None, *, every: int = 1):
        if path is not None and (not isinstance(path, str | os.PathLike) or not os.fspath(path)):
            checks.reject("TerminateOnNonFinite", "path", "a path without an extension, or None", path, error=TypeError)
        checks.whole("TerminateOnNonFinite", "every", every, "[1, ∞)")
        super().__init__()
        self.path = None if path is None else os.fspath(path)
        self.every = every

    def readings_for(self, variables):
        self._paths = [variable.path for variable in variables]
        return _FirstFault()

    def differentiated(self, loss):
        # The gradient of an infinite loss may be finite (of an absolute error it is 1): this one is NaN everywhere.
        return loss * ops.where(ops.isfinite(loss), ops.ones_like(loss), float("nan"))

    def before(self, step):
        fine = ops.all(all_finite(step.batch))
        if step.loss is not None:
            fine = ops.logical_and(fine, ops.isfinite(step.loss))
        self._hears_loss = not step.is_dynamically_scaled
        if step.is_dynamically_scaled:
            fine = ops.logical_or(fine, ops.convert_to_tensor(step.scale) > 1.0)
        if not step.taken.is_true:
            # Another callback has dealt with it.
            fine = ops.logical_or(fine, ops.logical_not(step.taken.value))
        # The steps after the first fault must not move the weights before the callback looks.
        step.taken = step.taken & ops.logical_and(fine, self.readings.first.value < 0)
        return fine

    def after(self, step, memo):
        return (memo,)

    def on_train_begin(self, logs=None):
        self.finding = None
        self._broken = False
        # Whether a loss that is not finite reaches the gradient; otherwise the logs must tell.
        self._hears_loss = False
        self._steps = self._calls = 0
        # Readings of its own for each `fit`: the first fault is that of this one.
        self.readings = None
        size = self._model.steps_per_execution
        # And one more: the batch that came before the first.
        self._kept = deque(maxlen=self.every * size + 1)
        super().on_train_begin(logs)
        callbacks = callback_list()
        self._callbacks = None if callbacks is None else weakref.ref(callbacks)
        self._watched = self._run or pipeline_of(self._model).open(callbacks)
        self._watched.surround(self._around)

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_begin(self, batch, logs=None):
        self._batch = batch

    def on_epoch_end(self, epoch, logs=None):
        if self._broken or (self.model and self._first() >= 0):
            self._broken, self._model.stop_training = False, True
            self._report()
        super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs=None):
        self._kept.clear()
        super().on_train_end(logs)
        self._watched.release(self._around)

    def _around(self, plain, *args):
        """A call of the train function, which gets its batches from an iterator or, on PyTorch, in a list."""
        if self._callbacks is not None and not calls_directly(self._callbacks()):
            # A callback trains by itself, as a sweep over learning rates does.
            return plain(*args)
        *state, data = args
        batches = data if isinstance(data, list) else list(itertools.islice(data, self._model.steps_per_execution))
        if not batches:
            raise StopIteration
        for place, batch in enumerate(batches):
            self._kept.append(_Kept(self._steps, self._epoch, self._batch + place, batch))
            self._steps += 1
        result = plain(*state, iter(batches) if state else batches)
        self._calls += 1
        if self._calls % self.every == 0:
            logs, carried = (result[0], result[1][1]) if state else (result, None)
            heard = self._hears_loss or math.isfinite(float(logs.get("loss", 0.0)))
            if self._first(carried) >= 0 or not heard:
                self._broken = self._model.stop_training = True
        return result

    def _first(self, carried=None) -> int:
        """The first step with a fault, or −1. On JAX `carried` are the values of the non-trainable variables."""
        if self.readings is None:
            return -1
        variable = self.readings.first
        if carried is None:
            return int(ops.convert_to_numpy(variable))
        places = [place for place, other in enumerate(self._model.non_trainable_variables) if other is variable]
        return int(carried[places[0]]) if places else -1

    def _report(self):
        model, first = self.model, self._first()
        kept = [each for each in self._kept if first < 0 or each.step == first]
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
            each = before[0]
        files = self._save(model, each) if self.path is not None else ()
        message = f"Epoch {each.epoch + 1}, batch {each.batch + 1}: {message}. {_CURES[kind]}"
        if files:
            message += f" The batch and the weights are in {files[0]} and {files[1]}."
        self.finding = Finding(each.epoch, each.batch, kind, where, message, *files)
        say(message)

    def _save(self, model, kept):
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        arrays = {}
        for name, part in zip(("x", "y", "sample_weight"), _unpacked(kept.data), strict=True):
            leaves = [ops.convert_to_numpy(leaf) for leaf in keras.tree.flatten(part) if leaf is not None]
            single = len(leaves) == 1
            arrays |= {name if single else f"{name}_{place}": np.array(leaf) for place, leaf in enumerate(leaves)}
        files = f"{self.path}.npz", f"{self.path}.weights.h5"
        np.savez(files[0], **arrays)
        model.save_weights(files[1])
        return files

    def get_config(self):
        return {"path": self.path, "every": self.every}


class _FirstFault(Readings):
    """The number of the first step with a fault, −1 before; it shows nothing and forgets nothing."""

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
    """`x`, `y` and sample weights; TensorFlow has something of its own for what is not there."""
    parts = keras.utils.unpack_x_y_sample_weight(data)
    return keras.tree.map_structure(lambda leaf: leaf if hasattr(leaf, "shape") else None, parts)
