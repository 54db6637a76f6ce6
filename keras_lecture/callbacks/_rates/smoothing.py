"""Exponential averages of a loss or metric, and the test for an exploding loss."""

import math

# The loss has exploded when it exceeds its minimum by this factor.
EXPLOSION = 4.0


def exponential_mean(average: float, count: int, value: float, beta: float) -> tuple[float, float]:
    """m ← βm + (1 − β)x with the `count`-th value x, and its bias-corrected value m / (1 − βᵗ), t `count`."""
    average = beta * average + (1.0 - beta) * value
    return average, average / (1.0 - beta**count)


class Smoothing:
    """The exponential mean of the losses so far, and whether it has exploded after `warmup` steps."""

    def __init__(self, beta: float, warmup: int = 0):
        self._beta = beta
        self._warmup = warmup
        self._average, self._count, self._lowest = 0.0, 0, math.inf
        self.exploded = False

    def __call__(self, loss: float) -> float:
        self._count += 1
        self._average, smoothed = exponential_mean(self._average, self._count, loss, self._beta)
        if self._count > self._warmup:
            # `smoothed > EXPLOSION * lowest`, written so that it also holds for a negative loss.
            self.exploded = smoothed - self._lowest > (EXPLOSION - 1.0) * abs(self._lowest)
            self._lowest = min(self._lowest, smoothed)
        return smoothed
