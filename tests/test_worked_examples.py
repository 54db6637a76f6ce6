"""The backpropagation examples of deck D: the numbers of the slides, by `value_and_grad` in float64."""

import numpy as np
import pytest
from keras import ops
from support.harness import numpy

from keras_lecture import _backend, activations


def gradient(f, *values):
    weights = [ops.convert_to_tensor(v, dtype="float64") for v in values]
    (value, _), slopes = _backend.value_and_grad(lambda w: (f(*w), None))(weights)
    return float(value), [float(numpy(s)) for s in slopes]


def test_product_of_a_sum(float64):
    """(x + y)·z at (1, −3, 4) is −8 with gradient (4, 4, −2)."""
    assert gradient(lambda x, y, z: (x + y) * z, 1.0, -3.0, 4.0) == (-8.0, [4.0, 4.0, -2.0])


def test_sigmoid_neuron(float64):
    """σ(b + w₀x₀ + w₁x₁), b = −3, w = (2, −3), x = (−1, −2): 0.73; ∂ 0.197, (−0.197, −0.393), (0.393, −0.590)."""
    value, slopes = gradient(
        lambda b, w0, w1, x0, x1: activations.sigmoid(b + w0 * x0 + w1 * x1), -3.0, 2.0, -3.0, -1.0, -2.0
    )
    assert round(value, 2) == 0.73
    assert [round(s, 3) for s in slopes] == [0.197, -0.197, -0.393, 0.393, -0.590]


def test_two_layers_with_relu(float64):
    """Regression y* = w₂·max(0, w₁·x) with w = (1/3, 2), x = 1, y = 0 under (y* − y)²: ∂w = (8/3, 4/9)."""
    value, slopes = gradient(lambda w1, w2: ops.square(w2 * activations.relu(w1 * 1.0) - 0.0), 1 / 3, 2.0)
    assert value == pytest.approx(4 / 9)
    np.testing.assert_allclose(slopes, [8 / 3, 4 / 9], rtol=1e-12)
