"""Checks during a `fit` that the run does what was written, on the variables before and after single steps."""

from typing import Any

import keras
import numpy as np

from keras_lecture.callbacks._doctor import monitored, steps
from keras_lecture.diagnosis._facts.entries import absent
from keras_lecture.diagnosis._facts.invariants import Watch, static
from keras_lecture.diagnosis._record.record import number


class Invariants:
    """Collects the invariants of a run: those of the model and one batch, and those of its first steps."""

    def __init__(self, model: keras.Model, batch: tuple[Any, Any, Any], probe: dict[str, Any], source: str) -> None:
        self._static = static(model, batch)
        self._watch = Watch(model, self._static)
        self._no_gradient = without_gradient(probe)
        self._others: dict[str, Any] = {}
        if source == "arrays":
            self._others["order_changes"] = absent("the data are arrays, whose order `fit` decides")
        self._before_evaluation: dict[str, np.ndarray] | None = None
        self._evaluated = False

    def step(self, before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> None:
        """Compares all variables before and after one of the first steps."""
        self._watch.before(before)
        self._watch.after(after)

    def evaluation_begins(self, model: keras.Model) -> None:
        """Copies all variables before the first validation."""
        if not self._evaluated:
            self._before_evaluation = steps.snapshot(model, everything=True)

    def evaluation_ends(self, model: keras.Model) -> None:
        """Compares them after it."""
        if self._before_evaluation is not None:
            self._watch.evaluation(self._before_evaluation, steps.snapshot(model, everything=True))
            self._before_evaluation, self._evaluated = None, True

    def epoch(self, seen: int | None, given: int | None) -> None:
        """Compares what is frozen with the start, and the number of samples of an epoch with the number given."""
        self._watch.trainable()
        self._watch.samples(seen, given)

    def order(self, changes: bool | None, shuffled: bool | None, epochs: int) -> None:
        """Notes whether the order of the batches differs between epochs; see `Watch.order`."""
        self._watch.order(changes, shuffled, epochs)

    def monitored(self, callbacks: Any, model: keras.Model) -> None:
        """Notes whether the other callbacks know which values are better; see `monitored.fact`."""
        self._others["improvement_known"] = monitored.fact(getattr(callbacks, "callbacks", ()), model)

    def result(self) -> dict[str, Any]:
        """The facts for `record["invariants"]`."""
        return {**self._static, **self._others, **self._watch.result(self._no_gradient)}


def without_gradient(probe: dict[str, Any]) -> list[str]:
    """The paths of weights whose gradient on the probe is zero, or what rounding leaves of zero beside the largest."""
    weights = [weight for row in probe["layers"] for weight in row.get("weights") or []]
    gradients = {weight["path"]: number(weight.get("gradient")) for weight in weights}
    sizes = {path: size for path, size in gradients.items() if size is not None and np.isfinite(size)}
    smallest = np.finfo("float32").eps * max(sizes.values(), default=0.0)
    return [*probe["no_gradient"], *(path for path, size in sizes.items() if size <= smallest)]
