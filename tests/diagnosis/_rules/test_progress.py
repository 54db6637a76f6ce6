"""Rules on the training loss and the learning rate: sick records, near misses of healthy runs, unknown."""

import copy

import numpy as np
import pytest
from diagnosis._rules.runs import (
    STEPS_PER_EPOCH,
    alarms,
    answers,
    change_rows,
    falling,
    healthy,
    run,
    severities,
    stuck,
)

from keras_lecture.diagnosis._rules import evidence, flow, generalization, progress

pytestmark = pytest.mark.once


def linear(start, end, epochs=10):
    return list(np.linspace(start, end, epochs + 1))


@pytest.mark.parametrize("epochs", [1, 2, 5, 30, 1000])
def test_healthy_runs_raise_no_alarm(epochs):
    assert alarms(healthy(epochs), progress, flow, generalization) == []


@pytest.mark.parametrize(
    "losses",
    [
        # A plateau at the noise floor.
        [2.3, 1.6, *[1.5] * 20],
        # A restart's bumps.
        [2.3, 1.0, 0.5, 0.9, 0.4, 0.3, 0.7, 0.3, 0.2, 0.6, 0.2, 0.1],
        # Still falling well when few epochs are over.
        [2.3, 1.9, 1.5],
        # The flat end of a cosine schedule.
        [*falling(10), *[0.1001] * 10],
        # A slow start.
        [2.3, 2.29, 2.25, 2.0, 1.5, 1.0, 0.6, 0.4, 0.3, 0.2],
        # A start far above a constant prediction.
        [60.0, 5.0, 2.0, 1.0, 0.6, 0.4],
    ],
)
def test_near_misses_raise_no_alarm(losses):
    assert alarms(run(losses), progress, flow, generalization) == []


@pytest.mark.parametrize("length", range(2, 11))
def test_a_slow_start_raises_no_alarm_on_its_way(length):
    losses = [2.31, 2.30, 2.27, 2.2, 2.0, 1.5, 1.0, 0.6, 0.4, 0.3, 0.2]
    record = run(losses[:length])
    record["fit"]["epochs"] = 10
    assert alarms(record, progress, flow, generalization) == []


@pytest.mark.parametrize("rule", [rule.id for rule in progress.RULES])
def test_an_empty_record_is_unknown(rule):
    found, unknown = answers(progress, rule, {"probes": [], "losses": {}, "epochs": [], "steps": []})
    assert found == [] and len(unknown) == 1


def test_non_finite_is_high_and_names_the_layer():
    record = change_rows(healthy(update=0.5), slice(3, None), ["b"], nonfinite=7)
    for probe in record["probes"][3:]:
        probe["train"]["loss"] = "nan"
    record["losses"]["values"][40:] = [float("nan")] * len(record["losses"]["values"][40:])
    found, _ = answers(progress, "non-finite", record)
    assert [(f.severity, f.layer, f.first_step) for f in found] == [("high", "b", 150)]
    assert "from_logits" in found[0].cure
    record["model"]["losses"][0]["family"] = "squared"
    assert "from_logits" not in answers(progress, "non-finite", record)[0][0].cure
    assert severities(progress, "learning-rate-too-high", record) == ["medium"]


def test_one_infinite_loss_that_heals_is_low():
    record = healthy()
    record["losses"]["values"][3] = float("inf")
    assert severities(progress, "non-finite", record) == ["low"]


def test_non_finite_validation_alone_is_medium():
    record = healthy(validation=falling(10))
    record["probes"][-1]["validation"]["loss"] = "nan"
    assert severities(progress, "non-finite", record) == ["medium"]


def test_loss_that_stays_above_its_start():
    record = run([2.4, 9.0, 14.0, 12.0, 15.0, 13.0], update=0.4)
    assert severities(progress, "learning-rate-too-high", record) == ["high"]
    assert severities(progress, "exploding-loss", record) == ["low"]
    assert alarms(record, progress, flow) == ["learning-rate-too-high"]


def test_early_peak_that_ends_as_constant_output():
    record = run([2.4, *[2.303] * 9], update=0.5)
    record["losses"]["values"][1:4] = [80.0, 30.0, 9.0]
    for probe in record["probes"][1:]:
        probe["train"]["same_output"] = True
    assert severities(progress, "learning-rate-too-high", record) == ["high"]


def test_best_gain_that_is_lost_again():
    assert severities(progress, "learning-rate-too-high", run([2.3, 1.0, 0.6, 2.2, 2.3, 2.3], update=0.1)) == ["high"]


