"""The course of the training loss that `fit` saw, and its slope with a confidence interval."""

import dataclasses
import math
from typing import Any

import numpy as np

from keras_lecture.diagnosis._record.record import Record, number


@dataclasses.dataclass(frozen=True)
class Slope:
    """A slope per step with its 95 % confidence interval."""

    low: float
    middle: float
    high: float


def finite(value: Any) -> float | None:
    """A number of a record, or `None` if it is missing or not finite."""
    value = number(value)
    return value if value is not None and math.isfinite(value) else None


def fit_losses(record: Record) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of the training losses that `fit` saw, with regularization; only finite values."""
    losses = record.get("losses") or {}
    pairs = list(zip(losses.get("steps", []), losses.get("values", []), strict=False))
    if not pairs:
        pairs = [(epoch.get("step", i), epoch["logs"].get("loss")) for i, epoch in enumerate(record.get("epochs", []))]
    pairs = [(step, finite(loss)) for step, loss in pairs]
    pairs = [(step, loss) for step, loss in pairs if loss is not None]
    return np.array([p[0] for p in pairs], float), np.array([p[1] for p in pairs], float)


def thin(steps: np.ndarray, values: np.ndarray, size: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Means of at most `size` equal blocks."""
    if not len(values):
        return steps, values
    starts = np.linspace(0, len(values), min(size, len(values)), endpoint=False).astype(int)
    counts = np.diff(np.append(starts, len(values)))
    return np.add.reduceat(steps, starts) / counts, np.add.reduceat(values, starts) / counts


def theil_sen(steps: np.ndarray, values: np.ndarray) -> Slope | None:
    """The median of the slopes between all pairs, with Kendall's confidence interval; `None` below five points."""
    steps, values = thin(np.asarray(steps, float), np.asarray(values, float))
    n = len(values)
    if n < 5:
        return None
    first, second = np.triu_indices(n, 1)
    apart = steps[second] != steps[first]
    first, second = first[apart], second[apart]
    if not len(first):
        return None
    slopes = np.sort((values[second] - values[first]) / (steps[second] - steps[first]))
    half = 1.96 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18) / 2
    low = max(0, math.floor(len(slopes) / 2 - half))
    high = min(len(slopes) - 1, math.ceil(len(slopes) / 2 + half))
    return Slope(float(slopes[low]), float(np.median(slopes)), float(slopes[high]))


def recent_slope(record: Record) -> Slope | None:
    """The slope of the training loss over the second half of the run so far."""
    steps, values = _recent(record)
    return theil_sen(steps, values)


def is_falling(record: Record) -> bool | None:
    """Whether the recent training loss falls: the slope's interval is below zero and explains 30 % of the range."""
    steps, values = _recent(record)
    slope = theil_sen(steps, values)
    if slope is None:
        return None
    explained = -slope.middle * (steps[-1] - steps[0])
    return bool(slope.high < 0 and explained >= 0.3 * np.ptp(thin(steps, values)[1]))


def measured_fall(record: Record) -> float | None:
    """The last third's share of the fall of the loss on the probe's samples, if it falls at each of three last looks.

    It has no noise of batches, so that a few looks tell a fall that the steps of a short run hide; else `None`.
    """
    looks = [(probe["step"], finite((probe.get("train") or {}).get("loss"))) for probe in record.get("probes") or []]
    looks = [(step, loss) for step, loss in looks if loss is not None]
    steps, values = (np.array(part, float) for part in zip(*looks, strict=True)) if looks else (np.empty(0),) * 2
    if len(values) < 4 or not np.all(np.diff(values[-4:]) < 0) or steps[-1] <= 0:
        return None
    return float((np.interp(steps[-1] * 2 / 3, steps, values) - values[-1]) / (values.max() - values[-1]))


def is_plateau(record: Record) -> bool | None:
    """Whether the recent training loss has no trend, or one that moves it by 2 % of its whole range at most."""
    (steps, _), slope = _recent(record), recent_slope(record)
    if slope is None:
        return None
    spread = float(np.ptp(fit_losses(record)[1])) or 1.0
    return not is_falling(record) or bool(abs(slope.middle) * (steps[-1] - steps[0]) < 0.02 * spread)


def _recent(record):
    """Steps and losses of the second half of the run so far, of five losses at least."""
    steps, values = fit_losses(record)
    if not len(steps):
        return steps, values
    recent = steps >= (steps[0] + steps[-1]) / 2
    if recent.sum() < 5:
        recent = np.arange(len(steps)) >= len(steps) - 5
    return steps[recent], values[recent]


def late_fall(record: Record) -> float | None:
    """The share of the fall of the training loss that happened in the last third; 1/3 if it falls along a line."""
    steps, values = fit_losses(record)
    if len(values) < 6:
        return None
    _, values = thin(steps, values, 30)
    late, end = values[len(values) * 2 // 3 - 1 : len(values) * 2 // 3 + 1].mean(), values[-2:].mean()
    total = values[0] - end
    return float((late - end) / total) if total > 0 else 0.0


def oscillation(record: Record) -> tuple[float, float] | None:
    """Median change of the epochs' training loss over its range, and the share of turns, in the second half of the run.

    An epoch's loss is a mean over the same samples each time, so a change is no sampling noise. `None` below six.
    """
    values = [finite((epoch.get("logs") or {}).get("loss")) for epoch in record.get("epochs") or []]
    values = np.array([value for value in values if value is not None])
    if len(values) < 6:
        return None
    spread = np.ptp(values) or 1.0
    changes = np.diff(values[-max(5, len(values) // 2) :])
    turns = np.mean(changes[1:] * changes[:-1] < 0)
    return float(np.median(np.abs(changes)) / spread), float(turns)
