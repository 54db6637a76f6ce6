"""Numeric derivatives on functions with known derivatives, rounding errors and kinks."""

import math

import numpy as np
import pytest

from keras_lecture.diagnosis._numeric.differences import compare, rounding, slope

RNG = np.random.default_rng(5)


def at(f, x=0.0):
    return lambda t: (t, f(x + t))


def judged(f, analytic, **settings):
    defaults = {"scale": 1.0, "step": 5e-6, "noise": 1e-16, "tolerance": 1e-5, "negligible": 1e-6}
    return compare(at(f), analytic, **{**defaults, **settings}).verdict


@pytest.mark.parametrize("noise", [1e-12, 1e-7, 1e-3])
def test_the_rounding_error_of_a_smooth_function_is_measured(noise):
    """Within a factor of 3 in the mean of 50 measurements of a standard deviation."""
    points = 1e-6 * np.arange(9)
    found = [rounding(np.exp(points) + noise * RNG.normal(size=9)) for _ in range(50)]
    assert noise / 3 < np.mean(found) < 3 * noise


def test_the_slope_lies_within_its_error_bound():
    for f, expected in [(np.exp, 1.0), (np.sin, 1.0), (lambda t: (t + 1) ** 5, 5.0)]:
        for step in (1e-1, 1e-3, 1e-5):
            found = slope(at(f), step, noise=1e-16)
            assert abs(found.value - expected) <= found.error
    assert slope(at(np.exp), 1e-2, noise=0.0).value == pytest.approx(1.0, abs=1e-9)


def test_a_weight_that_does_not_move_has_no_slope():
    assert math.isnan(slope(lambda t: (0.0, 1.0), 1e-3, noise=0.0).value)


def test_verdicts_on_a_smooth_function():
    assert judged(np.exp, 1.0) == "right"
    assert judged(np.exp, 1.001) == "wrong"
    assert judged(np.exp, -1.0) == "wrong"
    assert judged(lambda t: 1.0, 0.0, scale=0.0) == "right"
    assert judged(np.exp, 0.0, scale=0.0) == "wrong"


def test_a_kink_within_the_first_step_is_left_outside():
    assert judged(lambda t: abs(t - 1e-6), -1.0) == "right"
    assert judged(lambda t: abs(t - 1e-6), 1.0) == "wrong"


def test_a_derivative_below_the_rounding_is_unknown():
    def noisy(t):
        return 1e-9 * t + 1e-4 * RNG.normal()

    assert judged(noisy, 1e-9, scale=1e-9, noise=1e-4, negligible=1e-12) == "unknown"
    assert judged(noisy, 1e-9, scale=1e-9, noise=1e-4, negligible=1e9) == "right"
    assert judged(lambda t: math.nan, 1.0) == "unknown"