def test_long_first_steps_of_a_run_that_learns_are_no_finding():
    assert severities(progress, "learning-rate-too-high", healthy(update=0.3)) == []
    assert severities(progress, "learning-rate-too-high", healthy(update=0.05)) == []
    # Steps longer than the weights themselves are worth knowing even then.
    assert severities(progress, "learning-rate-too-high", healthy(update=1.3)) == ["low"]


def test_a_summed_loss_is_not_compared_between_batches_of_different_size():
    """The loss of the 64 samples in training mode was a fourth of that of 256 samples, and passed for progress."""
    record = run([52.0, 51.0, 50.0, 50.0], update=0.01)
    for probe in record["probes"]:
        probe["training_mode"] = {"loss": probe["train"]["loss"] / 4}
    # Without a layer that differs in training, the loss of other samples tells nothing.
    assert evidence.progress(record).now == 50.0
    record["model"]["layers"].append({"name": "drop", "class": "Dropout", "rate": 0.5})
    assert evidence.progress(record).now == 12.5
    record["model"] = {**record.get("model", {}), "losses": [{"family": "squared", "sums": True}]}
    assert evidence.progress(record).now == 50.0


def test_learning_rate_too_low():
    record = run(linear(2.4, 2.37), update=1e-6)
    assert severities(progress, "learning-rate-too-low", record) == ["medium"]
    assert alarms(record, progress, flow) == ["learning-rate-too-low"]


def test_a_schedule_that_falls_too_soon_is_the_cause_of_short_steps():
    """A page told the reader to multiply a rate by ten that moved the weights by a third, and then fell to 1e-21."""
    record = run(linear(2.31, 2.3), update=1e-6)
    record["steps"] = [copy.deepcopy(record["steps"][0]) | {"step": number} for number in (1, 2, 51, 52, 101, 102)]
    for number, step in enumerate(record["steps"]):
        step["learning_rate"] = 0.1 * 0.5 ** step["step"]
        for entry in step["weights"].values():
            entry["update"] = 0.3 if number == 0 else 1e-6
    found = answers(progress, "learning-rate-too-low", record)[0][0]
    assert found.cause.startswith("The learning rate falls from 0.05 to ")
    assert found.first_step > 1 and "CosineDecay(0.05, " in found.code
    # A rate that falls at the very end has done its work.
    for step in record["steps"]:
        step["learning_rate"] = 0.1
    record["steps"][-1] |= {"step": record["probes"][-1]["step"], "learning_rate": 1e-9}
    found = [f.cause for f in answers(progress, "learning-rate-too-low", record)[0]]
    assert not any("falls from" in cause for cause in found)


def test_short_steps_of_a_trained_model_are_fine():
    # Fine-tuning starts far below a constant prediction.
    assert severities(progress, "learning-rate-too-low", run(linear(0.3, 0.29), update=1e-6)) == []


def test_short_steps_after_long_ones_are_not_too_short():
    """Units that the first steps have killed move no more: the page asked for a rate ten times larger and smaller."""
    record = run(linear(2.31, 2.3), update=1e-6)
    assert severities(progress, "learning-rate-too-low", record) == ["medium"]
    for entry in record["steps"][0]["weights"].values():
        entry["update"] = 3.0
    assert severities(progress, "learning-rate-too-low", record) == []


def test_the_code_of_a_rate_has_the_rate_of_the_run():
    record = run(linear(2.31, 2.3), update=1e-6)
    record["model"]["optimizer"]["learning_rate"] = 1e-5
    (found,), _ = answers(progress, "learning-rate-too-low", record)
    assert found.code == "model.optimizer.learning_rate = 0.001"


@pytest.mark.parametrize(("update", "rate"), [(0.25, 0.0005), (2.0, 0.0001), (0.06, 0.001), (5.0, 2e-5)])
def test_the_code_of_a_rate_that_is_too_high_makes_steps_of_a_fiftieth(update, rate):
    """A tenth of Adam's 0.5, the code of a page, still changed the weights by a fifth in each step."""
    record = run([2.4, 9.0, 14.0, 12.0, 15.0, 13.0], update=update)
    (found,), _ = answers(progress, "learning-rate-too-high", record)
    factor = 0.01 / rate
    assert found.code.startswith(f"model.optimizer.learning_rate = {rate:.3g} ")
    assert f"by {factor:,.0f}" in found.cure or (factor == 10 and "by ten" in found.cure)
    assert update / factor <= 0.02 or factor == 10


