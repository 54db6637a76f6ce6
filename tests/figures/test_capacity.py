"""The figure of under- and overfitting: both errors over width and steps, and the artists."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from keras_lecture.figures import capacity, experiments

TEXT = Path(__file__).resolve().parents[2] / "docs/figures/capacity.toml"


@pytest.fixture(scope="module")
def data():
    return experiments.capacity(widths=(1, 4, 64), steps=1000, measurements=10)


def test_the_training_error_falls_with_the_width_and_the_test_error_rises_again(data):
    training, test = ([errors[-1] for errors in data[key]] for key in ("training_error", "test_error"))
    assert training == sorted(training, reverse=True)
    assert np.argmin(test) == 1
    assert test[2] - training[2] > 2 * (test[1] - training[1])


def test_training_errors_below_the_variance_of_the_noise_are_overfitting(data):
    assert data["noise"] == pytest.approx(0.3**2)
    assert data["training_error"][2][-1] < data["noise"] / 2 < data["training_error"][0][-1]
    # No network predicts noise; the mean of 1000 squared errors has a standard error of 5 %.
    assert min(min(errors) for errors in data["test_error"]) > 0.85 * data["noise"]


def test_the_large_network_gets_worse_on_new_values_while_it_trains(data):
    """And the smallest gains nothing from the second half of its steps: less than a tenth."""
    assert data["test_error"][2][-1] > 1.5 * data["test_error"][2][0]
    assert data["training_error"][2][-1] < data["training_error"][2][0]
    assert data["training_error"][0][-1] > 0.9 * data["training_error"][0][4]


def test_the_curves_are_the_networks_whose_errors_are_listed(data):
    """The mean squared distance of each curve from the sine is its test error without the noise, within 40 %."""
    x = np.array(data["curve_x"])
    for curve, errors in zip(data["curves"], data["test_error"], strict=True):
        distance = np.mean((np.array(curve) - np.sin(1.5 * x)) ** 2)
        assert distance + data["noise"] == pytest.approx(errors[-1], rel=0.4)


def test_the_panels_show_the_fits_and_both_errors(data):
    *fits, widths, small, large = capacity(data, theme="dark").axes
    for axes, i in zip(fits, (0, 1, 2), strict=True):
        drawn = {line.get_label(): line for line in axes.get_lines()}
        np.testing.assert_array_equal(drawn["network"].get_ydata(), data["curves"][i])
        np.testing.assert_array_equal(drawn["training"].get_ydata(), data["y"])
    for key in ("training", "test"):
        (line,) = (line for line in widths.get_lines() if line.get_label() == key)
        np.testing.assert_array_equal(line.get_xdata(), data["widths"])
        np.testing.assert_array_equal(line.get_ydata(), [errors[-1] for errors in data[f"{key}_error"]])
        for axes, i in ((small, 0), (large, 2)):
            (line,) = (line for line in axes.get_lines() if line.get_label() == key)
            np.testing.assert_array_equal(line.get_xdata(), data["steps"])
            np.testing.assert_array_equal(line.get_ydata(), data[f"{key}_error"][i])
    assert widths.get_ylim() == small.get_ylim() == large.get_ylim()


@pytest.mark.parametrize("wrong", [{"widths": [1]}, [1.0]])
def test_rejects_other_data(wrong):
    with pytest.raises(ValueError, match="capacity: `data` must be the data of the experiment"):
        capacity(wrong)


def test_rejects_fewer_steps_than_measurements():
    with pytest.raises(ValueError, match=r"capacity: `steps` must be a whole number in \[15, ∞\)"):
        experiments.capacity(steps=3)


def test_the_numbers_of_the_page_evaluate(data):
    rows = tomllib.loads(TEXT.read_text(encoding="utf-8"))["numbers"]
    assert all(format(eval(row["ours"], {"data": data}), row["format"]) for row in rows)
