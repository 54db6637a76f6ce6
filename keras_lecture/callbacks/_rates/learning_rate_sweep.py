"""What a sweep over learning rates has shown, and which rate it suggests: plain numbers, no model."""

import bisect
import math
from typing import NamedTuple

import numpy as np

SUGGESTIONS = ("curvature", "steepest", "valley")
# The loss explodes where it is this many times the lowest.
EXPLOSION = 4.0


class LearningRateSweep(NamedTuple):
    """The losses along a sweep; `end` is `"complete"`, `"explosion"` or `"nonfinite"`.

    The first `warmup` steps, where the smoothed loss is the mean of few batches, count for no suggestion. A suggestion
    is `None` where the loss falls nowhere, `curvature` also where it was not asked for.
    """

    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    end: str
    warmup: int
    curvature: float | None

    @property
    def steepest(self) -> float | None:
        """The rate at which the smoothed loss falls fastest per log η, before its minimum."""
        rates, losses = self._judged()
        if len(losses):
            rates, losses = rates[: np.argmin(losses) + 1], losses[: np.argmin(losses) + 1]
        if len(losses) < 2:
            return None
        slopes = np.gradient(losses, np.log(rates))
        return float(rates[np.argmin(slopes)]) if slopes.min() < 0 else None

    @property
    def valley(self) -> float | None:
        """The middle, on a logarithmic axis, of the longest fall of the smoothed loss."""
        rates, losses = self._judged()
        fall = longest_fall(losses)
        return math.sqrt(rates[fall[0]] * rates[fall[-1]]) if len(fall) > 1 else None

    def suggestion(self, name: str) -> float | None:
        """The suggestion of that name."""
        return getattr(self, name)

    def _judged(self):
        return self.learning_rates[self.warmup :].astype("float64"), self.smoothed[self.warmup :]


class Smoothing:
    """The bias-corrected exponential mean of the losses so far, and whether it has exploded since step `warmup`."""

    def __init__(self, beta: float, warmup: int = 0):
        self._beta = beta
        self._warmup = warmup
        self._sum, self._weight, self._lowest = 0.0, 1.0, math.inf
        self.exploded = False

    def __call__(self, loss: float) -> float:
        self._sum = self._beta * self._sum + (1.0 - self._beta) * loss
        self._weight *= self._beta
        smoothed = self._sum / (1.0 - self._weight)
        self._warmup -= 1
        if self._warmup < 0:
            # The plain ratio, written so that it holds for a loss below 0, too.
            self.exploded = smoothed - self._lowest > (EXPLOSION - 1.0) * abs(self._lowest)
            self._lowest = min(self._lowest, smoothed)
        return smoothed


def longest_fall(values) -> list[int]:
    """The places of the longest strictly decreasing subsequence."""
    # For each length the end that is highest so far, found by bisection: −values increase.
    ends, places, before = [], [], []
    for place, value in enumerate(values):
        length = bisect.bisect_left(ends, -value)
        before.append(places[length - 1] if length else None)
        ends[length:], places[length:] = [-value, *ends[length + 1 :]], [place, *places[length + 1 :]]
    fall, place = [], places[-1] if places else None
    while place is not None:
        fall.append(place)
        place = before[place]
    return fall[::-1]
