"""Rules about the arguments of `fit`."""

import pytest
from diagnosis._rules.records import answers, severities
from diagnosis._rules.runs import falling, stuck

from keras_lecture.diagnosis._rules.fitting import RULES

pytestmark = pytest.mark.once


def run(size, samples, epochs, steps, optimizer="Adam"):
    fit = {"batch_size": size, "samples": samples, "epochs": epochs, "steps_per_epoch": steps}
    return {"fit": fit, "model": {"optimizer": {"class": optimizer}}}


def test_the_size_of_the_batches():
    assert severities(RULES, "batch-size", run(1024, 1024, 20, 1)) == ["low"]
    assert severities(RULES, "batch-size", run(1, 1000, 5, 1000)) == ["low"]
    # Enough steps, few samples, a method that needs the whole set.
    assert not severities(RULES, "batch-size", run(1024, 1024, 200, 1))
    assert not severities(RULES, "batch-size", run(4, 4, 20, 1))
    assert not severities(RULES, "batch-size", run(1024, 1024, 20, 1, "LBFGS"))
    assert not severities(RULES, "batch-size", run(32, 1024, 5, 32))
    findings, unknown = answers(RULES, "batch-size", {"fit": {"batch_size": None}})
    assert not findings and len(unknown) == 1


def test_few_steps_that_end_with_little_progress_are_the_cause():
    """A page with a green tick showed a run of one batch and an accuracy of 50 %."""
    record = stuck(epochs=10)
    record["fit"] |= {"batch_size": 1000, "samples": 1000, "epochs": 10, "steps_per_epoch": 1}
    for probe, step in zip(record["probes"], range(11), strict=True):
        probe["step"] = step
    record["epochs"] = [entry | {"step": entry["epoch"] + 1} for entry in record["epochs"]]
    record["losses"] = {"steps": list(range(1, 11)), "values": [2.3] * 10}
    assert severities(RULES, "batch-size", record) == ["medium"]
    better = falling(10)
    for probe, loss in zip(record["probes"], better, strict=True):
        probe["train"]["loss"] = loss
    assert severities(RULES, "batch-size", record) == ["low"]


def test_a_run_without_validation_data():
    logged = {**run(32, 1000, 5, 32), "epochs": [{"logs": {"loss": 1.0}}]}
    assert severities(RULES, "no-validation", logged) == ["low"]
    assert not severities(RULES, "no-validation", logged | {"epochs": [{"logs": {"loss": 1.0, "val_loss": 2.0}}]})
    assert not severities(RULES, "no-validation", logged | {"epochs": []})
    assert not severities(RULES, "no-validation", {**run(4, 4, 5, 1), "epochs": logged["epochs"]})
