"""The figure of the zigzag: paths of the closed forms and of NumPy, the factors of theory, and the artists."""

import numpy as np
import pytest
from oracles import optimizers as oracle
from support.figure_texts import shown

from keras_lecture.figures import experiments, zigzag

KAPPA = 25.0
# η and ρ in the docstring of the experiment, for κ = 25.
SETTINGS = {
    "SGD": (2 / 26, {}),
    "Momentum": (4 / 36, {"rho": (4 / 6) ** 2}),
    "Nesterov": (1 / 25, {"rho": 4 / 6}),
    "RMSProp": (0.05, {}),
    "Adam": (0.05, {}),
}


@pytest.fixture(scope="module")
def data():
    return experiments.zigzag()


@pytest.mark.parametrize("name", SETTINGS)
def test_paths_are_those_of_numpy(data, name):
    """The rules in NumPy in float64; float32 in 20 steps: 2e-4 of the start."""
    rate, settings = SETTINGS[name]

    def slope(weights, k):
        return [weights[0] * np.array([1.0, KAPPA])]

    path = data["runs"][name]["path"]
    for k in (1, 2, 5, 20):
        (expected,) = oracle.train(name, [np.array([-2.0, 0.5])], slope, k, rate, **settings)
        np.testing.assert_allclose(path[k], expected, atol=4e-4, err_msg=f"step {k}")


def test_gradient_descent_is_the_closed_form(data):
    """w_k = (1 − ηλ)ᵏ w₀ in each coordinate, with 1 − ηλ = 24/26 and −24/26: relative 1e-3 in float32."""
    k = np.arange(81)
    expected = np.stack([-2.0 * (24 / 26) ** k, 0.5 * (-24 / 26) ** k], axis=1)
    np.testing.assert_allclose(data["runs"]["SGD"]["path"], expected, rtol=1e-3)
    assert data["runs"]["SGD"]["changes"] == data["runs"]["SGD"]["arrived"] - 1


def test_factors_are_the_spectral_radii(data):
    """The eigenvalues of the matrix of a step, by NumPy: 1e-5, as they are rounded to six digits."""
    for name in ("Momentum", "Nesterov"):
        rate, rho = SETTINGS[name][0], SETTINGS[name][1]["rho"]
        radii = []
        for curvature in (1.0, KAPPA):
            now = 1 + rho - rate * curvature * (1 + rho if name == "Nesterov" else 1)
            before = -rho * (1 - rate * curvature if name == "Nesterov" else 1)
            radii.append(np.abs(np.linalg.eigvals([[now, before], [1, 0]])).max())
        # A double eigenvalue loses half of its digits.
        assert data["runs"][name]["factor"] == pytest.approx(max(radii), abs=1e-5)


def test_the_claims_of_the_page(data):
    runs = data["runs"]
    assert runs["Momentum"]["changes"] == runs["Momentum"]["arrived"] - 1
    assert 3.3 < runs["SGD"]["arrived"] / runs["Momentum"]["arrived"] < 3.5
    assert max(runs["Nesterov"]["changes"], runs["Adam"]["changes"]) <= 4
    across = np.array(runs["RMSProp"]["path"])[:, 1]
    early = np.sign(np.diff(across[:30]))
    assert np.sum(early[1:] * early[:-1] < 0) <= 2 < runs["RMSProp"]["changes"]
    numbers = shown("zigzag", data)
    assert [ours for what, (_, ours) in numbers.items() if what.startswith("SGD: factor")] == ["0.923"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_panels_show_the_paths_and_the_distances(data, theme):
    *paths, distances = zigzag(data, theme=theme).axes
    assert len(paths) == len(data["runs"])
    drawn = {line.get_label(): line for line in distances.get_lines()}
    for axes, (name, run) in zip(paths, data["runs"].items(), strict=True):
        assert axes.get_title("left") == f"{name}: {run['changes']} changes of direction"
        np.testing.assert_array_equal(axes.get_lines()[0].get_xydata(), run["path"])
        assert max(abs(y) for _, y in run["path"]) < axes.get_ylim()[1]
        np.testing.assert_array_equal(drawn[name].get_ydata(), run["distance"])
    lines = [drawn[name] for name in data["runs"]]
    assert len({line.get_color() for line in lines}) == 5


def test_rejects_other_data():
    with pytest.raises(TypeError, match="zigzag: `data` must be a dict"):
        zigzag([1.0])
    with pytest.raises(ValueError, match=r"zigzag: `data` must be a dict with 'runs'.*experiments\.zigzag"):
        zigzag({"loss": [1.0]})
    with pytest.raises(ValueError, match="zigzag: `curvature` must be"):
        experiments.zigzag(curvature=1.0)
