"""Rules about invariants: does the run do what was written? Each is exact, and one fact of the record decides it.

The facts, and how each is judged, are described in `_facts/invariants.py`.
"""

import functools

from keras_lecture.diagnosis._record.record import Record
from keras_lecture.diagnosis._rules.causes import has_unusable_data
from keras_lecture.diagnosis._rules.invariant_texts import LECTURE, TEXTS, Text
from keras_lecture.diagnosis._rules.rule import Rule


def _judge(text: Text, rule: Rule, record: Record):
    """A finding if the fact says that the invariant is violated, the answer `unknown` if it could not be judged."""
    fact = (record.get("invariants") or {}).get(text.fact)
    if not isinstance(fact, dict):
        yield rule.unknown("The run took no step in which it could be seen.", text.needed)
        return
    detail = str(fact.get("detail") or "no more is known")
    if fact.get("holds") is None:
        yield rule.absent(detail) if fact.get("absent") else rule.unknown(detail, text.needed)
    elif fact["holds"] is False:
        where = fact.get("where")
        severity = fact.get("severity", rule.severity)
        if text.fact == "finite_loss" and has_unusable_data(record):
            severity = "low"  # Another rule names the cause.
        last = 0 if text.before_training else max([0, *(step.get("step") or 0 for step in record.get("steps") or ())])
        yield rule.found(
            text.cause,
            {text.fact.replace("_", " "): f"violated: {detail} (healthy: exact)"},
            severity=severity,
            confidence=0.99 if severity == rule.severity else 0.9,
            layer=where,
            steps=(0, last),
        )


def _rule(text: Text) -> Rule:
    return Rule(
        id=text.id,
        severity=text.severity,
        criterion=text.criterion,
        scale_free="An identity of the program or of exact values: no scale of data, loss or model enters.",
        unknown_when=text.needed and f"The record does not decide it; needed: {text.needed}.",
        lecture=LECTURE,
        cure=text.cure,
        code=text.code,
        judge=functools.partial(_judge, text),
    )


RULES = [_rule(text) for text in TEXTS]
