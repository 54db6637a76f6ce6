"""Constant initializers."""

import keras
import numpy as np
import pytest
from support.harness import numpy

from keras_lecture.initializers import PositiveBias, Zeros, initialize


def test_zeros_are_zero():
    np.testing.assert_array_equal(numpy(Zeros()((3, 4))), np.zeros((3, 4)))


def test_positive_bias_changes_only_the_biases_of_a_built_model():
    model = keras.Sequential(
        [keras.Input((4, 6)), keras.layers.Conv1D(3, 2), keras.layers.LayerNormalization(), keras.layers.Dense(2)]
    )
    before = [weight.copy() for weight in model.get_weights()]
    assert len(initialize(model, PositiveBias(0.01), where="biases")) == 2
    expected = [np.full_like(w, 0.01) if i in (1, 5) else w for i, w in enumerate(before)]
    for actual, wanted in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)


@pytest.mark.parametrize("value", [0, -0.01, float("nan"), float("inf"), "small", True])
def test_rejects(value):
    with pytest.raises((ValueError, TypeError), match="PositiveBias: `value` must be .* Received: "):
        PositiveBias(value)
