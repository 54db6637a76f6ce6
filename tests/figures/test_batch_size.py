"""The figure of the batch sizes: gradient descent in NumPy, variances, floors, and the artists."""

import numpy as np
import pytest
from support.figure_texts import shown

from keras_lecture.figures import batch_size, experiments


@pytest.fixture(scope="module")
def data():
    return experiments.batch_size()


def test_the_full_batch_is_gradient_descent(data):
    """Deck B's problem again, in float64 from the seed's first numbers: relative 1e-3, and 1e-6 for float32's floor."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(10_000, 20)).astype("float32").astype("float64")
    truth = rng.normal(size=20) / np.sqrt(20)
    y = np.where(rng.random(10_000) < 1 / (1 + np.exp(-x @ truth)), 1.0, -1.0)
    w, losses = np.zeros(20), []
    for _ in range(401):
        margin = y * (x @ w)
        losses.append(np.mean(np.logaddexp(0, -margin)))
        w = w + 0.1 * x.T @ (y / (1 + np.exp(margin))) / len(x)
    for _ in range(2000):
        w = w + 2.0 * x.T @ (y / (1 + np.exp(y * (x @ w)))) / len(x)
    expected = np.array(losses)[data["steps"]] - np.mean(np.logaddexp(0, -y * (x @ w)))
    np.testing.assert_allclose(data["runs"]["10000"]["loss"], expected, rtol=1e-3, atol=1e-6)


def test_the_variance_of_the_gradient_is_divided_by_the_batch_size(data):
    """From 200 batches: the relative error of a mean of 20 squares is about 1/√2000 to 1/√200."""
    single = [int(size) * run["deviation"] for size, run in data["runs"].items()]
    np.testing.assert_allclose(single, np.mean(single), rtol=0.15)


def test_floors_fall_with_the_batch_size(data):
    """Theory's floors are exactly 1/b of each other; the run with b = 10, half an epoch, is there within a quarter."""
    runs = data["runs"]
    floors = [run["floor"] for run in runs.values()]
    assert floors == sorted(floors, reverse=True)
    assert runs["10000"]["theory"] is None
    assert [runs[b]["theory"] * int(b) for b in ("10", "100")] == pytest.approx([runs["1"]["theory"]] * 2)
    assert runs["10"]["floor"] == pytest.approx(runs["10"]["theory"], rel=0.25)
    # A sample comes once per epoch: over four epochs, the noise cancels in part.
    assert runs["100"]["floor"] < runs["100"]["theory"]


def test_small_batches_are_first_over_the_gradients_of_samples(data):
    """The cost, in gradients of samples, until the loss is a tenth of the first, where the floor allows it."""
    steps, costs = np.array(data["steps"]), {}
    for size in ("10", "100", "10000"):
        loss = np.array(data["runs"][size]["loss"])
        costs[size] = steps[np.argmax(loss < 0.1 * loss[0])] * int(size)
    assert costs["10"] < costs["100"] < costs["10000"]


def test_the_numbers_of_the_page(data):
    numbers = list(shown("batch_size", data).values())
    assert all(float(value) == pytest.approx(5, abs=0.7) for value in numbers[0][1].split(", "))
    assert float(numbers[2][1]) >= 10


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_panels_show_the_same_losses(data, theme):
    over_steps, over_epochs = batch_size(data, theme=theme).axes[:2]
    first = {line.get_label(): line for line in over_steps.get_lines()}
    for (size, run), second in zip(data["runs"].items(), over_epochs.get_lines(), strict=True):
        line = first[f"b = {int(size):,}"]
        np.testing.assert_array_equal(line.get_xdata(), data["steps"])
        np.testing.assert_array_equal(line.get_ydata(), run["loss"])
        np.testing.assert_allclose(second.get_xdata(), np.array(data["steps"])[1:] * int(size) / 10_000)
        np.testing.assert_array_equal(second.get_ydata(), run["loss"][1:])
        assert (line.get_color(), line.get_linestyle()) == (second.get_color(), second.get_linestyle())
    floors = [line.get_ydata()[0] for line in over_steps.get_lines() if len(line.get_xdata()) == 2]
    assert floors == [run["theory"] for run in data["runs"].values() if run["theory"]]


def test_rejects_other_data():
    with pytest.raises(ValueError, match=r"batch_size: `data` must be a dict with .*experiments\.batch_size"):
        batch_size({"loss": [1.0]})
    with pytest.raises(ValueError, match="batch_size: `sizes` must be"):
        experiments.batch_size(sizes=(20_000,))
