"""The figure of four learning rates: each curve does what the page says, and the artists show the data."""

import random
import tomllib
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_lecture.figures import experiments, learning_rates

TEXT = Path(__file__).resolve().parents[2] / "docs/figures/learning_rates.toml"


@pytest.fixture(scope="module")
def data():
    return experiments.learning_rates(epochs=15)


def test_all_curves_start_at_one_loss_near_that_of_equal_probabilities(data):
    starts = {losses[0] for losses in data["loss"].values()}
    assert len(starts) == 1
    assert starts.pop() == pytest.approx(np.log(10), abs=0.3)


def test_the_high_rate_is_the_fastest_at_first_and_the_good_one_lower_later(data):
    loss = data["loss"]
    assert loss["high"][1] < loss["good"][1] < loss["low"][1]
    late = {name: np.mean(values[-8:]) for name, values in loss.items()}
    assert late["good"] < late["high"] < late["low"] < late["very high"]


def test_the_low_rate_falls_nearly_straight_and_the_very_high_one_stays_above_the_start(data):
    """Nearly straight: in every epoch between half and twice its mean fall."""
    falls = -np.diff(data["loss"]["low"])
    assert falls.min() > falls.mean() / 2 and falls.max() < 2 * falls.mean()
    assert min(data["loss"]["very high"][1:]) > data["loss"]["very high"][0]


def test_without_wrong_labels_a_high_rate_ends_as_low_as_a_good_one():
    clean = experiments.learning_rates(rates={"good": 0.5, "high": 2.0}, noise=0.0, examples=320, epochs=12)["loss"]
    assert clean["high"][-1] < clean["good"][-1]


def test_one_seed_gives_one_result_and_leaves_the_callers_generators():
    def run(seed):
        return experiments.learning_rates(seed=seed, rates={"one": 0.1}, epochs=1, examples=64)

    keras.utils.set_random_seed(7)
    expected = random.random(), np.random.rand()
    keras.utils.set_random_seed(7)
    first, other = run(0), run(1)
    assert (random.random(), np.random.rand()) == expected
    assert run(0) == first != other


def test_the_curves_are_the_data_and_differ_by_color_and_dash(data):
    (axes,) = learning_rates(data).axes
    lines = axes.get_lines()
    assert [line.get_label() for line in lines] == [f"{name}: η = {rate:g}" for name, rate in data["rates"].items()]
    for line, losses in zip(lines, data["loss"].values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), losses)
        np.testing.assert_array_equal(line.get_xdata(), range(16))
    assert len({line.get_color() for line in lines}) == len({str(line._unscaled_dash_pattern) for line in lines}) == 4


def test_a_loss_that_is_not_finite_is_a_gap():
    (axes,) = learning_rates({"rates": {"huge": 9.0}, "loss": {"huge": [1.0, None]}}, theme="dark").axes
    np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), [1.0, np.nan])


@pytest.mark.parametrize("wrong", [{"loss": {}}, {"rates": {"a": 1.0}, "loss": {"b": [1.0]}}, [1.0]])
def test_rejects_other_data(wrong):
    with pytest.raises(ValueError, match="learning_rates: `data` must be the data of the experiment"):
        learning_rates(wrong)


def test_the_numbers_of_the_page_evaluate(data):
    rows = tomllib.loads(TEXT.read_text(encoding="utf-8"))["numbers"]
    assert all(format(eval(row["ours"], {"data": data}), row["format"]) for row in rows)
