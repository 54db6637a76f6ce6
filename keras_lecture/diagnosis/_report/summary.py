"""The summary of a run for machines: status, exit code, one sentence, findings."""

import itertools
import json
import operator
import re
from typing import Any

from keras_lecture.diagnosis._report.document import Document, epoch_of, steps_and_epochs
from keras_lecture.diagnosis._rules import RULES
from keras_lecture.diagnosis._rules.evidence import progress
from keras_lecture.diagnosis._rules.ranking import is_symptom, ranked

SCHEMA = 1
EXIT_CODES = {"healthy": 0, "medium": 4, "high": 5, "unjudged": 6}

_LARGEST = 2048
# Before the first step, and after it.
_HEADS = {
    "high": ("This run will not work", "This run does not work"),
    "medium": ("This run will work worse than it could", "This run works worse than it could"),
}
# First words of causes that keep their capital in the middle of a sentence.
_NAMES = ("Keras", "ReLU", "Adam", "Gauss", "Glorot", "He")


def summary(document: Document, since: int | None = None) -> dict[str, Any]:
    """Status, exit code, verdict, findings and actions of a document; `since` keeps those that changed after a step.

    The status is that of the worst open finding: `"high"` (exit code 5), `"medium"` (4), else `"healthy"` (0), or
    `"unjudged"` (6) if nothing was measured. It and the verdict are those of the whole run, whatever `since` is.
    """
    findings = ordered(document["findings"])
    status = status_of(document)
    steps, epochs = steps_and_epochs(document)
    after = -1 if since is None else since
    return {
        "schema": SCHEMA,
        "status": status,
        "exit_code": EXIT_CODES[status],
        "verdict": verdict(document),
        "steps": steps,
        "epochs": epochs,
        "findings": [bounded(finding) for finding in findings if since is None or _is_new(finding, since)],
        "unknown": document.get("unknown") or [],
        "actions": [action for action in document.get("actions") or [] if action["step"] > after],
        "unseen": document.get("unseen") or [],
    }


