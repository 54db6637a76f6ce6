"""`activations`: values, derivatives and means against closed forms in NumPy, and the artists by their data."""

import json
from math import e, erf, pi, sqrt

import numpy as np
import pytest
from support.figure_texts import shown

import keras_lecture.activations
from keras_lecture.figures import activations, experiments

X = np.linspace(-5.0, 5.0, 401)
SIGMOID = 1 / (1 + np.exp(-X))
POSITIVE = X > 0
# Value and derivative; at a kink the derivative is that of the left piece, of maxout that of the first piece.
EXPECTED = {
    "elu": (np.where(POSITIVE, X, np.exp(X) - 1), np.where(POSITIVE, 1, np.exp(X))),
    "leaky_relu": (np.where(POSITIVE, X, 0.1 * X), np.where(POSITIVE, 1, 0.1)),
    "maxout": (np.maximum(X, -X / 2), np.where(X >= 0, 1, -0.5)),
    "relu": (np.maximum(X, 0), POSITIVE.astype(float)),
    "sigmoid": (SIGMOID, SIGMOID * (1 - SIGMOID)),
    "softsign": (X / (1 + np.abs(X)), 1 / (1 + np.abs(X)) ** 2),
    "tanh": (np.tanh(X), 1 - np.tanh(X) ** 2),
}
# E f(x) for x ~ N(0, 1).
HALF = 1 / sqrt(2 * pi)
BELOW_MINUS_ONE = (1 - erf(1 / sqrt(2))) / 2
MEANS = {
    "elu": HALF + sqrt(e) * BELOW_MINUS_ONE - 0.5,
    "leaky_relu": 0.9 * HALF,
    "maxout": 1.5 * HALF,
    "relu": HALF,
    "sigmoid": 0.5,
    "softsign": 0.0,
    "tanh": 0.0,
}


@pytest.fixture(scope="module")
def data():
    return experiments.activations()


def test_every_activation_function_is_there(data):
    assert list(data["value"]) == keras_lecture.activations.__all__


@pytest.mark.parametrize("name", EXPECTED)
def test_values_and_derivatives(data, name):
    """Float32 and five digits: 1e-4 relative. Zero at the middle of the grid is exact."""
    value, derivative = EXPECTED[name]
    np.testing.assert_allclose(data["value"][name], value, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(data["derivative"][name], derivative, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", MEANS)
def test_means_for_normal_inputs(data, name):
    """Closed forms; the standard error of 100,000 draws is below 0.003."""
    assert data["mean"][name] == pytest.approx(MEANS[name], abs=0.01)


def test_the_page_states_numbers_of_these_data(data):
    found = [ours for _, ours in shown("activations", data).values()]
    assert found == ["0.25", "0.0066", "0.1", "0.40", "0.36", "0.16", "0.00"]
    assert len(json.dumps(data, allow_nan=False)) < 100_000


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_panels_show_the_data(data, theme):
    *curves, means = activations(data, theme=theme).axes
    assert len(curves) == len(data["value"])
    for axes, name in zip(curves, data["value"], strict=True):
        drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
        np.testing.assert_array_equal(drawn["function f(x)"], data["value"][name])
        np.testing.assert_array_equal(drawn["derivative f′(x)"], data["derivative"][name])
    assert sorted(bar.get_width() for bar in means.patches) == sorted(data["mean"].values())
    assert [text.get_text() for text in means.texts] == ["0.00", "0.00", "0.16", "0.36", "0.40", "0.50", "0.60"]


def test_refuses_other_data():
    with pytest.raises(ValueError, match="activations: `data` must be the result of `experiments.activations`"):
        activations({})
