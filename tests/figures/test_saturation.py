"""`saturation`: deck E's worked example against gradient descent in NumPy, and the artists by their data."""

import json

import numpy as np
import pytest
from support.figure_texts import shown

from keras_lecture.figures import experiments, saturation

QUADRATIC, LOG = "quadratic loss", "log-loss"


def sigmoid(s):
    return 1 / (1 + np.exp(-s))


GRADIENTS = {
    QUADRATIC: lambda s: 2 * sigmoid(s) ** 2 * (1 - sigmoid(s)),
    LOG: sigmoid,
}
VALUES = {QUADRATIC: lambda s: sigmoid(s) ** 2, LOG: lambda s: np.log1p(np.exp(s))}


@pytest.fixture(scope="module")
def data():
    return experiments.saturation()


def test_the_worked_example(data):
    """σ(4) = 0.982; the slide's formulas give 2σ²(1 − σ) = 0.0347 and σ = 0.982 as the first ∂L/∂w."""
    assert data["weight"][QUADRATIC][0] == data["bias"][LOG][0] == 2.0
    assert round(data["prediction"][QUADRATIC][0], 3) == 0.982
    assert round(data["gradient"][QUADRATIC][0], 4) == 0.0347
    assert round(data["gradient"][LOG][0], 3) == 0.982


@pytest.mark.parametrize("loss", GRADIENTS)
def test_training_is_gradient_descent(data, loss):
    """Float64 in NumPy: 300 steps in float32 leave 1e-4."""
    score = 4.0
    for k in range(301):
        assert data["weight"][loss][k] + data["bias"][loss][k] == pytest.approx(score, rel=1e-4, abs=1e-4)
        assert data["gradient"][loss][k] == pytest.approx(GRADIENTS[loss](score), rel=1e-3)
        assert data["loss"][loss][k] == pytest.approx(VALUES[loss](score), rel=1e-3)
        score -= 2 * data["learning_rate"] * GRADIENTS[loss](score)


@pytest.mark.parametrize("loss", GRADIENTS)
def test_the_curves_over_the_score(data, loss):
    """The slide's formulas; 1 − σ has an absolute error of 6e-8 in float32, which is 2e-4 of it at a score of 8."""
    scores = np.array(data["scores"])
    np.testing.assert_allclose(data["gradient_at"][loss], GRADIENTS[loss](scores), rtol=1e-3)
    np.testing.assert_allclose(data["loss_at"][loss], VALUES[loss](scores), rtol=1e-3)


def test_the_quadratic_loss_stalls_and_the_log_loss_does_not(data):
    assert data["prediction"][QUADRATIC][60] > 0.95
    assert data["prediction"][LOG][60] < 0.1


def test_the_page_states_numbers_of_these_data(data):
    found = [ours for _, ours in shown("saturation", data).values()]
    assert found[:3] == ["0.982", "0.035", "0.982"]
    assert int(found[3]) > 5 * int(found[4])
    assert len(json.dumps(data, allow_nan=False)) < 100_000


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_panels_show_the_data(data, theme):
    prediction, gradient, reason = saturation(data, theme=theme).axes
    for axes, key in ((prediction, "prediction"), (gradient, "gradient"), (reason, "gradient_at")):
        drawn = {line.get_label(): line for line in axes.lines}
        for loss in (QUADRATIC, LOG):
            assert list(drawn[loss].get_ydata()) == data[key][loss]
        assert drawn[QUADRATIC].get_linestyle() != drawn[LOG].get_linestyle()
    assert list(reason.lines[0].get_xdata()) == data["scores"]


def test_refuses_other_data():
    with pytest.raises(ValueError, match="saturation: `data` must be the result of `experiments.saturation`"):
        saturation([1.0])
