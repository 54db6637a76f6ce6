"""The result of a learning rate sweep and the rates it suggests: plain numbers, no model."""

import bisect
import math
from typing import NamedTuple

import numpy as np

SUGGESTIONS = ("curvature", "steepest", "valley")


class LearningRateSweep(NamedTuple):
    """The losses of a learning rate sweep; `end` is `"complete"`, `"explosion"` or `"nonfinite"`.

    The suggestions leave out the first `warmup` steps, where the smoothed loss is the mean of few batches. A suggestion
    is `None` if the loss never falls; `curvature` also if it was not requested.
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


def longest_fall(values) -> list[int]:
    """The indices of the longest strictly decreasing subsequence."""
    # `ends` holds the highest last value for each length so far, negated so that it increases for the bisection.
    ends, indices, before = [], [], []
    for index, value in enumerate(values):
        length = bisect.bisect_left(ends, -value)
        before.append(indices[length - 1] if length else None)
        ends[length:], indices[length:] = [-value, *ends[length + 1 :]], [index, *indices[length + 1 :]]
    fall, index = [], indices[-1] if indices else None
    while index is not None:
        fall.append(index)
        index = before[index]
    return fall[::-1]
