"""Derivatives by central differences with an error bound, and their comparison with analytic ones."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

# `at(t) → (t as represented, f(t))`, for a function of one variable.
Line = Callable[[float], tuple[float, float]]
# A first step between rounding and curvature; smaller ones leave kinks outside, larger ones are above the rounding.
_FACTORS = (1.0, 1 / 8, 8.0, 1 / 64, 64.0)


class Slope(NamedTuple):
    """A numeric derivative with a bound of its error, and the verdict on an analytic one."""

    value: float
    error: float
    verdict: str = ""


def rounding(values: Sequence[float]) -> float:
    """The standard deviation of a function's rounding errors, from its values at equidistant points close together.

    Differences of order 4 to 6 of a smooth function vanish there, and those of independent errors grow by a known
    factor (Moré and Wild, 2011, "Estimating computational noise", eq. 2.3).
    """
    found = []
    for order in (4, 5, 6):
        differences = np.diff(np.asarray(values), n=order)
        found.append(math.sqrt(math.factorial(order) ** 2 / math.factorial(2 * order) * np.mean(differences**2)))
    return max(found)


def slope(at: Line, step: float, noise: float) -> Slope:
    """f′(0) by Richardson's extrapolation of two central differences.

    Their difference bounds the truncation, also with a kink between the points; `noise` is the rounding error of f.
    """

    def central(half):
        (right, above), (left, below) = at(half), at(-half)
        # A weight in low precision may not move at all.
        return (above - below) / (right - left) if right > left else math.nan

    wide, narrow = central(step), central(step / 2)
    return Slope((4 * narrow - wide) / 3, abs(wide - narrow) + 8 * noise / step)


def compare(
    at: Line, analytic: float, scale: float, step: float, noise: float, tolerance: float, negligible: float
) -> Slope:
    """The most accurate slope of several steps, with a verdict on `analytic`: `"right"`, `"wrong"` or `"unknown"`.

    A derivative is wrong if it differs by more than `tolerance` times `scale`, the largest derivative of its kind, plus
    the error bound. It is unknown if the bound exceeds both a tenth of this scale and `negligible`.
    """
    best = Slope(math.nan, math.inf)
    for factor in _FACTORS:
        found = slope(at, factor * step, noise)
        if not math.isfinite(found.value) or found.error >= best.error:
            continue
        best = found
        agrees = abs(analytic - best.value) <= tolerance * scale + best.error
        if agrees and best.error <= max(10 * tolerance * scale, negligible):
            return best._replace(verdict="right")
    if not math.isfinite(best.value):
        return best._replace(verdict="unknown")
    if not abs(analytic - best.value) <= tolerance * max(scale, abs(best.value)) + best.error:
        return best._replace(verdict="wrong")
    return best._replace(verdict="right" if best.error <= max(0.1 * scale, negligible) else "unknown")
