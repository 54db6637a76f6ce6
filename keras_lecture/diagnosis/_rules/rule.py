"""Rules and their findings: `rule.judge(record) → findings`, pure functions of plain numbers."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

SEVERITIES = ("low", "medium", "high")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One fault that a rule found in a record.

    Attributes:
        rule: The id of the rule, as `"dead-relu"`.
        severity: `"high"`: this run will not work; `"medium"`: it works worse than it could; `"low"`: worth knowing.
        confidence: A probability that the finding is right, in (0, 1].
        layer: The name of the layer, or `None` if it concerns the whole run.
        first_step, last_step: The steps between which it was seen; step 0 is before the first step.
        evidence: The numbers, with what is healthy or a fault, as `{"dead units": "128 of 128 (fault: over 90 %)"}`.
        cause: One sentence that names the cause.
        cure: One sentence that says what to do.
        code: The cure as Keras code.
        lecture: The part of the lectures that teaches it.
        is_open: Whether it still holds; a finding that healed is closed.
        changed_step: The step at which it was first named, changed its severity, healed or came back. A rule may name
            in step 40 what began in step 3.
    """

    rule: str
    severity: str
    confidence: float
    layer: str | None
    first_step: int
    last_step: int
    evidence: dict[str, str]
    cause: str
    cure: str
    code: str
    lecture: str
    is_open: bool = True
    changed_step: int = 0

    def __str__(self) -> str:
        place = f" [{self.layer}]" if self.layer else ""
        numbers = "; ".join(f"{name} {value}" for name, value in self.evidence.items())
        return f"{self.severity}: {self.rule}{place}: {self.cause} ({numbers}) {self.cure}"

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain data."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Unknown:
    """A rule that cannot tell: why, and what would decide it; `""` if the run has nothing that the rule is about."""

    rule: str
    reason: str
    needed: str


@dataclasses.dataclass(frozen=True)
class Rule:
    """A criterion on a record, with everything that a reader needs to know about it.

    `judge(rule, record)` yields findings, made by `rule.found`, and `Unknown`s, made by `rule.unknown`.
    """

    id: str
    severity: str
    # The criterion as a formula, and why it does not depend on the scale of data, loss or model.
    criterion: str
    scale_free: str
    # When the rule answers `unknown`.
    unknown_when: str
    lecture: str
    cure: str
    code: str
    judge: Callable[["Rule", dict[str, Any]], Iterable[Finding | Unknown]]

    def found(
        self,
        cause: str,
        evidence: dict[str, str],
        *,
        severity: str | None = None,
        confidence: float = 0.9,
        layer: str | None = None,
        steps: tuple[int, int] = (0, 0),
        cure: str | None = None,
        code: str | None = None,
    ) -> Finding:
        """A finding of this rule; severity, cure and code are the rule's own unless given."""
        return Finding(
            rule=self.id,
            severity=severity or self.severity,
            confidence=confidence,
            layer=layer,
            first_step=steps[0],
            last_step=steps[1],
            evidence=evidence,
            cause=cause,
            cure=cure or self.cure,
            code=code or self.code,
            lecture=self.lecture,
        )

    def unknown(self, reason: str, needed: str) -> Unknown:
        """The answer that this rule cannot tell."""
        return Unknown(self.id, reason, needed)

    def absent(self, reason: str) -> Unknown:
        """The answer that the run has nothing that this rule is about."""
        return Unknown(self.id, reason, "")
