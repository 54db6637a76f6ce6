"""Rules on validation loss, batch statistics and regularization: sick records, near misses of healthy runs, unknown."""

import numpy as np
import pytest
from diagnosis._rules.runs import alarms, answers, change_rows, falling, healthy, run, severities, stuck

from keras_lecture.diagnosis._rules import flow, generalization, progress, units

pytestmark = pytest.mark.once

VALIDATION = ("overfit", "bad-split", "unlearnable-labels")


def rising(best=1.0, last=2.0, epochs=20):
    """A validation loss that falls for a quarter of the run and rises then."""
    quarter = epochs // 4
    return [*np.linspace(2.4, best, quarter + 1), *np.linspace(best, last, epochs - quarter + 1)[1:]]


@pytest.mark.parametrize("rule", VALIDATION)
def test_without_validation_data_unknown(rule):
    found, unknown = answers(generalization, rule, healthy())
    assert found == [] and len(unknown) == 1


@pytest.mark.parametrize("rule", ["batch-norm-drift", "too-much-regularization"])
def test_an_empty_record_is_unknown_or_silent(rule):
    assert answers(generalization, rule, {"probes": []})[0] == []


def test_overfit():
    assert severities(generalization, "overfit", run(falling(20), validation=rising())) == ["medium"]
    assert severities(generalization, "overfit", run(falling(20), validation=rising(1.0, 1.15))) == ["low"]


def test_overfit_from_the_logs_alone():
    record = run(falling(20), validation=rising())
    for probe in record["probes"]:
        probe["validation"] = None
    assert severities(generalization, "overfit", record) == ["medium"]


@pytest.mark.parametrize(
    "validation",
    [
        # A gap that does not grow, a rise within the error, a bump at the end, and validation easier through dropout.
        [loss + 0.3 for loss in falling(20)],
        [*falling(18), 0.13, 0.14],
        [*falling(19), 0.9],
        [max(loss - 0.05, 0.05) for loss in falling(20)],
        # Tiny losses: the ratio is large and the loss is not.
        [*falling(15, end=0.01), *np.linspace(0.01, 0.08, 5)],
    ],
)
def test_healthy_validation_losses_raise_no_alarm(validation):
    assert alarms(run(falling(20), validation=validation), generalization, progress, flow) == []


def test_best_weights_restored_at_the_end_are_no_overfit():
    assert severities(generalization, "overfit", run(falling(20), validation=[*rising()[:-1], 1.0])) == []


def test_bad_split():
    easier = [0.3 * loss for loss in np.linspace(2.4, 1.5, 11)]
    assert severities(generalization, "bad-split", run(list(np.linspace(2.4, 1.5, 11)), validation=easier)) == [
        "medium"
    ]
    dropout = [loss - 0.05 for loss in falling(10)]
    assert severities(generalization, "bad-split", run(falling(10), validation=dropout)) == []


def test_unlearnable_labels():
    never = list(np.linspace(2.4, 6.0, 21))
    record = run(falling(20), validation=never)
    # Without an answer of a simple method, the run alone does not decide.
    assert severities(generalization, "unlearnable-labels", record) == ["low"]
    record["data"] = {"baseline": {"p": 0.001}}
    assert severities(generalization, "unlearnable-labels", record) == ["low"]
    record["data"] = {"baseline": {"p": 0.4}}
    assert severities(generalization, "unlearnable-labels", record) == ["medium"]
    assert severities(generalization, "overfit", record) == ["low"]
    assert severities(generalization, "unlearnable-labels", run(falling(20), validation=rising())) == []
    # Nothing is learned at all.
    assert severities(generalization, "unlearnable-labels", stuck(validation=[2.31] * 11)) == []


def with_statistics(training_mode, losses):
    record = run(losses)
    record["model"]["layers"][0]["samples_batch_statistics"] = True
    for probe, loss in zip(record["probes"], training_mode, strict=True):
        probe["training_mode"]["loss"] = loss
    return record


def test_batch_norm_drift():
    drifting = with_statistics(falling(10), [2.4] * 11)
    assert severities(generalization, "batch-norm-drift", drifting) == ["medium"]
    # Learning is judged in training mode.
    assert alarms(drifting, generalization, progress, flow) == ["batch-norm-drift"]
    settling = with_statistics(falling(10), [2.4, 5.0, 1.5, *falling(10)[3:]])
    assert severities(generalization, "batch-norm-drift", settling) == []


def test_too_much_regularization():
    record = stuck()
    record["start"] |= {"loss": 52.3, "regularization": 50.0}
    assert severities(generalization, "too-much-regularization", record) == ["medium"]
    assert alarms(record, generalization, progress, flow) == ["too-much-regularization"]
    fine = healthy()
    fine["start"] |= {"loss": 2.5, "regularization": 0.2}
    assert severities(generalization, "too-much-regularization", fine) == []


def test_a_penalty_that_silences_units_is_the_cause():
    """A page named dead units, and a leaky ReLU as the cure, where an L1 penalty of 1 lay on the outputs."""
    record = stuck()
    record["start"] |= {"loss": 4.6, "regularization": 4.4}
    record = change_rows(record, names=["b"], dead=32)
    assert alarms(record, generalization, progress, flow, units) == ["too-much-regularization"]
    penalty = {"on": "activity", "class": "L1", "factors": {"l1": 1.0}}
    record["model"]["layers"][1]["penalties"] = [penalty]
    (found,), _ = answers(generalization, "too-much-regularization", record)
    assert found.layer == "b"
    regularizer = "activity_regularizer=keras.regularizers.L1(l1=0.01)"
    assert found.code == f'keras.layers.Dense(32, activation="relu", {regularizer}, name="b")'
    record["model"]["layers"][1]["penalties"] = [penalty | {"class": "<lambda>", "factors": {}}]
    (found,), _ = answers(generalization, "too-much-regularization", record)
    assert "keras.regularizers.L2(1e-4)" in found.code


def test_dropout_that_lets_hardly_anything_through_is_the_cause():
    """A page put a model that is too small first, the dropout of 95 % last, and code for a weight decay beside it."""
    record = stuck()
    for layer in record["model"]["layers"][:2]:
        layer["rate"] = 0.95
    assert alarms(record, generalization, progress, flow) == ["too-much-regularization"]
    (found,), _ = answers(generalization, "too-much-regularization", record)
    assert found.cause == "Dropout lets hardly anything through: 95% in a, 95% in b."
    assert found.code == "keras.layers.Dropout(0.3)"


def test_strong_dropout_of_a_run_that_learns_is_low():
    record = healthy()
    record["model"]["layers"][1]["rate"] = 0.8
    assert severities(generalization, "too-much-regularization", record) == ["low"]