def ordered(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Findings as plain data in the order of `ranked`."""
    return ranked(findings, operator.getitem)


def may_follow(finding: dict[str, Any]) -> bool:
    """Whether a finding is open, low and what many faults look like: beside a serious one it may be its effect."""
    return finding["is_open"] and finding["severity"] == "low" and is_symptom(finding["rule"], finding["first_step"])


def _is_new(finding, since):
    # A rule may name after many epochs what was there from the start; older files do not say when.
    if "changed_step" in finding:
        return finding["changed_step"] > since
    return finding["first_step"] > since or (not finding["is_open"] and finding["last_step"] > since)


def status_of(document: Document) -> str:
    """The severity of the worst open finding that is not low, `"healthy"`, or `"unjudged"`."""
    severities = {finding["severity"] for finding in document["findings"] if finding["is_open"]}
    for severity in ("high", "medium"):
        if severity in severities:
            return severity
    return "healthy" if document.get("probes") and document.get("start") else "unjudged"


def verdict(document: Document) -> str:
    """One sentence: the worst open fault, since when, in which layer, how sure, and the cure; or that there is none."""
    status = status_of(document)
    if status == "unjudged":
        return _unjudged(document)
    if status == "healthy":
        return _healthy(document)
    worst = ordered(document["findings"])[0]
    is_named = not worst["layer"] or worst["layer"] in re.split(r"[^\w/]+", worst["cause"])
    place = "" if is_named else f"in layer {worst['layer']}, "
    others = sum(f["is_open"] and f["severity"] != "low" for f in document["findings"]) - 1
    more = f", the worst of {others + 1} serious findings" if others else ""
    return (
        f"{_head(document, status)}: {since_when(document, worst)}, {place}{_inner(worst['cause'])} "
        f"({percent(worst['confidence'])} sure{more}); to do: {_inner(worst['cure'])}."
    )


def _head(document, status):
    state = progress(document)
    if status == "medium" and state.stage == "none":
        return f"This run does no better than {state.origin}"
    return _HEADS[status][steps_and_epochs(document)[0] > 0]


def unexplained(document: Document) -> str | None:
    """The verdict on a run that has learned nothing for no reason that is known for sure, else `None`."""
    return _healthy(document) if status_of(document) == "healthy" and _without_progress(document) else None


def _healthy(document):
    steps, epochs = steps_and_epochs(document)
    able = judged_rules(document)
    low = [finding for finding in ordered(document["findings"]) if finding["is_open"]]
    more = ""
    if low:
        notes = f"{counted(len(low), 'finding')} of low severity {'is' if len(low) == 1 else 'are'} worth knowing"
        sure = f"({percent(low[0]['confidence'])} sure)"
        first = "first " if len(low) > 1 else ""
        more = f", and {notes}, {first}{low[0]['rule']}: {_inner(low[0]['cause'])} {sure}"
    part = f"in {counted(steps, 'step')} ({counted(epochs, 'epoch')})" if steps else "before the first step"
    return f"No serious fault was found {part}{_without_progress(document)}: {able}{more}."


def _without_progress(document):
    """The words by which the verdict tells a run that has learned hardly anything from a healthy one, or none."""
    state = progress(document)
    if state.stage not in ("none", "little") or state.share is None or state.share > 0.1:
        return ""
    if state.stage == "none":
        return f", but the training loss is no better than that of {state.origin}"
    way = f" ({state.share:.1%} of the way from {state.origin} to a perfect one)" if state.share > 0 else ""
    return f", but the training loss shows that the model has learned hardly anything{way}"


def _unjudged(document):
    if not document.get("model") and not document.get("epochs") and not document.get("unseen"):
        return "Nothing was judged: the doctor has not seen a `fit` yet."
    seen = next(iter(document.get("unseen") or []), "the record holds no measurement of the model")
    return f"Nothing could be judged: {seen.rstrip('.')}."


def judged_rules(document: Document) -> str:
    """`"50 of the 58 rules that apply could judge"`."""
    answers = document.get("unknown") or []
    open_rules = {answer["rule"] for answer in answers if applies(answer)}
    absent = {answer["rule"] for answer in answers} - open_rules
    asked = len(rules_of(document)) - len(absent)
    those = f"the {asked} rules that apply" if absent else f"{asked} rules"
    return f"{asked - len(open_rules)} of {those} could judge"


def rules_of(document: Document) -> list[str]:
    """The rules that were asked."""
    rules = document.get("rules", "default")
    return list(RULES) if isinstance(rules, str) else list(rules)


def applies(answer: dict[str, Any]) -> bool:
    """Whether a rule without an answer is about something that the run has."""
    return bool(answer["needed"])


def since_when(document: Document, finding: dict[str, Any]) -> str:
    """`"since step 43 (epoch 1)"`; step 0 is the start, before the first step, and the last one is the end."""
    steps, _ = steps_and_epochs(document)
    if finding["first_step"] <= 0:
        return "from the start" if steps else "before the first step"
    if finding["first_step"] == steps:
        return f"at the end, step {finding['first_step']}"
    epoch = epoch_of(document, finding["first_step"])
    return f"since step {finding['first_step']}" + (f" (epoch {epoch})" if epoch else "")


def counted(number: int, noun: str) -> str:
    """`"1 step"`, `"2 steps"`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(confidence: float) -> str:
    """A probability as a whole percentage."""
    return f"{100 * confidence:.0f} %"


def _inner(sentence):
    """A sentence as a clause: without its full stop and, unless it begins with a name, its capital."""
    sentence = sentence.strip().rstrip(".?")
    first = sentence.split(" ")[0].rstrip(",'s")
    is_class = any(letter.isupper() for letter in first[1:])
    if first in _NAMES or is_class or not sentence[1:2].islower() and sentence[1:2] != " ":
        return sentence
    return sentence[:1].lower() + sentence[1:]


def bounded(finding: dict[str, Any]) -> dict[str, Any]:
    """The finding; if it is longer than 2 kB of JSON, its evidence is shortened, and if need be its other texts."""
    short = finding
    for texts, evidence in itertools.product((512, 128, 32, 8), (256, 128, 64, 16)):
        if len(json.dumps(short)) <= _LARGEST:
            break
        short = {name: _cut(value, texts) for name, value in finding.items()}
        short["evidence"] = _some(finding["evidence"], evidence, evidence // 16)
    return short


def _some(evidence, length, most):
    """The first entries, cut to `length`, and how many are left out."""
    shown = {_cut(name, length): _cut(value, length) for name, value in list(evidence.items())[:most]}
    rest = len(evidence) - most
    return {**shown, "…": f"{rest} more"} if rest > 0 else shown


def _cut(value, length):
    return value if not isinstance(value, str) or len(value) <= length else value[: length - 1] + "…"
