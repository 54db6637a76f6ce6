"""The order in which findings are told: open ones first, the most severe first, causes before consequences."""

from collections.abc import Callable, Iterable
from typing import Any

from keras_lecture.diagnosis._rules.rule import SEVERITIES

# What a run shows that has a fault, whatever the fault is.
SYMPTOMS = (
    *("bad-start", "batch-norm-drift", "cut-short", "dead-relu", "exploding-gradient", "exploding-loss"),
    *("growing-signal", "learning-rate-too-high", "learning-rate-too-low", "oscillating-loss", "overfit"),
    *("saturation", "shrinking-signal", "slow-learning", "too-little-capacity", "underfit", "unused-weights"),
    *("vanishing-gradient", "zero-gradient", "zig-zag"),
)


def ranked(findings: Iterable[Any], get: Callable[[Any, str], Any] = getattr) -> list[Any]:
    """The findings in this order; `get(finding, name)` reads one of their fields."""
    findings = list(findings)
    serious = has_serious(findings, get)

    def place(finding):
        severity = -SEVERITIES.index(get(finding, "severity"))
        rule, first = get(finding, "rule"), get(finding, "first_step")
        is_late = serious and is_symptom(rule, first)
        # Something made the numbers grow until they were none; a rule as severe may say what.
        is_last = rule == "non-finite" and first > 0
        return not get(finding, "is_open"), severity, is_late, is_last, -get(finding, "confidence"), first

    return sorted(findings, key=place)


def has_serious(findings: Iterable[Any], get: Callable[[Any, str], Any] = getattr) -> bool:
    """Whether one is open and not of low severity, which the low ones may follow from."""
    return any(get(finding, "is_open") and get(finding, "severity") != "low" for finding in findings)


def is_symptom(rule: str, first_step: int) -> bool:
    """Whether many faults look like this. Values that are not finite may come from the data, too, before any step."""
    return rule in SYMPTOMS or (rule == "non-finite" and first_step > 0)
