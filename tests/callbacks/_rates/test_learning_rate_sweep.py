"""Suggestions from curves with known answers."""

import itertools

import numpy as np
import pytest

from keras_lecture.callbacks._rates.learning_rate_sweep import LearningRateSweep, longest_fall
from keras_lecture.callbacks._rates.smoothing import Smoothing

RATES = np.geomspace(1e-4, 1e2, 61)


def sweep(losses, warmup=0):
    losses = np.asarray(losses, "float64")
    return LearningRateSweep(RATES[: len(losses)], losses, losses, "complete", warmup, None)


def test_steepest_is_the_middle_of_a_step_in_the_logarithm_of_the_rate():
    curve = 1 / (1 + np.exp(4 * (np.log10(RATES) + 1)))
    assert sweep(curve).steepest == pytest.approx(0.1)
    # Slopes after the minimum do not count, however steep.
    assert sweep([*curve, 5.0, -9.0][:61]).steepest == pytest.approx(0.1)


def test_valley_is_the_middle_of_the_longest_fall():
    """The loss is flat, falls from 10⁻² to 10⁰, and rises."""
    curve = np.concatenate([np.ones(20), np.linspace(1, 0, 21), np.linspace(0.1, 3, 20)])
    assert sweep(curve).valley == pytest.approx(0.1)


def test_suggestions_ignore_the_first_steps():
    curve = [9.0, 1.0, *np.linspace(1.0, 0.9, 40)]
    assert sweep(curve).steepest < RATES[2]
    assert sweep(curve, warmup=3).steepest > RATES[2]


@pytest.mark.parametrize("losses", [[], [1.0], [1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
def test_there_is_no_suggestion_if_the_loss_never_falls(losses):
    assert sweep(losses).steepest is None
    assert sweep(losses).valley is None
    assert sweep(losses).suggestion("curvature") is None


def test_the_longest_fall_is_the_longest_of_all_decreasing_subsequences():
    rng = np.random.default_rng(0)
    for _ in range(40):
        values = rng.integers(0, 6, size=8)
        longest = max(
            n
            for n in range(9)
            for indices in itertools.combinations(range(8), n)
            if all(np.diff(values[list(indices)]) < 0)
        )
        found = longest_fall(values)
        assert len(found) == longest
        assert (np.diff(found) > 0).all() and (np.diff(values[found]) < 0).all()


def test_the_smoothed_loss_is_the_weighted_mean_of_the_losses():
    losses = np.random.default_rng(0).normal(size=7)
    smoothing = Smoothing(0.8)
    for k, found in enumerate(map(smoothing, losses), 1):
        weights = 0.8 ** np.arange(k)[::-1]
        assert found == pytest.approx(losses[:k] @ weights / weights.sum(), rel=1e-12)


@pytest.mark.parametrize(("losses", "explodes"), [([1, 3.99], 0), ([1, 4.01], 1), ([-2, 3.9], 0), ([-2, 4.1], 1)])
def test_the_loss_explodes_from_four_times_its_minimum_on(losses, explodes):
    """For a negative minimum −a, from 3a above it on."""
    smoothing = Smoothing(0.0)
    for loss in losses:
        smoothing(loss)
    assert smoothing.exploded == bool(explodes)
