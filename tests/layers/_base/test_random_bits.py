"""Uniform and normal numbers from the counter hash: the same on every backend, with correct statistics."""

import numpy as np
import pytest
from keras import ops
from oracles import augmentation as oracles
from scipy import stats
from support.harness import numpy

from keras_lecture.layers._base.random_bits import normal, uniform


def drawn(formula, seed, step, shape):
    return numpy(formula(ops.convert_to_tensor(np.array([seed, step]), "int32"), shape))


@pytest.mark.parametrize(("seed", "step"), [(0, 0), (2**31 - 1, 123456)])
def test_numbers_are_those_of_the_hash_on_every_backend(seed, step):
    """Oracle: the hash in 64-bit integers; uniform numbers exactly, normal ones to 1e-5 (float32 logarithm, sine)."""
    np.testing.assert_array_equal(drawn(uniform, seed, step, (3, 5)), oracles.uniform(seed, step, (3, 5)))
    expected = oracles.normal(seed, step, (3, 5))
    np.testing.assert_allclose(drawn(normal, seed, step, (3, 5)), expected, rtol=1e-5, atol=1e-5)


def test_statistics_of_the_normal_numbers():
    """n = 2¹⁸; mean, variance, skewness, kurtosis, correlations of halves and steps within 4.5 standard errors."""
    n = 2**18
    first, second = (drawn(normal, 1, step, (n,)).astype("float64") for step in (0, 1))
    assert abs(first.mean()) < 4.5 / np.sqrt(n)
    assert abs(first.var() - 1) < 4.5 * np.sqrt(2 / n)
    assert abs(stats.skew(first)) < 4.5 * np.sqrt(6 / n)
    assert abs(stats.kurtosis(first)) < 4.5 * np.sqrt(24 / n)
    # Kolmogorov's distance exceeds 1.95/√n once in a thousand times.
    assert stats.kstest(first, "norm").statistic < 1.95 / np.sqrt(n)
    assert abs(np.corrcoef(first, second)[0, 1]) < 4.5 / np.sqrt(n)
    # Cosine and sine of one pair, their squares, which share the radius, and neighbors.
    cosine, sine = first[: n // 2], first[n // 2 :]
    for a, b in ((cosine, sine), (cosine**2, sine**2), (first[1:], first[:-1])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4.5 / np.sqrt(len(a))


def test_uniform_numbers_stay_below_one():
    draws = drawn(uniform, 3, 0, (2**18,))
    assert draws.min() >= 0
    assert draws.max() < 1
    assert stats.kstest(draws, "uniform").statistic < 1.95 / np.sqrt(len(draws))
