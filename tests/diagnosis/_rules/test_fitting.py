"""Rules about the arguments of `fit`."""

import pytest
from diagnosis._rules.records import answers, severities

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


def test_a_run_without_validation_data():
    logged = {**run(32, 1000, 5, 32), "epochs": [{"logs": {"loss": 1.0}}]}
    assert severities(RULES, "no-validation", logged) == ["low"]
    assert not severities(RULES, "no-validation", logged | {"epochs": [{"logs": {"loss": 1.0, "val_loss": 2.0}}]})
    assert not severities(RULES, "no-validation", logged | {"epochs": []})
    assert not severities(RULES, "no-validation", {**run(4, 4, 5, 1), "epochs": logged["epochs"]})
