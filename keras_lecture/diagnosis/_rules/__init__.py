"""All rules, by family, and their judgement of a record."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from keras_lecture._core import checks
from keras_lecture.diagnosis._rules import data, flow, generalization, invariants, outputs, progress, structure
from keras_lecture.diagnosis._rules.evidence import Judged
from keras_lecture.diagnosis._rules.layer_code import adapted
from keras_lecture.diagnosis._rules.ranking import ranked
from keras_lecture.diagnosis._rules.rule import Finding, Rule, Unknown

_FAMILIES = (invariants, data, outputs, structure, flow, progress, generalization)
# A rule may have two criteria: one for the audit and one for the run.
RULES: dict[str, list[Rule]] = {}
for _family in _FAMILIES:
    for _rule in _family.RULES:
        RULES.setdefault(_rule.id, []).append(_rule)


def checked(owner: str, rules: str | Sequence[str]) -> str | Sequence[str]:
    """`rules` if they are `"default"` or a list of names of rules; an error otherwise."""
    if isinstance(rules, str):
        checks.one_of(owner, "rules", rules, ("default",), "Or a list of names of rules.")
    elif not isinstance(rules, list | tuple) or not rules:
        checks.reject(owner, "rules", '"default" or a list of names of rules', rules)
    else:
        for name in rules:
            checks.one_of(owner, "rules", name, tuple(RULES))
    return rules


def judge(record: dict[str, Any], rules: str | Sequence[str] = "default") -> list[Finding | Unknown]:
    """The answers of the rules (all, or those with the given ids): findings in the order of `ranked`, then unknowns.

    A rule that fails on a record with unexpected values answers `Unknown` and names the error: it must not end a `fit`.
    """
    names = RULES if isinstance(rules, str) else rules
    answers, record = [], Judged(record)
    for rule in (rule for name in names for rule in RULES[name]):
        try:
            answers.extend(rule.judge(rule, record))
        except Exception as error:
            answers.append(rule.unknown(f"{type(error).__name__}: {error}", "a report of this error to its developers"))
    findings = ranked(adapted(answer, record) for answer in answers if isinstance(answer, Finding))
    first = {}
    for finding in findings:
        first.setdefault((finding.rule, finding.layer), finding)
    return [*first.values(), *(answer for answer in answers if isinstance(answer, Unknown))]


def merged(earlier: list[Finding], answers: list[Finding | Unknown], step: int) -> list[Finding]:
    """The findings so far with the present answers: new ones are added, known ones extended, absent ones closed."""
    present = {(f.rule, f.layer): f for f in answers if isinstance(f, Finding)}
    result = []
    for finding in earlier:
        again = present.pop((finding.rule, finding.layer), None)
        if again is None:
            changed = step if finding.is_open else finding.changed_step
            result.append(dataclasses.replace(finding, is_open=False, changed_step=changed))
        else:
            same = finding.is_open and finding.severity == again.severity
            steps = {"first_step": finding.first_step, "last_step": step}
            result.append(dataclasses.replace(again, **steps, changed_step=finding.changed_step if same else step))
    new = [
        dataclasses.replace(f, first_step=min(f.first_step, step), last_step=step, changed_step=step)
        for f in present.values()
    ]
    return ranked([*result, *new])
