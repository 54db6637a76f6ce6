"""Losses that training steps logged, and movements of the weights in single steps."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture import _backend
from keras_lecture.diagnosis._facts.variables import named_variables

# Larger models are compared on evenly spaced elements of each weight.
_ELEMENTS = 1 << 22
_PER_EPOCH = 64


class Losses:
    """The running means of the loss that a `fit` logs, kept unread until the end of the epoch, and their differences.

    A value read earlier would make the host wait for the device in each step.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[int, Any]] = []
        self._stride = 1

    def note(self, steps: int, logs: Any) -> None:
        """Keeps the mean of the loss over the first `steps` steps of the epoch."""
        if not isinstance(logs, dict) or "loss" not in logs or steps % self._stride:
            return
        self._kept.append((steps, logs["loss"]))
        if len(self._kept) >= 2 * _PER_EPOCH:
            self._stride *= 2
            self._kept = [(step, value) for step, value in self._kept if step % self._stride == 0]

    def finish(self, size: int | None = None, rows: int | None = None) -> list[tuple[int, float]]:
        """`(steps, mean loss of the samples since the previous entry)` of this epoch.

        Keras takes the mean over samples: batches of `size` of so many `rows`. If these are unknown, the last batch is
        left out, as it may be smaller than the others.
        """
        means, before, total = [], 0, 0.0
        for steps, value in self._kept:
            count = min(steps * size, rows) if size and rows else steps
            value = float(np.asarray(ops.convert_to_numpy(value)).mean())
            if count > before:
                means.append((steps, (count * value - total) / (count - before)))
            before, total = count, count * value
        self._kept, self._stride = [], 1
        return means if size and rows or len(means) < 2 else means[:-1]


def snapshot(model: keras.Model, state: Any = None, everything: bool = False) -> dict[str, np.ndarray]:
    """Copies of the trainable variables by name, with `everything` of all variables of model and optimizer.

    On JAX `state` are the lists of values that the train function receives or returns.
    """
    named = named_variables(model)
    groups = model.trainable_variables, model.non_trainable_variables, model.optimizer.variables
    if state is None:
        values = {id(v): v for group in groups for v in group}
    else:
        pairs = [pair for group, part in zip(groups, state, strict=False) for pair in zip(group, part, strict=True)]
        values = {id(variable): value for variable, value in pairs}
    count = len(named) if everything else len(model.trainable_variables)
    total = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    stride = max(1, total // _ELEMENTS)
    found = {}
    for name, variable in list(named.items())[:count]:
        # A copy: the step may reuse the memory.
        array = np.array(ops.convert_to_numpy(values[id(variable)]))
        found[name] = array.reshape(-1)[::stride].copy() if stride > 1 and array.size > 1024 else array
    return found


def moved(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """`{path: {"update": ‖Δw‖/‖w‖, "moved": whether any element changed}}`."""
    found = {}
    for path, old in before.items():
        new = after[path]
        with np.errstate(all="ignore"):
            change = np.linalg.norm((new.astype("float64") - old).ravel())
            norm = np.linalg.norm(old.astype("float64").ravel())
        ratio = float(change / norm) if norm else None
        found[path] = {"update": ratio, "moved": not np.array_equal(old, new)}
    return found


def cosine(first: dict[str, np.ndarray], second: dict[str, np.ndarray], third: dict[str, np.ndarray]) -> float | None:
    """The cosine of the angle between two consecutive updates, `second − first` and `third − second`."""
    with np.errstate(all="ignore"):
        a = np.concatenate([(second[path].astype("float64") - first[path]).ravel() for path in first])
        b = np.concatenate([(third[path].astype("float64") - second[path]).ravel() for path in first])
        norms = np.linalg.norm(a) * np.linalg.norm(b)
        return float(a @ b / norms) if norms > 0 and np.isfinite(norms) else None


def exposed(model: keras.Model, state: Any, *, as_copies: bool) -> None:
    """On JAX, gives the model's variables the values that the train function has received.

    A trial that trains the model before the step needs copies: its steps reuse the memory of what they are given.
    """
    if _backend.PURE_TRAIN_STEP and state is not None:
        _backend.recover(model, keras.tree.map_structure(ops.copy, state) if as_copies else state)
