"""The course and the progress of a loss: slopes against SciPy, shares of the way by hand."""

import numpy as np
import pytest
from diagnosis._rules.runs import CHANCE, falling, healthy, run, stuck
from scipy import stats

from keras_lecture.diagnosis._rules.causes import has_other_cause
from keras_lecture.diagnosis._rules.evidence import loss_floor, progress
from keras_lecture.diagnosis._rules.trends import is_plateau, late_fall, oscillation, recent_slope, theil_sen

pytestmark = pytest.mark.once


def test_slope_is_that_of_scipy():
    rng = np.random.default_rng(0)
    steps, values = np.arange(30.0), -0.1 * np.arange(30) + rng.normal(size=30)
    slope, reference = theil_sen(steps, values), stats.theilslopes(values, steps, alpha=0.95)
    assert slope.middle == pytest.approx(reference.slope)
    # The ends of the interval may differ by one rank.
    assert slope.low == pytest.approx(reference.low_slope, abs=5e-3)
    assert slope.high == pytest.approx(reference.high_slope, abs=5e-3)


def test_slope_interval_covers_zero_for_noise():
    rng = np.random.default_rng(1)
    slopes = [theil_sen(np.arange(40.0), rng.normal(size=40)) for _ in range(200)]
    assert np.mean([slope.low <= 0 <= slope.high for slope in slopes]) > 0.9


def test_slope_of_four_points_is_unknown():
    assert theil_sen(np.arange(4.0), np.arange(4.0)) is None


def test_plateau_and_fall():
    assert is_plateau(stuck())
    assert not is_plateau(run(list(np.linspace(2.3, 0.5, 11))))
    assert is_plateau(run([2.3])) is None
    assert late_fall(run(list(np.linspace(2.3, 0.5, 11)))) == pytest.approx(1 / 3, abs=0.05)
    assert late_fall(healthy()) < 0.05


def test_oscillation_of_epochs():
    assert oscillation(run([2.3, *[0.5, 1.5] * 5]))[1] == 1
    assert oscillation(healthy())[1] == 0
    assert oscillation(healthy(epochs=4)) is None
    # A loss that never changes was measured often enough.
    assert oscillation(run([2.3] * 10)) == (0.0, 0.0)


def test_the_progress_is_told_from_where_it_is_counted():
    """A page counted from the first loss and said "from a constant prediction", of which it knew nothing."""
    assert "from a constant prediction to a perfect one" in progress(healthy()).text
    record = run([2.97, 2.5, 2.28])
    record["start"]["chance"] = None
    assert progress(record).text == "23.2% of the way from the untrained model to a perfect one after 100 steps"
    record["start"]["chance"] = {"loss": 1.0}
    assert progress(record).text == "far worse than a constant prediction after 100 steps"
    record["start"]["chance"] = {"loss": 1.6}
    assert progress(record).text == "worse than a constant prediction after 100 steps"


def test_the_loss_in_training_mode_counts_if_it_is_clearly_smaller():
    """Of 64 samples it was 5 % below that of 192, and a model that had learned nothing had "5.8 % of the way"."""
    record = run([2.31, 2.3, 2.3])
    record["model"]["layers"][0]["class"] = "MultiHeadAttention"
    for probe in record["probes"]:
        probe["train"]["error"], probe["training_mode"] = 0.1, {"loss": 2.1}
    assert progress(record).stage == "none"
    for probe in record["probes"]:
        probe["training_mode"] = {"loss": 1.0}
    assert progress(record).stage == "good"


@pytest.mark.parametrize("epochs", [1, 2, 5, 300])
def test_progress_does_not_depend_on_the_number_of_epochs(epochs):
    state = progress(healthy(epochs))
    assert state.stage == "good" and not state.stuck and state.run == 1
    assert state.share == pytest.approx((CHANCE - falling(epochs)[-1]) / CHANCE)
    assert progress(stuck(epochs)).stuck


def test_progress_against_the_floor_of_smoothed_labels():
    losses = [2.4, 1.5, 1.0, 0.75, 0.72, 0.71]
    record = run(losses)
    record["model"]["losses"][0]["label_smoothing"] = 0.1
    shares = np.array([0.91] + [0.01] * 9)
    assert loss_floor(record) == pytest.approx(-(shares * np.log(shares)).sum())
    assert progress(record).share > 0.8


def test_progress_of_a_regression_is_the_coefficient_of_determination():
    record = run([600.0, 60.0, 20.0, 10.0], start={"loss": 600.0, "chance": {"loss": 40.0}})
    record["model"]["losses"][0]["family"] = "squared"
    assert progress(record).share == pytest.approx(0.75)


def test_progress_without_floor_or_chance():
    record = run([-1.0, -5.0, -9.0], start={"loss": -1.0, "chance": None})
    record["model"]["losses"][0]["family"] = "other"
    assert progress(record).stage == "good" and progress(record).share is None
    flat = run([-1.0, -1.0, -1.001], start={"loss": -1.0, "chance": None})
    flat["model"]["losses"][0]["family"] = "other"
    assert progress(flat).stage == "none"


def test_progress_of_imbalanced_classes_counts_the_loss():
    # Accuracy as that of the commonest class, and a loss well below that of its frequency.
    record = run([0.5, 0.22, 0.17, 0.15], accuracies=[0.95] * 4, start={"loss": 0.5, "chance": {"loss": 0.198}})
    record["start"]["chance"]["accuracy"] = 0.95
    assert progress(record).stage == "little"


def test_regularization_is_no_part_of_the_progress():
    record = stuck()
    for probe in record["probes"]:
        probe["train"]["loss"] += 5.0
        probe["training_mode"]["loss"] += 5.0
        probe["train"]["regularization"] = 5.0
    assert progress(record).now == pytest.approx(CHANCE, abs=0.02)


@pytest.mark.parametrize("record", [{}, {"probes": [], "losses": {"steps": [], "values": []}, "epochs": []}])
def test_an_empty_record_is_unknown(record):
    assert progress(record).stage == "unknown"
    assert recent_slope(record) is None


@pytest.mark.parametrize(
    ("from_logits", "output", "expected"),
    [
        (True, {"activation": "softmax"}, True),
        (False, {"activation": "linear"}, True),
        (False, {"activation": "softmax"}, False),
        # A custom last layer has no activation that has a name: its values decide.
        (False, {"activation": None, "smallest": 0.1, "largest": 0.9}, False),
        (False, {"activation": None, "smallest": -3.0, "largest": 2.0}, True),
    ],
)
def test_an_output_that_contradicts_its_loss_is_another_cause(from_logits, output, expected):
    """The losses of a subclassed model have no names; a fault in its output kept a symptom at medium severity."""
    loss = {"output": "", "family": "categorical_crossentropy", "from_logits": from_logits}
    model = {"losses": [loss], "outputs": [{"name": "output_0", "shape": [10], **output}]}
    assert has_other_cause({"model": model}) is expected
