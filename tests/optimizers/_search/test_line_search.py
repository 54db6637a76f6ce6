"""The functions of a search that have kernels on PyTorch: kernel and formula against their definition."""

import math

import numpy as np
import pytest
from keras import ops
from support.harness import BACKEND, numpy

from keras_lecture import _backend
from keras_lecture._backend.acceleration import formulas
from keras_lecture.optimizers._search.line_search import DECREASE, SLOPE, _next, first_trial, strong_wolfe
from keras_lecture.optimizers._search.vectors import choose, repeated


@pytest.mark.parametrize("reset", [1.0, 1.7, "full"])
@pytest.mark.parametrize("last", [0.0, 0.5, 1.9])
def test_the_first_step_is_the_last_one_times_the_factor_but_never_above_the_longest(last, reset):
    expected = 2.0 if not last or reset == "full" else min(reset * last, 2.0)
    tensors = [ops.convert_to_tensor(a, dtype="float32") for a in (last, 2.0)]
    for function in (first_trial, formulas["optimizers.first_trial"]):
        np.testing.assert_allclose(float(numpy(function(*tensors, reset))), expected, rtol=1e-6)


@pytest.mark.parametrize(("limit", "rounds"), [(None, 5), (3, 3), (0, 0), (9, 5)])
def test_repeated_ends_at_its_condition_or_its_limit(limit, rounds):
    for function in (repeated, formulas["optimizers.repeated"]):
        start = ops.zeros((), "int32"), ops.ones((2,))
        count, doubled = function(lambda k, x: (k + 1, 2 * x), lambda k, x: k < 5, start, limit)
        assert int(count) == rounds
        np.testing.assert_array_equal(numpy(doubled), [2.0**rounds] * 2)


def test_nan_in_the_tensors_that_are_not_chosen_does_no_harm():
    pair = [ops.ones((2,)), ops.zeros((2,)) + math.nan]
    for function in (choose, formulas["optimizers.choose"]):
        assert np.all(numpy(function(pair[0][0] > 0, *pair)) == 1)
        assert np.all(numpy(function(pair[0][0] < 0, *reversed(pair))) == 1)


@pytest.mark.parametrize("first", [1e-3, 0.1, 12.0, 500.0])
def test_strong_wolfe_finds_a_step_from_a_first_one_that_is_too_short_or_too_long(first):
    """On (t − 10)². Oracle: both conditions, with the constants of the module, and few evaluations."""

    def evaluate(t):
        return (t - 10.0) ** 2, 2 * (t - 10.0), 2 * (t - 10.0)

    start = tuple(ops.convert_to_tensor(part, "float32") for part in (100.0, -20.0, -20.0))
    found = strong_wolfe(evaluate, start, ops.convert_to_tensor(first, "float32"), 20)
    t, value, slope, _, evaluations = (float(numpy(part)) for part in found)
    np.testing.assert_allclose([value, slope], [(t - 10) ** 2, 2 * (t - 10)], rtol=1e-3, atol=1e-3)
    assert t > 0 and value <= 100 - DECREASE * t * 20 and abs(slope) <= SLOPE * 20 and evaluations <= 12


@pytest.mark.parametrize(
    ("minimum", "other", "bracketed", "expected"),
    [
        (2.1, 3.0, True, 2.1),
        (1.05, 3.0, True, 1.2),
        (2.95, 3.0, True, 2.8),
        (0.5, 0.25, True, 0.5),
        (0.3, 0.25, True, 0.325),
        (5.0, 0.4, False, 5.0),
        (1.02, 0.4, False, 1.06),
        (40.0, 0.4, False, 11.0),
        (None, 0.4, False, (1.06 + 11.0) / 2),
        (None, 3.0, True, 2.0),
    ],
)
def test_the_next_trial_is_the_minimum_of_the_cubic_within_its_bounds(minimum, other, bracketed, expected):
    """The best point is 1. Oracle: f = (t − m)²·(t + 60), a cubic with its minimum at m; a falling line has none."""
    f = np.poly1d([-1.0, 0.0]) if minimum is None else np.poly1d([minimum, minimum], r=True) * np.poly1d([1.0, 60.0])
    best, end = (
        tuple(ops.convert_to_tensor(float(part), "float32") for part in (t, f(t), f.deriv()(t))) for t in (1.0, other)
    )
    nothing = tuple(ops.convert_to_tensor(float("nan"), "float32") for _ in best)
    high, last = (end, nothing) if bracketed else (nothing, end)
    t = _next(best, high, last, ops.convert_to_tensor(bracketed))
    np.testing.assert_allclose(float(numpy(t)), expected, rtol=1e-3)


if BACKEND == "torch":

    def test_a_repeatable_function_may_draw_first_in_a_later_call():
        """The first call draws nothing, so the second has nothing to repeat; the third repeats the second."""
        import torch

        draw = _backend.repeatable(lambda draws: float(torch.rand(())) if draws else 0.0)
        torch.manual_seed(3)
        first, second, third = draw(False), draw(True), draw(True)
        torch.manual_seed(3)
        assert (first, second, third) == (0.0, float(torch.rand(())), second)
