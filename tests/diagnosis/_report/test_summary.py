"""The summary: status and exit code by the worst open finding, one sentence, small findings, and `since`."""

import json
import re

import pytest
from diagnosis._report.documents import HOSTILE, document, finding

from keras_lecture.diagnosis._report import tables
from keras_lecture.diagnosis._report.html import page
from keras_lecture.diagnosis._report.summary import SCHEMA, summary
from keras_lecture.diagnosis._report.terminal import text
from keras_lecture.diagnosis._rules import RULES, ranking

pytestmark = pytest.mark.once

OPEN = {severity: finding(severity=severity) for severity in ("low", "medium", "high")}


@pytest.mark.parametrize(
    ("findings", "status", "code"),
    [
        ([], "healthy", 0),
        ([OPEN["low"]], "healthy", 0),
        ([OPEN["low"], OPEN["medium"]], "medium", 4),
        ([OPEN["medium"], OPEN["high"]], "high", 5),
        ([OPEN["high"] | {"is_open": False}], "healthy", 0),
    ],
)
def test_the_worst_open_finding_decides(findings, status, code):
    result = summary(document(findings=findings))
    assert (result["schema"], result["status"], result["exit_code"]) == (SCHEMA, status, code)


@pytest.mark.parametrize("lacks", [{"probes": []}, {"start": {}}])
def test_a_run_that_was_not_measured_is_not_judged(lacks):
    result = summary(document(**lacks, unseen=["the model: it calls layers in a loop."]))
    assert (result["status"], result["exit_code"]) == ("unjudged", 6)
    assert result["verdict"] == "Nothing could be judged: the model: it calls layers in a loop."


def test_the_verdict_says_what_since_when_where_how_sure_and_what_to_do():
    assert summary(document(findings=[OPEN["low"], OPEN["high"]]))["verdict"] == (
        "This run does not work: since step 40 (epoch 2), in layer dense_1, all units are at rest (95 % sure); "
        "to do: use `leaky_relu` and a smaller learning rate."
    )


def test_likely_consequences_come_last_and_are_called_so():
    """A page had ten findings in a row, and did not say which of them is the cause."""
    effect = finding(rule="underfit", severity="low", confidence=0.99, cause="Too high.", cure="Cure it.")
    note = finding(rule="no-validation", severity="low", confidence=0.4, cause="No validation.", cure="Hold data back.")
    result = summary(document(findings=[effect, note, OPEN["high"]]))
    assert [each["rule"] for each in result["findings"]] == ["dead-relu", "no-validation", "underfit"]
    printed = text(result)
    assert printed.index("no-validation") < printed.index("What may follow from it") < printed.index("underfit")
    written = page(document(findings=[effect, note, OPEN["high"]]))
    assert "may follow from the findings above" in written
    # They have no cures: those of a page contradicted each other, and the one of the cause.
    for shown in (printed, written):
        assert "Cure it." not in shown and "Hold data back." in shown
    # Without a cause it is not known to be an effect.
    alone = document(findings=[effect, note])
    assert [each["rule"] for each in summary(alone)["findings"]] == ["underfit", "no-validation"]
    assert "may follow" not in text(summary(alone)) + page(alone)


def test_the_page_has_the_layers_and_the_rules_that_found_nothing():
    """A reader could not see that two layers had a dropout of 95 %, nor whether saturation had been judged."""
    layers = [
        {"name": "drop<1>", "class": "Dropout", "shape": [6], "rate": 0.95, "weights": []},
        {"name": "dense", "class": "Dense", "shape": [4, 3], "activation": "tanh", "use_bias": False, "weights": [
            {"role": "kernel", "size": 18, "rms": 0.25, "trainable": False, "equal_units": True}]},
    ]  # fmt: skip
    written = page(document(model={"name": "net", "layers": layers}, rules=["overfit", "dead-relu", "underfit"]))
    rows = re.findall(r'<th scope="row">([^<]*)</th>((?:<td>[^<]*</td>)*)', written)
    cells = {name: re.findall("<td>(.*?)</td>", rest) for name, rest in rows}
    assert cells["drop&lt;1&gt;"] == ["Dropout", "6", "–", "–", "rate 0.95"]
    settings = "tanh; no bias; frozen; all units have equal weights"
    assert cells["dense"] == ["Dense", "4 × 3", "18", "0.25", settings]
    assert re.search("Found nothing: (2 rules|1 rule)<", written)


