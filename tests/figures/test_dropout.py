"""`dropout`: the moments of the masks, the gap and the committee in the data, and the artists by their data."""

import json

import numpy as np
import pytest
from support.figure_texts import shown

from keras_lecture.figures import dropout, experiments

DROPOUT, PLAIN = "dropout", "no dropout"


@pytest.fixture(scope="module")
def data():
    """Fewer masks and epochs than by default."""
    return experiments.dropout(masks=500, epochs=40)


def test_the_mean_over_masks_is_the_output_at_inference(data):
    """y = Σ wᵢ·mᵢ·hᵢ has the mean (1 − p)·Σ wᵢ·hᵢ and the variance p·(1 − p)·Σ (wᵢ·hᵢ)²; five standard errors."""
    generator = np.random.default_rng(0)
    h, w = np.abs(generator.normal(size=(2, 100))) / [[1.0], [100.0]]
    signal = data["signal"]
    assert signal["unscaled"] == pytest.approx(h @ w, rel=1e-4)
    assert signal["inference"] == pytest.approx(0.5 * h @ w, rel=1e-4)
    deviation = np.sqrt(0.25 * np.sum((h * w) ** 2))
    assert np.std(signal["training"]) == pytest.approx(deviation, rel=5 / np.sqrt(2 * 500))
    assert np.mean(signal["training"]) == pytest.approx(0.5 * h @ w, abs=5 * deviation / np.sqrt(500))


def test_dropout_closes_the_gap_and_generalizes(data):
    """Wrong labels can only be memorized: without dropout the network does it, and errs on other images."""
    gap = {name: data["held_out_loss"][name][-1] - data["training_loss"][name][-1] for name in (PLAIN, DROPOUT)}
    assert gap[PLAIN] > 0.2
    assert gap[DROPOUT] < 0.1
    assert data["accuracy"][DROPOUT][-1] > data["accuracy"][PLAIN][-1] + 0.02
    assert data["training_loss"][PLAIN][-1] < data["training_loss"][DROPOUT][-1]


def test_a_committee_of_masks_beats_one_mask(data):
    committee = data["committee"]
    assert committee["accuracy"][-1] > committee["accuracy"][0] + 0.03
    assert committee["loss"][-1] < committee["loss"][0]
    # Scaling stands for the mean over all masks.
    assert committee["accuracy"][-1] == pytest.approx(data["accuracy"][DROPOUT][-1], abs=0.03)


def test_the_page_states_numbers_of_these_data(data):
    found = [ours for _, ours in shown("dropout", data).values()]
    assert found[1] == "0.500" and 0.48 < float(found[0]) < 0.52
    assert len(json.dumps(data, allow_nan=False)) < 100_000


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_panels_show_the_data(data, theme):
    signal, gap, committee = dropout(data, theme=theme).axes
    assert sum(bar.get_height() for bar in signal.patches) == len(data["signal"]["training"])
    lines = {line.get_label(): line for line in signal.lines}
    assert lines["inference, scaled by 0.5"].get_xdata()[0] == data["signal"]["inference"]
    assert lines["inference, not scaled"].get_xdata()[0] == data["signal"]["unscaled"]
    drawn = {line.get_label(): list(line.get_ydata()) for line in gap.lines}
    for name in (PLAIN, DROPOUT):
        assert drawn[f"{name}, held-out"] == data["held_out_loss"][name]
        assert drawn[f"{name}, training"] == data["training_loss"][name]
    drawn = {line.get_label(): list(line.get_ydata()) for line in committee.lines}
    assert drawn["mean over masks"] == data["committee"]["accuracy"]
    assert set(drawn["all units, scaled"]) == {data["accuracy"][DROPOUT][-1]}


def test_refuses_other_data_and_rates():
    with pytest.raises(ValueError, match="dropout: `data` must be the result of `experiments.dropout`"):
        dropout({})
    with pytest.raises(ValueError, match="dropout: `rate` must be in"):
        experiments.dropout(rate=1.0)
