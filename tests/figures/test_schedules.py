"""The figure of the schedules: the formulas in NumPy, the sums, and the artists."""

import math

import numpy as np
import pytest
from support.figure_texts import shown

from keras_lecture.figures import experiments, schedules
from keras_lecture.optimizers import schedules as room


@pytest.fixture(scope="module")
def data():
    return experiments.schedules()


def test_every_schedule_of_the_library_is_there(data):
    assert set(data["runs"]) == set(room.__all__)


def test_rates_are_those_of_the_formulas(data):
    """η₀ = 0.1 and p = 50, in float64: 1e-6 for float32."""
    k = np.arange(700)

    def restarts(k):
        start = 0 if k < 100 else 100 if k < 300 else 300
        return 0.05 * (1 + math.cos(math.pi * (k - start) / {0: 100, 100: 200, 300: 400}[start]))

    expected = {
        "Exponential": 0.1 * 0.8 ** (k // 50),
        "InverseTime": 0.1 / (1 + k / 50),
        "WarmRestarts": [restarts(i) for i in k],
        "Cyclical": 0.025 + 0.075 * (1 - np.abs(2 * (k % 200) / 200 - 1)),
        "Warmup": [0.1 * (i + 1) / 25 if i < 25 else restarts(i - 25) for i in k],
    }
    for name, rate in expected.items():
        np.testing.assert_allclose(data["runs"][name]["rate"], rate, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(data["runs"][name]["sum"], np.cumsum(rate), rtol=1e-4, err_msg=name)


def test_the_claims_of_the_page(data):
    """The exponential's sum has the limit η₀·p/(1 − 0.8) = 25; the squares of 1/k have η₀²(p + ½) = 0.505."""
    sums = {name: run["sum"][-1] for name, run in data["runs"].items()}
    assert sums["InverseTime"] < sums["Exponential"] < 25 < sums["WarmRestarts"]
    assert data["runs"]["InverseTime"]["squares"][-1] < 0.505
    assert [ours for _, ours in shown("schedules", data).values()][::2] == ["23.9, 25.0", "0.47, 0.51"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_panels_show_the_rates_and_their_sums(data, theme):
    for axes, key in zip(schedules(data, theme=theme).axes, ("rate", "sum"), strict=True):
        lines = axes.get_lines()
        for line, (name, run) in zip(lines, data["runs"].items(), strict=True):
            assert line.get_label() == name
            np.testing.assert_array_equal(line.get_ydata(), run[key])
        # `get_linestyle` gives "--" for every dash of its own.
        dashes = {str(line._unscaled_dash_pattern) for line in lines}
        assert len({line.get_color() for line in lines}) == len(dashes) == len(lines)


def test_rejects_other_data():
    with pytest.raises(ValueError, match=r"schedules: `data` must be a dict with .*experiments\.schedules"):
        schedules({"loss": [1.0]})
    with pytest.raises(ValueError, match="schedules: `steps` must be"):
        experiments.schedules(steps=3)