def test_rules_about_what_a_run_does_not_have_are_told_from_those_that_lack_a_number():
    """A reader of a plain network was told twelve times to measure dropout, frozen weights or a recurrent layer."""
    unknown = [
        {"rule": "underfit", "reason": "Too few losses.", "needed": "five losses"},
        {"rule": "inactive-dropout", "reason": "the model calls no dropout", "needed": ""},
        {"rule": "frozen-weight-moves", "reason": "no weight is frozen", "needed": ""},
    ]
    rules = ["overfit", *(answer["rule"] for answer in unknown)]
    run = document(findings=[], rules=rules, unknown=unknown)
    assert "1 of the 2 rules that apply could judge" in summary(run)["verdict"]
    written = page(run)
    assert all(f"{title}: {count}<" in written for title, count in (
        ("Found nothing", "1 rule"), ("Could not tell", "1 rule"), ("Not about this run", "2 rules")))  # fmt: skip
    assert "1 rule could not tell: underfit." in text(summary(run))


def test_the_verdict_on_a_healthy_run_says_how_much_was_judged():
    result = summary(document(findings=[OPEN["low"]], rules=["overfit", "dead-relu", "underfit"]))
    assert result["verdict"] == (
        "No serious fault was found in 80 steps (4 epochs): 2 of 3 rules could judge, "
        "and 1 finding of low severity is worth knowing, dead-relu: all units are at rest (95 % sure)."
    )


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (0.9, ", but the training loss shows that the model has learned hardly anything (10.0% of the way"),
        (1.0, ", but the training loss is no better than that of a constant prediction: 2 of 3"),
        (0.6, " in 80 steps (4 epochs): 2 of 3 rules"),
    ],
)
def test_the_verdict_tells_a_run_without_progress_from_a_healthy_one(last, words):
    """A page that said "healthy" about a loss that had not moved was read as praise."""
    run = document(
        findings=[], rules=["overfit", "dead-relu", "underfit"], start={"loss": 1.0, "chance": {"loss": 1.0}}
    )
    run["model"]["losses"] = [{"output": "", "class": "MeanSquaredError", "family": "squared"}]
    run["probes"] = [
        {"step": s, "epoch": 0, "train": {"loss": 1.0 if s < 80 else last}, "layers": []} for s in (0, 40, 80)
    ]
    assert words in summary(run)["verdict"]


def test_the_verdict_of_an_audit_has_no_steps():
    audited = document(looks=1, rules=["overfit", "dead-relu"])
    audited |= {"losses": {"steps": [], "values": []}, "epochs": []}
    assert summary(audited)["verdict"] == "No serious fault was found before the first step: 1 of 2 rules could judge."


def test_refused_treatments_are_on_the_page():
    text = page(document(untreated=["dead-relu is not treated: its units are mixed."]))
    assert "Treatments" in text and "dead-relu is not treated: its units are mixed." in text


@pytest.mark.parametrize("severity", ["medium", "high"])
def test_a_layer_that_the_cause_names_is_named_once(severity):
    found = finding(severity=severity, cause="The values that enter dense_1 are large.", first_step=0)
    verdict = summary(document(findings=[found]))["verdict"]
    assert verdict.count("dense_1") == 1
    assert ": from the start, the values that enter dense_1 are large (" in verdict


def test_findings_have_at_most_two_kilobytes_and_short_ones_are_complete():
    long = finding(cause="ä" * 9000, evidence={f"{'name' * 90} {i}": "<" * 900 for i in range(90)}, code="x" * 5000)
    result = summary(document(findings=[OPEN["high"], long]))["findings"]
    assert result[0] == OPEN["high"]
    assert len(json.dumps(result[1])) <= 2048
    assert set(result[1]) == set(long)
    assert result[1]["cause"].startswith("ä") and result[1]["cause"].endswith("…")


def test_open_findings_come_first_and_then_the_most_severe():
    findings = [OPEN["low"], OPEN["high"] | {"is_open": False}, OPEN["medium"], OPEN["high"]]
    result = [(f["is_open"], f["severity"]) for f in summary(document(findings=findings))["findings"]]
    assert result == [(True, "high"), (True, "medium"), (True, "low"), (False, "high")]


def test_since_keeps_what_began_or_closed_after_a_step_and_the_status_of_the_whole_run():
    old, new = finding(rule="old", first_step=10), finding(rule="new", first_step=60, severity="medium")
    healed = finding(rule="healed", first_step=10, last_step=70, is_open=False)
    long_healed = healed | {"rule": "long healed", "last_step": 40}
    actions = [{"step": step, "text": "", "rule": ""} for step in (40, 60)]
    whole = document(findings=[old, new, healed, long_healed], actions=actions)
    result = summary(whole, since=50)
    assert [f["rule"] for f in result["findings"]] == ["new", "healed"]
    assert [action["step"] for action in result["actions"]] == [60]
    assert (result["status"], result["verdict"]) == ("high", summary(whole)["verdict"])


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_can_be_written_as_json(name):
    json.dumps(summary(document(findings=[finding(layer=name)])))


def test_the_rules_that_the_report_names_exist():
    named = {name for rules in tables._PLACES.values() for name in rules} | set(ranking.SYMPTOMS)
    assert named <= set(RULES)
