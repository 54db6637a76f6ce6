"""The figure of decision boundaries: both errors over the penalty, its extreme cases, and the artists."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from support.harness import BACKEND

from keras_lecture.figures import decision_boundary, experiments

TEXT = Path(__file__).resolve().parents[2] / "docs/figures/decision_boundary.toml"


@pytest.fixture(scope="module")
def data():
    return experiments.decision_boundary(strengths=(0.0, 0.1, 1.0, 10.0), steps=1000, grid=20)


def test_the_training_error_only_grows_and_the_weights_only_shrink(data):
    assert data["training_error"] == sorted(data["training_error"])
    assert data["training_error"][0] == 0.0
    assert data["weight_norm"] == sorted(data["weight_norm"], reverse=True)
    assert data["loss"] == sorted(data["loss"])


def test_the_test_error_is_lowest_in_between(data):
    """On TensorFlow three of the 2,000 points are missing; one standard error is 16."""
    allowed = 0.002 if BACKEND == "tensorflow" else 0.0
    errors = np.array(data["test_error"])
    errors[1] -= allowed
    assert np.argmin(errors) == 1


def test_the_strongest_penalty_leaves_a_constant(data):
    """60 examples of balanced classes under one probability ½ have the loss 60·log 2; Adam hovers 0.1 % above it."""
    assert data["loss"][-1] == pytest.approx(60 * np.log(2), rel=1e-3)
    np.testing.assert_allclose(data["probability"][-1], 0.5, atol=0.02)
    assert data["test_error"][-1] == pytest.approx(0.5, abs=0.05)


def test_a_penalty_of_1_leaves_a_straight_line(data):
    """The place of probability ½ in each row of the grid is linear in the row: R² > 0.95."""
    probability = np.array(data["probability"][2])
    crossings = [
        (row, np.interp(0.5, values, np.arange(20)))
        for row, values in enumerate(probability)
        if values[0] < 0.5 < values[-1]
    ]
    rows, columns = np.array(crossings).T
    assert len(rows) >= 5
    assert np.corrcoef(rows, columns)[0, 1] ** 2 > 0.95


def test_networks_side_by_side_learn_as_each_would_alone():
    """The weight norms agree to 1e-3: float32 sums in another order, after 60 steps of Adam."""
    both = experiments.decision_boundary(strengths=(0.0, 1.0), steps=60, grid=4)
    alone = experiments.decision_boundary(strengths=(1.0,), steps=60, grid=4)
    assert both["weight_norm"][1] != pytest.approx(both["weight_norm"][0], rel=0.1)
    # The start is that of the first network, whatever its penalty.
    assert both["weight_norm"][1] == pytest.approx(alone["weight_norm"][0], rel=1e-3)


def test_every_map_has_its_probabilities_examples_and_errors_and_all_one_scale(data):
    *maps, bar = decision_boundary(data, theme="dark").axes
    assert bar.get_ylabel() == "probability of class 1"
    x, y = np.array(data["x"]), np.array(data["y"])
    for axes, probability, strength, error in zip(
        maps, data["probability"], ("0", "0.1", "1", "10"), data["test_error"], strict=True
    ):
        np.testing.assert_array_equal(axes.images[0].get_array(), probability)
        assert axes.images[0].get_clim() == (0, 1)
        title = axes.get_title(loc="left")
        assert title.startswith(f"λ = {strength}\n") and title.endswith(f"test {error:.1%}")
        scattered = [one.get_offsets() for one in axes.collections if one.get_label().startswith("class")]
        for of_class, points in enumerate(scattered):
            np.testing.assert_array_equal(points, x[y == of_class])


@pytest.mark.parametrize("wrong", [{"strengths": [1.0]}, [1.0]])
def test_rejects_other_data(wrong):
    with pytest.raises(ValueError, match="decision_boundary: `data` must be the data of the experiment"):
        decision_boundary(wrong)


def test_rejects_a_negative_strength():
    with pytest.raises(ValueError, match="decision_boundary: `strengths` must be in"):
        experiments.decision_boundary(strengths=[-1.0])


def test_the_numbers_of_the_page_evaluate(data):
    rows = tomllib.loads(TEXT.read_text(encoding="utf-8"))["numbers"]
    assert all(format(eval(row["ours"], {"data": data}), row["format"]) for row in rows)
