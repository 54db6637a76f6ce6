"""The states of callbacks: of `Stateful` ones by their methods, of Keras's own by their attributes."""

import os
from typing import Any

import keras

from keras_lecture._core.stateful import Stateful

_theirs = keras.callbacks
# The attributes that Keras's callbacks keep between epochs. They are undocumented: a test trains with each callback.
_REMEMBERED = {
    _theirs.EarlyStopping: ("wait", "stopped_epoch", "best", "best_weights", "best_epoch"),
    _theirs.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    _theirs.ModelCheckpoint: ("best", "_batches_seen_since_last_saving", "_last_batch_seen"),
    _theirs.SwapEMAWeights: ("_ema_weights_in_model",),
    _theirs.CSVLogger: ("keys", "append"),
    _theirs.History: ("history", "epoch"),
}


def named(callbacks) -> dict[str, Any]:
    """The callbacks that have a state, by class name and number, as in `"EarlyStopping 1"`."""
    found = {}
    for callback in callbacks:
        if isinstance(callback, Stateful) or _remembered(callback):
            name, number = type(callback).__name__, 1
            while f"{name} {number}" in found:
                number += 1
            found[f"{name} {number}"] = callback
    return found


def state(callback) -> dict[str, Any]:
    """The state of a callback, for `prepare` and `restore`."""
    if isinstance(callback, Stateful):
        return callback.state()
    remembered = {name: getattr(callback, name, None) for name in _remembered(callback)}
    if isinstance(callback, _theirs.CSVLogger):
        remembered["size"] = os.path.getsize(callback.filename) if os.path.exists(callback.filename) else 0
    return remembered


def prepare(callback, saved):
    """Restores `Stateful` callbacks and log files, before any `on_train_begin`, which would empty a log."""
    if isinstance(callback, Stateful):
        callback.restore(saved)
    elif isinstance(callback, _theirs.CSVLogger) and os.path.exists(callback.filename):
        # Removes the lines of epochs that will be repeated.
        if os.path.getsize(callback.filename) > saved["size"]:
            os.truncate(callback.filename, saved["size"])
        callback.append = True


def restore(callback, saved):
    """Restores Keras's callbacks, after every `on_train_begin`, which resets them."""
    if not isinstance(callback, Stateful):
        for name in _remembered(callback):
            setattr(callback, name, saved[name])


def _remembered(callback):
    return next((names for kind, names in _REMEMBERED.items() if isinstance(callback, kind)), ())
