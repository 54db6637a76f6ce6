"""`batch_normalization`: the bad start is rescued in the data, and the artists by their data."""

import json

import numpy as np
import pytest
from support.figure_texts import shown

from keras_lecture.figures import batch_normalization, experiments

GOOD, GOOD_NORMALIZED, BAD, BAD_NORMALIZED = RUNS = (
    "good start",
    "good start, batch norm",
    "bad start",
    "bad start, batch norm",
)
DEPTH, EPOCHS = 4, 5


@pytest.fixture(scope="module")
def data():
    """Fewer layers and epochs than by default: enough to learn most digits."""
    return experiments.batch_normalization(depth=DEPTH, epochs=EPOCHS)


def test_without_batch_norm_the_bad_start_does_not_learn(data):
    """The loss stays at log 10, that of equal scores, and one digit of ten is right by chance."""
    np.testing.assert_allclose(data["loss"][BAD], np.log(10), atol=0.01)
    assert max(data["accuracy"][BAD]) < 0.2


def test_batch_norm_rescues_the_bad_start(data):
    """Chance is an accuracy of 0.1 and a loss of log 10 = 2.3; the unnormalized network stays there."""
    assert max(data["accuracy"][BAD_NORMALIZED]) > 0.7
    assert data["loss"][BAD_NORMALIZED][-1] < 0.5


def test_batch_norm_shortens_learning_from_the_good_start(data):
    assert data["loss"][GOOD_NORMALIZED][-1] < data["loss"][GOOD][-1]
    assert data["accuracy"][GOOD_NORMALIZED][-1] > 0.9


def test_the_values_before_training(data):
    """Half of a normal distribution of variance 1 has a spread of √(½ − 1/2π) = 0.584 after ReLU.

    Batch norm ensures the variance up to its ε, which the tiny values of the bad start are not large against.
    """
    np.testing.assert_allclose(data["spread"][GOOD_NORMALIZED], np.sqrt(0.5 - 0.5 / np.pi), rtol=0.05)
    assert min(data["spread"][BAD_NORMALIZED]) > 0.3
    assert data["spread"][BAD][-1] < 2e-3
    assert len(data["spread"][BAD]) == DEPTH


def test_the_page_states_numbers_of_these_data(data):
    found = [ours for _, ours in shown("batch_normalization", data).values()]
    assert found[0] == "10%" and float(found[4]) < 2e-3
    assert len(json.dumps(data, allow_nan=False)) < 100_000


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_panels_show_the_data(data, theme):
    panels = batch_normalization(data, theme=theme).axes
    for axes, key in zip(panels, ("spread", "loss", "accuracy"), strict=True):
        assert {line.get_label(): list(line.get_ydata()) for line in axes.lines} == data[key]
        assert len({(line.get_linestyle(), line.get_marker()) for line in axes.lines}) == len(RUNS)
        assert axes.get_ylabel() and axes.get_xlabel()


def test_refuses_other_data():
    with pytest.raises(ValueError, match="batch_normalization: `data` must be the result of `experiments.batch_norm"):
        batch_normalization({"loss": {}})
