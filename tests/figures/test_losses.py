"""The figure of the losses: the slides' worked scores, the formulas on NumPy, and the artists."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from keras_lecture.figures import experiments, losses

TEXT = Path(__file__).resolve().parents[2] / "docs/figures/losses.toml"


@pytest.fixture(scope="module")
def data():
    return experiments.losses()


def test_the_slides_worked_scores(data):
    """Deck C prints these digits: 2.9, 0, 12.9 and 2.04, 0.079, 6.156; 0, 12, 0 and 0.05, 5.70, 2·10⁻¹¹."""
    assert data["images"]["hinge"] == pytest.approx([2.9, 0.0, 12.9], abs=1e-5)
    assert data["images"]["cross_entropy"] == pytest.approx([2.04, 0.079, 6.156], abs=6e-4)
    assert data["models"]["hinge"] == [0.0, 12.0, 0.0]
    assert data["models"]["cross_entropy"][:2] == pytest.approx([0.05, 5.70], abs=5e-3)
    # The slide rounds 2·e⁻²⁵ down.
    assert data["models"]["cross_entropy"][2] == pytest.approx(2 * np.exp(-25.0), rel=1e-5)


def test_the_curves_over_the_lead_are_those_of_the_formulas(data):
    """NumPy in float64; scores in float32 have an error of 1e-6 at a lead of 26."""
    lead = np.array(data["lead"])
    np.testing.assert_allclose(data["hinge"], 2 * np.maximum(0, 1 - lead), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(data["cross_entropy"], np.log1p(2 * np.exp(-lead)), rtol=1e-5)


def test_the_margin_losses_are_those_of_the_formulas(data):
    """NumPy in float64, relative 1e-5 for float32 arithmetic."""
    v = np.array(data["margin"])
    expected = {
        "hinge": np.maximum(0, 1 - v),
        "logistic": np.log1p(np.exp(-v)),
        "exponential": np.exp(-v),
        "squared hinge": np.maximum(0, 1 - v) ** 2,
        "smooth hinge": np.where(v <= 0, 0.5 - v, np.where(v < 1, (1 - v) ** 2 / 2, 0.0)),
        "square": (1 - v) ** 2,
        "savage": 1 / (1 + np.exp(v)) ** 2,
        "tangent": (2 * np.arctan(v) - 1) ** 2,
    }
    assert set(data["margin_losses"]) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(data["margin_losses"][name], values, rtol=1e-5, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_panels_show_the_data(data, theme):
    convex, others, lead, images = losses(data, theme=theme).axes
    drawn = {line.get_label(): line.get_ydata() for axes in (convex, others) for line in axes.get_lines()}
    for name, values in data["margin_losses"].items():
        np.testing.assert_array_equal(drawn[name], values)
    curves = {line.get_label(): line for line in lead.get_lines()}
    np.testing.assert_array_equal(curves["cross entropy"].get_ydata(), data["cross_entropy"])
    assert lead.get_yscale() == "log"
    markers = {(line.get_xdata()[0], line.get_ydata()[0]) for line in lead.get_lines() if len(line.get_xdata()) == 1}
    models = data["models"]
    assert set(zip(models["lead"], models["cross_entropy"], strict=True)) <= markers
    heights = [bar.get_height() for bar in images.patches]
    assert heights == data["images"]["hinge"] + data["images"]["cross_entropy"]


def test_curves_in_one_panel_differ_by_color_and_by_dash(data):
    for axes in losses(data).axes[:2]:
        lines = [line for line in axes.get_lines() if not line.get_label().startswith("_")]
        assert len({line.get_color() for line in lines}) == len(lines)
        assert len({str(line._unscaled_dash_pattern) for line in lines}) == len(lines)


def test_rejects_other_data():
    with pytest.raises(ValueError, match="losses: `data` must be the data of the experiment"):
        losses({"loss": [1.0]})


def test_the_numbers_of_the_page_evaluate(data):
    rows = tomllib.loads(TEXT.read_text(encoding="utf-8"))["numbers"]
    assert all(format(eval(row["ours"], {"data": data}), row["format"]) for row in rows)