def test_the_first_step_of_a_search_is_not_too_long():
    """L-BFGS with a perfect fit was told to divide its rate by a hundred."""
    record = run([2.4, 0.2, 0.1, 0.05, 0.02, 0.01], update=2.0)
    assert severities(progress, "learning-rate-too-high", record) == ["low"]
    record["model"]["optimizer"]["class"] = "LBFGS"
    assert severities(progress, "learning-rate-too-high", record) == []


def test_the_first_step_says_how_long_the_steps_are():
    """A rate of 20 destroyed the weights, whose later updates were 10¹³ times their size: the code was 2e-15."""
    record = run([2.4, 9.0, 14.0, 12.0, 15.0, 13.0], update=40.0)
    for step in record["steps"][1:]:
        for entry in step["weights"].values():
            entry["update"] = 1e13
    (found,), _ = answers(progress, "learning-rate-too-high", record)
    assert found.code.startswith("model.optimizer.learning_rate = 5e-06 ")
    assert list(found.evidence.items())[0] == ("update relative to the weights, step 1", "4.0e+01")


def test_a_loss_that_sums_over_the_batch_makes_long_steps():
    """A page led with the loss at the start, where every gradient was 32 times that of the mean."""
    record = run(linear(2.31, 1.5), update=0.03)
    record["model"]["losses"][0] |= {"sums": True, "class": "MeanSquaredError"}
    record["fit"]["batch_size"] = 32
    (found,), _ = answers(progress, "learning-rate-too-high", record)
    assert found.severity == "low" and "sum over a batch of 32 rows" in found.cause
    assert found.code == "model.compile(model.optimizer, loss=keras.losses.MeanSquaredError())"
    record["model"]["losses"][0] |= {"sums": False}
    assert severities(progress, "learning-rate-too-high", record) == []


def test_a_loss_far_above_chance_before_the_first_step_is_no_matter_of_the_rate():
    """A recurrent net whose state had exploded before any step was told to lower the learning rate."""
    record = run([1e4, float("nan"), float("nan")], update=700.0)
    record["losses"]["values"] = [float("nan")] * len(record["losses"]["values"])
    for probe in record["probes"][1:]:
        probe["train"]["loss"] = "nan"
    assert severities(progress, "learning-rate-too-high", record) in ([], ["low"])
    record["start"]["chance"]["loss"] = 1e3
    assert severities(progress, "learning-rate-too-high", record) != ["low"]


def test_a_warm_up_is_not_judged_by_its_first_steps():
    record = run([2.3, 2.25], update=1e-6)
    record["fit"]["epochs"] = 20
    record["model"]["optimizer"]["schedule"] = True
    assert set(severities(progress, "learning-rate-too-low", record)) <= {"low"}
    assert alarms(record, progress, flow) == []


def test_slow_learning_without_progress():
    record = run(linear(2.5, 2.3), update=1e-3)
    assert severities(progress, "slow-learning", record) == ["medium"]
    assert severities(progress, "learning-rate-too-low", record) == []


def test_a_short_run_toward_a_good_constant_prediction_is_not_slow():
    """Six epochs of a Dice loss fell from 0.60 to 0.44; the mean image has 0.32. It was "learning nothing"."""
    record = run([0.60, 0.565, 0.53, 0.50, 0.475, 0.455, 0.435], update=1e-3)
    record["model"]["losses"][0]["family"] = "dice"
    record["start"]["chance"] = {"loss": 0.32, "accuracy": None}
    assert set(severities(progress, "slow-learning", record)) <= {"low"}
    record["start"]["chance"]["loss"] = 0.1
    assert severities(progress, "slow-learning", record) == ["medium"]


def test_cut_short():
    record = run([2.4, 2.3], update=1e-3)
    assert STEPS_PER_EPOCH <= 100 and severities(progress, "cut-short", record) == ["medium"]
    assert severities(progress, "cut-short", run(linear(2.4, 0.8))) == ["low"]
    assert severities(progress, "cut-short", healthy()) == []


