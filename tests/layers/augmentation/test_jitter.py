"""Jitter: the noise against an oracle, and its statistics."""

import numpy as np
import pytest
from oracles import augmentation as oracles
from support.harness import assert_close, numpy

from keras_lecture.layers import Jitter


def test_the_noise_is_drawn_from_the_random_stream():
    """Oracle: Box and Muller in float64 on the counter hash."""
    x = np.random.default_rng(0).normal(size=(4, 6, 5)).astype("float32")
    layer = Jitter(0.5, seed=9)
    for step in (0, 1):
        expected = x + 0.5 * oracles.normal(9, step, x.shape)
        assert_close(layer(x, training=True), expected, rtol=1e-5, atol=1e-5)


def test_the_noise_has_the_given_deviation_and_is_independent_for_each_value_and_step():
    """n = 2¹⁶; 4.5 standard errors."""
    n = 2**16
    layer, x = Jitter(0.3, seed=2), np.full((256, 256), 7.0, "float32")
    first, second = (numpy(layer(x, training=True)).astype("float64") - 7 for _ in range(2))
    assert abs(first.mean()) < 4.5 * 0.3 / np.sqrt(n)
    assert abs(first.std() / 0.3 - 1) < 4.5 / np.sqrt(2 * n)
    for a, b in ((first, second), (first[1:], first[:-1]), (first[:, 1:], first[:, :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4.5 / np.sqrt(a.size)


def test_stddev_zero_is_the_identity():
    x = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    np.testing.assert_array_equal(numpy(Jitter(0)(x, training=True)), x)


@pytest.mark.parametrize("stddev", [-0.1, "some", float("nan")])
def test_rejects(stddev):
    with pytest.raises((ValueError, TypeError), match="Jitter: `stddev`"):
        Jitter(stddev)
