"""The states of the callbacks of a `fit`: of those that offer it, and of Keras's own, which do not."""

import os
from typing import Any

import keras

from keras_lecture._core.stateful import Stateful

_theirs = keras.callbacks
# What Keras's callbacks know of the epochs before. None of it is documented: a test trains with each of them.
_REMEMBERED = {
    _theirs.EarlyStopping: ("wait", "stopped_epoch", "best", "best_weights", "best_epoch"),
    _theirs.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    _theirs.ModelCheckpoint: ("best", "_batches_seen_since_last_saving", "_last_batch_seen"),
    _theirs.SwapEMAWeights: ("_ema_weights_in_model",),
    _theirs.CSVLogger: ("keys", "append"),
    _theirs.History: ("history", "epoch"),
}


def named(callbacks) -> dict[str, Any]:
    """The callbacks that have a state, by their class, and by their number where there are several of one."""
    found = {}
    for callback in callbacks:
        if isinstance(callback, Stateful) or _remembered(callback):
            name, number = type(callback).__name__, 1
            while f"{name} {number}" in found:
                number += 1
            found[f"{name} {number}"] = callback
    return found


def state(callback) -> dict[str, Any]:
    """What `prepare` and `restore` need."""
    if isinstance(callback, Stateful):
        return callback.state()
    remembered = {name: getattr(callback, name, None) for name in _remembered(callback)}
    if isinstance(callback, _theirs.CSVLogger):
        remembered["size"] = os.path.getsize(callback.filename) if os.path.exists(callback.filename) else 0
    return remembered


def prepare(callback, saved):
    """Before any callback's `on_train_begin`: our protocol says so, and a log would be emptied there."""
    if isinstance(callback, Stateful):
        callback.restore(saved)
    elif isinstance(callback, _theirs.CSVLogger) and os.path.exists(callback.filename):
        # Lines of epochs that come again.
        if os.path.getsize(callback.filename) > saved["size"]:
            os.truncate(callback.filename, saved["size"])
        callback.append = True


def restore(callback, saved):
    """After every callback's `on_train_begin`, in which Keras's forget."""
    if not isinstance(callback, Stateful):
        for name in _remembered(callback):
            setattr(callback, name, saved[name])


def _remembered(callback):
    return next((names for kind, names in _REMEMBERED.items() if isinstance(callback, kind)), ())