def test_underfit_and_too_little_capacity():
    ((found,), _), last = answers(progress, "underfit", stuck()), stuck()["probes"][-1]["step"]
    # A page said "from the start".
    assert (found.severity, found.first_step) == ("medium", last)
    assert alarms(stuck(), progress, flow) == ["underfit"]
    narrow = stuck()
    narrow["model"]["layers"][1]["units"] = 1
    assert alarms(narrow, progress, flow) == ["too-little-capacity"]
    # A reader of a report was told to enlarge a convolution of eight channels before ten outputs.
    narrow["model"]["layers"][1]["shape"] = [6, 6, 1]
    assert alarms(narrow, progress, flow) == ["underfit"]
    # Far from perfect, but perhaps at the noise in the data.
    assert set(severities(progress, "underfit", run([2.3, *[1.7] * 20]))) == {"low"}


def test_oscillating_loss():
    record = run([2.3, *[2.2, 2.6] * 6], update=0.02)
    assert severities(progress, "oscillating-loss", record) == ["medium"]
    assert severities(progress, "oscillating-loss", healthy(epochs=20)) == []


def test_zig_zag():
    record = stuck()
    for step in record["steps"]:
        step["cosine"] = -0.9
    assert severities(progress, "zig-zag", record) == ["medium"]
    assert severities(progress, "zig-zag", healthy()) == []
    positive = change_rows(stuck(activation="sigmoid"), mean=0.5, std=0.1)
    assert severities(progress, "zig-zag", positive) == ["low"]


def test_a_contradiction_of_output_and_loss_keeps_symptoms_low():
    record = stuck()
    record["model"]["losses"][0]["from_logits"] = True
    assert alarms(record, progress, flow, generalization) == []


def test_a_loss_with_the_wrong_sign_falls_without_end():
    losses = [1.0, 0.0, -10.0, -100.0, -1000.0, -10000.0]
    record = run(losses, start={"loss": 1.0, "chance": None})
    record["model"]["losses"][0]["family"] = "other"
    assert severities(progress, "exploding-loss", record) == ["medium"]
    # A log-likelihood may be negative, and levels off.
    record = run([1.0, -2.0, -3.0, -3.2, -3.3, -3.3], start={"loss": 1.0, "chance": None})
    record["model"]["losses"][0]["family"] = "other"
    assert alarms(record, progress) == []


def test_a_schedule_that_ends_too_soon():
    record = run([2.3, 2.1, *[2.08] * 8])
    record["steps"].append({"step": 450, "weights": {p: {"update": 1e-9} for p in record["steps"][0]["weights"]}})
    assert severities(progress, "slow-learning", record) == ["low"]


def test_a_fall_that_the_noise_of_few_steps_hides_is_cut_short():
    """A page said "no fall beyond the noise" beside a table of losses that fell at each look of five epochs."""
    record = run([2.3, 1.9, 1.75, 1.6, 1.5, 1.4])
    for probe in record["probes"]:
        probe["step"] //= 5
    record["fit"] |= {"epochs": 5, "steps_per_epoch": 10}
    record["epochs"] = [entry | {"step": entry["step"] // 5} for entry in record["epochs"]]
    noise = np.random.default_rng(0).normal(0, 0.5, 50)
    record["losses"] = {"steps": list(range(1, 51)), "values": list(np.linspace(1.9, 1.5, 50) + noise)}
    assert not evidence.progress(record).falling
    (found,), _ = answers(progress, "cut-short", record)
    assert found.severity == "low" and found.evidence["fall in the last third of the steps"].startswith("19%")
    assert severities(progress, "underfit", record) == []
    for probe in record["probes"][-2:]:
        probe["train"]["loss"] = 1.6
    assert severities(progress, "cut-short", record) == []
    assert severities(progress, "underfit", record) == ["low"]


def test_a_run_whose_validation_loss_rises_is_not_cut_short():
    """A page put "train for more epochs" above "overfit"."""
    losses = linear(2.4, 0.8)
    assert severities(progress, "cut-short", run(losses, validation=losses)) == ["low"]
    rising = [2.4, 2.2, 2.0, *np.linspace(2.1, 3.0, len(losses) - 3)]
    record = run(losses, validation=rising)
    assert severities(progress, "cut-short", record) == []
    assert severities(generalization, "overfit", record) != []


def test_underfit_of_a_short_run_asks_for_more_steps_first():
    """A page told the reader of a run of one epoch to enlarge the model and to decrease a regularization of zero."""
    (found,), _ = answers(progress, "underfit", stuck(epochs=2))
    assert found.cure == "Train for more than these 100 steps first."
    (found,), _ = answers(progress, "underfit", stuck(epochs=10))
    assert "capacity" in found.cure
