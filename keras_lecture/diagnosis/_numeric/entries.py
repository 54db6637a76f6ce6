"""Single entries of a gradient against numeric derivatives, and the precision that the loss allows."""

import math
from typing import NamedTuple

import numpy as np

from keras_lecture.diagnosis._numeric.differences import compare, rounding

# Rounding of one operation, relative to its result.
_UNIT = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
# An error that no careful derivative in float64 has, and that no wrong one stays below.
_SMALLEST_TOLERANCE = 1e-5
# Random points close by, at which a kink at the weights themselves is no kink.
_POINTS_CLOSE_BY = 3


class Entry(NamedTuple):
    """One checked entry: its weight's index, its position in the flat weight, and the comparison."""

    index: int
    position: int
    analytic: float
    numeric: float
    error: float
    verdict: str


class EntryCheck:
    """The gradient of a `NumericObjective` at its weights, with the precision of its loss.

    `precision` is the lowest float type that the rounding of the loss or the types in `seen` give away.
    """

    def __init__(self, objective, seen: set[str], gradient, step: float | None, rng: np.random.Generator) -> None:
        self._objective, self._rng = objective, rng
        self._weights = objective.weights
        self.loss, self._gradients = gradient
        self._sizes = [_size(w) for w in self._weights]
        lowest = max(seen | {"float64"}, key=lambda name: _UNIT.get(name, 1.0))
        unit = _UNIT.get(lowest, _UNIT["bfloat16"])
        parts = zip(self._gradients, self._weights, strict=True)
        magnitude = max(abs(self.loss), *(_norm(g) * _norm(w) for g, w in parts), np.finfo("float64").tiny)
        # A 16-bit type rounds away the small moves that are enough otherwise.
        self._noise = max(self._measured(1e-6 if unit < 1e-6 else 1e-2), magnitude * max(unit / 100, 1e-16))
        relative = self._noise / magnitude
        self.precision = lowest if unit > _UNIT["float64"] else "float64" if relative < 1e-12 else "float32"
        self.tolerance = max(_SMALLEST_TOLERANCE, 10 * math.sqrt(relative))
        self._step = relative ** (1 / 3) if step is None else step
        self._close_by = []

    def entries(self, samples: int) -> list[Entry]:
        """The checked entries of every weight."""
        return [
            self._entry(index, position)
            for index in range(len(self._weights))
            for position in self._chosen(self._gradients[index], samples)
        ]

    def _measured(self, spacing):
        """The rounding error of the loss, along a random direction of all weights."""
        direction = self._direction()
        points = [[w + k * spacing * d for w, d in zip(self._weights, direction, strict=True)] for k in range(9)]
        noise = rounding([self._objective.value(point) for point in points])
        return noise if math.isfinite(noise) else 0.0

    def _direction(self):
        return [size * self._rng.normal(size=w.shape) for size, w in zip(self._sizes, self._weights, strict=True)]

    def _chosen(self, gradient, samples):
        """Half of them with the largest gradients, which include those that are not finite, half at random."""
        flat = np.abs(gradient.ravel())
        order = np.argsort(np.where(np.isfinite(flat), -flat, -np.inf), kind="stable")
        largest = order[: math.ceil(samples / 2)]
        rest = self._rng.permutation(order[len(largest) :])[: samples // 2]
        return [int(position) for position in (*largest, *rest)]

    def _entry(self, index, position):
        analytic = float(self._gradients[index].flat[position])
        found = self._compared(self._weights, self._gradients, index, position)
        verdict = found.verdict
        if not math.isfinite(analytic):
            return Entry(index, position, analytic, found.value, math.inf, "wrong")
        if verdict == "wrong" and self._is_at_a_kink(index, position):
            verdict = "kink"
        scale = max(_largest(self._gradients[index]), abs(found.value), self._negligible(self._gradients))
        error = abs(analytic - found.value) / scale if scale else 0.0
        return Entry(index, position, analytic, found.value, error if math.isfinite(error) else 0.0, verdict)

    def _compared(self, weights, gradients, index, position):
        size = max(abs(weights[index].flat[position]), self._sizes[index])
        return compare(
            self._objective.along(weights, index, position),
            float(gradients[index].flat[position]),
            _largest(gradients[index]),
            self._step * size,
            self._noise,
            self.tolerance,
            self._negligible(gradients),
        )

    def _negligible(self, gradients):
        """A derivative that is nothing beside the largest one of the model."""
        return 0.1 * self.tolerance * max(map(_largest, gradients))

    def _is_at_a_kink(self, index, position):
        """Whether the entry is right at random points close by, where a loss has a derivative almost surely."""
        verdicts = []
        for point in range(_POINTS_CLOSE_BY):
            if point == len(self._close_by):
                pairs = zip(self._weights, self._direction(), strict=True)
                moved = self._objective.rounded([w + 20 * self._step * d for w, d in pairs])
                self._close_by.append((moved, self._objective.gradient(moved)[1]))
            verdicts.append(self._compared(*self._close_by[point], index, position).verdict)
            if verdicts[-1] == "wrong":
                return False
        return "right" in verdicts


def _largest(gradient):
    finite = np.abs(gradient[np.isfinite(gradient)])
    return float(finite.max()) if finite.size else 0.0


def _norm(array):
    return float(np.linalg.norm(array[np.isfinite(array)]))


def _size(weight):
    """The typical size of a weight's entries; a weight of zeros may become of any size."""
    rms = float(np.sqrt(np.mean(np.square(weight)))) if weight.size else 0.0
    return max(rms, 1e-3) if rms else 0.1
