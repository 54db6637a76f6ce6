"""The figure of the rates: the slopes of theory, the sums over the coordinates in NumPy, and the artists."""

import numpy as np
import pytest
from support.figure_texts import shown

from keras_lecture.figures import experiments, rates


@pytest.fixture(scope="module")
def data():
    return experiments.rates()


def test_gradient_descent_is_the_sum_over_the_coordinates(data):
    """f = ½Σλᵢ(1 − λᵢ)²ᵀ, in float64: relative 1e-4 after 500 steps in float32."""
    for part, lowest, size, steps in (("smooth", 1e-6, 160, 500), ("strongly_convex", 1e-2, 20, 300)):
        curvatures = np.geomspace(lowest, 1, size)
        expected = [0.5 * np.sum(curvatures * (1 - curvatures) ** (2 * t)) for t in range(steps + 1)]
        np.testing.assert_allclose(data[part]["runs"]["SGD"], expected, rtol=1e-4)


def test_nesterov_is_the_recursion(data):
    """w ← w + v with v ← ρv − λ(w + ρv) in float64: relative 1e-3 of the first loss in float32."""
    curvatures, w, v, losses = np.geomspace(1e-6, 1, 160), np.ones(160), np.zeros(160), []
    for t in range(501):
        losses.append(0.5 * np.sum(curvatures * w * w))
        rho = t / (t + 3)
        v = rho * v - curvatures * (w + rho * v)
        w = w + v
    np.testing.assert_allclose(data["smooth"]["runs"]["Nesterov"], losses, rtol=1e-3)


def test_slopes_are_those_of_theory(data):
    """−1 and −2 in logarithmic axes, −2/κ and −2/√κ per step (that of Nesterov with a factor T²), order 2."""
    smooth, convex = data["smooth"]["slopes"], data["strongly_convex"]["slopes"]
    assert smooth["SGD"] == pytest.approx(-1, abs=0.02)
    assert smooth["Nesterov"] == pytest.approx(-2, abs=0.05)
    # The second smallest curvature still counts.
    assert -2.5 < convex["SGD"] * 100 < -2
    assert convex["Nesterov"] * 10 == pytest.approx(-2, abs=0.1)
    assert data["newton"]["slopes"]["Newton"] == pytest.approx(2, abs=0.03)


def test_the_lines_of_theory_are_reached(data):
    """The asymptotes have no free constant: 2 % and 15 % for the smooth function, 30 % and 1 % for the other."""
    bounds = {"smooth": {"SGD": 0.02, "Nesterov": 0.15}, "strongly_convex": {"SGD": 0.3, "Nesterov": 0.01}}
    for part, close in bounds.items():
        for name, bound in close.items():
            ratio = data[part]["runs"][name][-1] / data[part]["theory"][name][-1]
            assert ratio == pytest.approx(1, abs=bound), (part, name)


def test_newton_follows_its_recursion(data):
    """e ← e²/(2 + 2e), down to 1e-8: relative 1e-3, which is what float32 leaves of the fourth error."""
    error = [1.0]
    for _ in range(4):
        error.append(error[-1] ** 2 / (2 + 2 * error[-1]))
    np.testing.assert_allclose(data["newton"]["runs"]["Newton"][:5], error, rtol=1e-3)
    assert min(data["newton"]["runs"]["Newton"]) < 1e-12 < 1e-2 < data["newton"]["runs"]["Nesterov"][-1]


def test_the_numbers_of_the_page(data):
    numbers = list(shown("rates", data).values())
    assert [slide for slide, _ in numbers[:2]] == ["−1", "−2"]
    assert [float(ours) for _, ours in numbers] == pytest.approx([-1, -2, -2.27, -2.02, 2], abs=0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_panels_show_runs_and_theory(data, theme):
    for axes, part in zip(rates(data, theme=theme).axes, ("smooth", "strongly_convex", "newton"), strict=True):
        lines = axes.get_lines()
        drawn = {line.get_label(): line for line in lines}
        for name, values in data[part]["runs"].items():
            np.testing.assert_array_equal(drawn[name].get_ydata(), values)
        theory = [list(line.get_ydata()) for line in lines if line.get_label() not in data[part]["runs"]]
        assert theory == list(data[part]["theory"].values())
        assert axes.get_yscale() == "log"


def test_the_seed_changes_signs_and_not_the_curves():
    one, other = (experiments.rates(seed=seed, steps=20) for seed in (0, 1))
    assert one["smooth"]["runs"]["SGD"] == pytest.approx(other["smooth"]["runs"]["SGD"], rel=1e-6)


def test_rejects_other_data():
    with pytest.raises(ValueError, match=r"rates: `data` must be a dict with .*experiments\.rates"):
        rates({"loss": [1.0]})
    with pytest.raises(ValueError, match="rates: `steps` must be"):
        experiments.rates(steps=5)
