"""The race: paths of NumPy, every optimizer, costs and arrivals, the artists, and the animation by its data."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from oracles import optimizers as oracle
from support.figure_texts import shown

from keras_lecture import optimizers
from keras_lecture.figures import experiments, race, race_animation

# Not a rule, a module, and the one whose path is that of the optimizer which it averages.
LEFT_OUT = {"Rule", "schedules", "StochasticWeightAverage"}
HEIGHTS = {
    "ravine": lambda x, y: (x**2 + 30 * y**2) / 2,
    "saddle": lambda x, y: x**2 / 2 - y**2 / 2 + y**4 / 4 + 1 / 4,
    "beale": lambda x, y: (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2,
    "rosenbrock": lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
}


@pytest.fixture(scope="module")
def data():
    return experiments.race()


def test_every_optimizer_runs_on_every_surface(data):
    assert set(data["runs"]) == set(HEIGHTS)
    for runs in data["runs"].values():
        assert set(runs) == set(optimizers.__all__) - LEFT_OUT
    assert len(json.dumps(data, allow_nan=False)) < 300_000


@pytest.mark.parametrize("name", ["SGD", "Momentum", "Nesterov", "AdaGrad", "RMSProp", "Adam", "RectifiedAdam"])
def test_paths_are_those_of_numpy(data, name):
    """The rule alone with the rate of the run, in float64, though 17 rates and four surfaces share a descent.

    On the ravine, to 1e-3; positions are rounded to 1e-4.
    """
    run = data["runs"]["ravine"][name]
    rates = np.logspace(-4, 0, 17)
    rate = rates[np.argmin(np.abs(rates - run["rate"]))]

    def slope(weights, k):
        return [weights[0] * np.array([1.0, 30.0])]

    for k in (1, 2, 10, 30):
        (expected,) = oracle.train(name, [np.array([-2.0, 0.6])], slope, k, rate)
        np.testing.assert_allclose(run["path"][k], expected, atol=1e-3, err_msg=f"step {k}")


def test_losses_are_the_heights_of_the_paths(data):
    """The formulas again; positions are rounded to 1e-4, on slopes of up to 1e3."""
    for surface, height in HEIGHTS.items():
        for name, run in data["runs"][surface].items():
            path = np.array(run["path"][:20], dtype=float)
            np.testing.assert_allclose(run["loss"][:20], height(*path.T), rtol=0.02, atol=0.02, err_msg=name)


def test_costs_count_gradients_losses_and_products(data):
    ravine = data["runs"]["ravine"]
    assert ravine["SGD"]["cost"] == list(range(151))
    # One gradient, the loss at the full step, and a product for each of two weights.
    assert ravine["Newton"]["cost"] == pytest.approx([0, 1 + 1 / 3 + 2 * 3], abs=0.01)
    assert ravine["Newton"]["path"][1] == pytest.approx([0, 0], abs=1e-3)
    for runs in data["runs"].values():
        for run in runs.values():
            assert len(run["cost"]) == len(run["loss"]) == len(run["path"])
            assert np.all(np.diff(run["cost"]) >= 1) and run["cost"][-2] < 150


def test_arrivals_are_for_good(data):
    for runs in data["runs"].values():
        for run in runs.values():
            line = 1e-3 * run["loss"][0]
            after = [loss for loss, cost in zip(run["loss"], run["cost"], strict=True) if cost >= (run["arrived"] or 0)]
            before = [
                loss for loss, cost in zip(run["loss"], run["cost"], strict=True) if cost < (run["arrived"] or 999)
            ]
            assert before[-1] > line * 0.999
            assert run["arrived"] is None or max(after) <= line * 1.001


def test_the_claims_of_the_page(data):
    cost = {
        surface: {name: run["arrived"] or np.inf for name, run in runs.items()}
        for surface, runs in data["runs"].items()
    }
    assert min(cost["saddle"], key=cost["saddle"].get) == "SGD"
    assert 8 < cost["saddle"]["Newton"] / cost["saddle"]["SGD"] < 9
    for surface in ("ravine", "saddle", "beale"):
        assert set(sorted(cost[surface], key=cost[surface].get)[-2:]) == {"RMSProp", "RectifiedAdam"}
    assert {name for name, value in cost["rosenbrock"].items() if value < np.inf} == {"Momentum", "LBFGS", "Newton"}
    assert all(cost[surface]["LBFGS"] < 100 for surface in cost)
    assert [surface for surface in cost if min(cost[surface], key=cost[surface].get) == "LBFGS"] == [
        "beale",
        "rosenbrock",
    ]
    assert shown("race", data)["Rosenbrock: who arrives within the budget"][1] == "Momentum, LBFGS, Newton"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_panels_show_paths_and_losses(data, theme):
    axes = race(data, theme=theme).axes
    for paths, losses, (surface, runs) in zip(axes[::2], axes[1::2], data["runs"].items(), strict=True):
        assert paths.get_title("left") == surface
        drawn = {line.get_label(): line for line in paths.get_lines()}
        curves = {line.get_label().partition(":")[0]: line for line in losses.get_lines()}
        for name, run in runs.items():
            np.testing.assert_array_equal(drawn[name].get_xydata(), run["path"])
            np.testing.assert_array_equal(curves[name].get_ydata(), run["loss"])
            np.testing.assert_array_equal(curves[name].get_xdata(), run["cost"])
            assert drawn[name].get_color() == curves[name].get_color()
        styles = {(drawn[name].get_color(), drawn[name].get_linestyle()) for name in runs}
        assert len(styles) == len(runs)
        arrivals = [runs[text.get_text().partition(":")[0]]["arrived"] for text in losses.get_legend().get_texts()]
        assert arrivals == sorted(arrivals, key=lambda cost: cost or np.inf)


class _Page(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def all(self, tag, attribute):
        return [attributes[attribute] for name, attributes in self.found if name == tag and attribute in attributes]


def test_animation_has_the_data_and_controls_and_loads_nothing(data):
    text = race_animation(data)
    page = _Page(text)
    (scene,) = re.findall(r"const scene = (.*);\n", text)
    scene = json.loads(scene)
    for surface, runs in data["runs"].items():
        assert {name: run["path"] for name, run in scene["runs"][surface].items()} == {
            name: run["path"] for name, run in runs.items()
        }
        assert scene["surfaces"][surface]["heights"] == data["surfaces"][surface]["heights"]
    assert page.all("canvas", "data-surface") == list(data["runs"])
    assert page.all("input", "data-name") == list(scene["lines"]) == list(data["runs"]["ravine"])
    assert page.all("button", "id") == ["play"] and page.all("input", "max") == ["150"]
    assert not page.all("script", "src") and not page.all("img", "src")
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text)
    cells = re.findall(r"<td>(.*?)</td>", text)
    costs = [data["runs"][surface][name]["arrived"] for name in scene["lines"] for surface in data["runs"]]
    assert cells == ["–" if cost is None else f"{cost:.0f}" for cost in costs]


def test_animation_stops_a_path_that_is_not_finite_and_escapes_texts():
    run = {"path": [[0.0, 0.0], [None, 1.0]], "cost": [0.0, 1.0], "loss": [1.0, None], "arrived": None, "rate": 1.0}
    surface = {"formula": "</script><b>", "start": [0, 0], "minima": [], "x": [0, 1], "y": [0, 1], "heights": [[1.0]]}
    text = race_animation({"budget": 1, "surfaces": {"ravine": surface}, "runs": {"ravine": {"SGD": run}}})
    assert text.count("</script>") == 1 and "<b>" not in text.partition("<script>")[0]
    assert json.loads(re.findall(r"const scene = (.*);\n", text)[0])["runs"]["ravine"]["SGD"]["path"] == [[0.0, 0.0]]


def test_rejects_other_data():
    for draw in (race, race_animation):
        with pytest.raises(ValueError, match=r"race: `data` must be a dict with .*experiments\.race"):
            draw({"loss": [1.0]})
    with pytest.raises(ValueError, match="race: `surfaces` must be one of 'beale'"):
        experiments.race(surfaces=["ravines"])
    with pytest.raises(ValueError, match="race: `budget` must be"):
        experiments.race(budget=0)


@pytest.mark.parametrize("surfaces", ["ravine", [], None])
def test_surfaces_are_a_list_of_names(surfaces):
    """`surfaces="ravine"` was read letter by letter: the message spoke of a surface 'r', and `[]` drew nothing."""
    with pytest.raises(ValueError, match="race: `surfaces` must be a list of names"):
        experiments.race(surfaces=surfaces)
