"""Invariants of a running `fit`, from snapshots of its variables around single training steps and evaluations."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_lecture._core.listing import listed
from keras_lecture._core.weights import layers
from keras_lecture.diagnosis._facts import variables
from keras_lecture.diagnosis._facts.entries import Facts, entry
from keras_lecture.diagnosis._facts.movement import Movement
from keras_lecture.diagnosis._facts.recorded_pass import array, same

Values = Mapping[Any, np.ndarray]


class Watch:
    """Collects snapshots of a `fit` and judges its invariants.

        watch = Watch(model, facts)                 at the start of `fit`; `facts` are those of `static`
        watch.before(values); watch.after(values)   around each of the first training steps
        watch.evaluation(before, after)             around an evaluation
        watch.trainable(); watch.order(…)           at the end of an epoch
        watch.result(no_gradient)                   facts, for the record

    `values` maps the keys of `named_variables(model)`, which are paths, to NumPy arrays; where paths are unique that is
    `{v.path: v.numpy()}`. A key may also be the position in `named_variables(model)`. A training step may be several
    (`steps_per_execution`).
    """

    def __init__(self, model: keras.Model, facts: Facts | None = None) -> None:
        self.model = model
        self._facts = facts or {}
        self._custom = variables.has_custom_train_step(model)
        self._start: dict[str, np.ndarray] | None = None
        self._movement: Movement | None = None
        self._found: Facts = {}
        self._optimizer = getattr(model, "optimizer", None)
        self._frozen_at_start = {id(v) for v in variables.frozen(model)}
        self._trained_at_start = {id(v) for v in model.trainable_variables}

    def before(self, values: Values) -> None:
        """The state before a training step."""
        if self._movement is None:
            self._movement = Movement(self.model)
        self._start = self._named(values)

    def after(self, values: Values) -> None:
        """The state after that step."""
        if self._start is None or self._movement is None:
            return
        self._movement.add(self._start, self._named(values))
        self._start = None

    def trainable(self) -> None:
        """Compares what is frozen now with the start of `fit`; a model compiled since then starts again."""
        if self.model.optimizer is not self._optimizer or self._custom:
            return
        changed = [v.path for v in variables.frozen(self.model) if id(v) in self._trained_at_start]
        changed += [v.path for v in self.model.trainable_variables if id(v) in self._frozen_at_start]
        if changed:
            detail = f"`trainable` of {listed(changed)} has changed during `fit`"
            self._found["trainable_as_compiled"] = entry(False, changed[0], detail)

    def evaluation(self, before: Values, after: Values) -> None:
        """Compares the states before and after an evaluation."""
        first, second = self._named(before), self._named(after)
        keys = {id(v): key for key, v in variables.named_variables(self.model).items()}
        weights = [*self.model.trainable_variables, *variables.frozen(self.model)]
        statistics = [v for layer in _normalizations(self.model) for v in (layer.moving_mean, layer.moving_variance)]
        names = [keys[id(v)] for v in (*weights, *statistics) if id(v) in keys]
        changed = [name for name in names if name in first and name in second and not same(first[name], second[name])]
        known = self._facts.get("evaluation_changes_nothing", {})
        if not changed:
            found = known if known.get("holds") is False else entry(True, None, "")
        elif known.get("holds") is True and not variables.has_custom_test_step(self.model):
            # Callbacks may exchange the weights for their averages while an evaluation runs.
            found = entry(None, None, f"{listed(changed)} changed, but not by the model: a callback may have done it")
        else:
            found = entry(False, changed[0], f"an evaluation changes {listed(changed)}")
        if self._found.get("evaluation_changes_nothing", {}).get("holds") is not False:
            self._found["evaluation_changes_nothing"] = found

    def order(self, changes: bool | None, shuffled: bool | None, epochs: int) -> None:
        """Whether the first batches of some epochs differ, and whether the data set says that they should."""
        detail = f"{epochs} epochs began with the same batch" if changes is False else ""
        if changes is None:
            detail = "too few epochs, batches or different rows to tell"
        self._found["order_changes"] = entry(changes, None, detail)
        if changes is False and not shuffled:
            # A fixed order may be intended.
            self._found["order_changes"]["severity"] = "low"

    def samples(self, seen: int | None, given: int | None) -> None:
        """The number of samples that an epoch saw, and that of the data; `None` if unknown or bounded on purpose."""
        if seen is None or given is None:
            self._found["samples_seen"] = entry(None, None, "the number of samples is unknown")
        else:
            self._found["samples_seen"] = entry(seen == given, None, f"{seen} of {given} samples per epoch")

    def result(self, no_gradient: Sequence[str] | None = None) -> Facts:
        """The facts so far. `no_gradient` are the paths of weights with a gradient of exactly 0 on a probe."""
        facts = {}
        if self._movement is not None and self._movement.steps:
            facts = self._movement.result(self._facts, self._custom, no_gradient)
        return {**facts, **self._found}

    def _named(self, values):
        keys = list(variables.named_variables(self.model))
        return {keys[key] if isinstance(key, int) else key: np.asarray(value) for key, value in values.items()}


def digest(batch: Any) -> str | None:
    """A digest of a batch, `"hash:n"`: equal for equal rows in equal order.

    n is the logarithm of the number of different orders of its rows: equal rows have no order. `None` without rows.
    """
    parts = [array(leaf) for leaf in keras.tree.flatten(batch) if leaf is not None]
    if not parts or any(not part.shape or len(part) != len(parts[0]) for part in parts) or not len(parts[0]):
        return None
    rows = [hashlib.sha1(b"".join(_bytes(part[i]) for part in parts)).digest() for i in range(len(parts[0]))]
    counts = np.unique(np.array([row.hex() for row in rows]), return_counts=True)[1]
    orders = math.lgamma(len(rows) + 1) - sum(math.lgamma(count + 1) for count in counts)
    return f"{hashlib.sha1(b''.join(rows)).hexdigest()}:{orders:.3f}"


def _bytes(values):
    return str(values).encode() if values.dtype.kind == "O" else np.ascontiguousarray(values).tobytes()


def _normalizations(model):
    return [layer for layer in layers(model) if isinstance(layer, keras.layers.BatchNormalization) and layer.built]
