"""The rules about invariants, on hand-written records."""

import pytest

from keras_lecture.diagnosis._rules.invariant_texts import TEXTS
from keras_lecture.diagnosis._rules.invariants import RULES
from keras_lecture.diagnosis._rules.rule import Finding, Unknown

pytestmark = pytest.mark.once

PAIRS = list(zip(RULES, TEXTS, strict=True))


def judged(rule, fact):
    return list(rule.judge(rule, {"invariants": {} if fact is None else fact}))


@pytest.mark.parametrize(("rule", "text"), PAIRS, ids=[rule.id for rule in RULES])
def test_a_violation_is_a_finding(rule, text):
    (found,) = judged(rule, {text.fact: {"holds": False, "where": "dense", "detail": "so it is"}})
    assert isinstance(found, Finding)
    assert (found.rule, found.severity, found.layer) == (rule.id, text.severity, "dense")
    assert "so it is" in str(found)


@pytest.mark.parametrize(("rule", "text"), PAIRS, ids=[rule.id for rule in RULES])
def test_no_violation_is_no_finding(rule, text):
    assert judged(rule, {text.fact: {"holds": True, "where": None, "detail": ""}}) == []


@pytest.mark.parametrize(("rule", "text"), PAIRS, ids=[rule.id for rule in RULES])
def test_short_evidence_is_unknown(rule, text):
    for fact in (None, {text.fact: {"holds": None, "where": None, "detail": "nothing was seen"}}):
        (answer,) = judged(rule, fact)
        assert isinstance(answer, Unknown)


def test_a_fact_may_lower_the_severity():
    rule, text = PAIRS[0]
    (found,) = judged(rule, {text.fact: {"holds": False, "where": None, "detail": "", "severity": "low"}})
    assert found.severity == "low"


def test_a_loss_that_labels_make_nan_is_no_cause():
    """Labels outside of the classes were the second finding, behind a loss "that is not finite": two of one fault."""
    rule = next(rule for rule, text in PAIRS if text.fact == "finite_loss")
    output = {"name": "scores", "shape": [3]}
    loss = {"output": "scores", "class": "SoftmaxCrossEntropy", "family": "sparse_categorical_crossentropy"}
    record = {
        "model": {"outputs": [output], "losses": [loss]},
        "data": {"targets": [{"name": "y", "smallest": 1, "largest": 3}]},
        "invariants": {"finite_loss": {"holds": False, "where": None, "detail": ""}},
    }
    for largest, severity in ((3, "low"), (2, "high")):
        record["data"]["targets"][0]["largest"] = largest
        assert [found.severity for found in rule.judge(rule, record)] == [severity]


@pytest.mark.parametrize("name", ["random-layers-not-training", "batch-norm-still"])
def test_the_cure_of_a_call_without_training_is_in_the_call(name):
    """A `call` that does not take `training` is the usual cause; the cure spoke of an own `train_step` alone."""
    (text,) = [text for text in TEXTS if text.id == name]
    assert "`call` of the model" in text.cure and "training=training" in text.code


def test_ids_and_facts_are_unique():
    assert len({rule.id for rule in RULES}) == len({text.fact for text in TEXTS}) == len(RULES)
