"""The comparison of two runs, and the sentence and the table about it."""

import dataclasses
import textwrap
from typing import Any

from keras_lecture.diagnosis._divergence.judgement import Compared

_STAGES = ("weights", "input", "forward", "backward", "step")
REASONS = {
    "formula": "they compute different numbers, in float64 too",
    "precision": "the same formula, but one run computes it in a lower precision than the other one",
    "own": "more than rounding explains",
    "shape": "their shapes differ",
    "missing": "only one run trains it",
    "setting": "the optimizers are set differently",
}


@dataclasses.dataclass(frozen=True)
class Divergence:
    """The first difference of two runs beyond rounding; true if there is one. `print` shows it.

    `layer` and `stage` say where, `quantity` what differs there, `difference` and `allowed` by how much; `reason` is
    `"formula"`, `"precision"`, `"own"`, `"shape"`, `"missing"` or `"setting"`. All are `None` if the runs agree.
    `table` has a row for each compared quantity, `notes` what was not compared, `runs` versions, backend and device of
    both runs.
    """

    layer: str | None
    stage: str | None
    quantity: str | None
    difference: float | None
    allowed: float | None
    reason: str | None
    table: list[Compared]
    notes: list[str]
    runs: tuple[dict[str, Any], dict[str, Any]]

    def __bool__(self) -> bool:
        return self.stage is not None

    def __str__(self) -> str:
        lines = textwrap.wrap(self._verdict(), 80)
        for name, run in zip("ab", self.runs, strict=True):
            how = "compiled" if run["compiled"] else "not compiled"
            lines += textwrap.wrap(f"{name}: {run['backend']}, Keras {run['keras']}, {run['device']}, {how}", 80)
        lines.append(f"{'stage':<9}{'layer':<32}{'difference':>11}{'allowed':>11}{'ratio':>9}")
        lines += [_line(row) for row in self._shown()]
        for note in self.notes:
            lines += textwrap.wrap(note, 80)
        return "\n".join(lines)

    def _verdict(self):
        if not self:
            count = len({row.layer for row in self.table})
            return f"The runs agree: {len(self.table)} quantities of {count} layers differ by rounding at most."
        where = f"The runs differ first in {self.layer} ({self.stage}), {self.quantity}: "
        amount = (
            ""
            if self.reason in ("shape", "missing", "setting")
            else f" Difference {self.difference:.2g}, allowed {self.allowed:.2g}."
        )
        return f"{where}{REASONS[self.reason]}.{amount}"

    def _shown(self):
        """The worst row of each layer in each stage; with many of them the ones around the first divergence."""
        worst: dict[tuple[str, str], Compared] = {}
        for row in self.table:
            key = row.stage, row.layer
            # A ratio that is infinite or NaN is the worst one.
            if key not in worst or not row.ratio <= worst[key].ratio:
                worst[key] = row
        rows = list(worst.values())
        first = next((i for i, row in enumerate(rows) if not row.agrees), 0)
        start = max(0, min(first - 4, len(rows) - 14))
        return rows[start : start + 14]


def divergence(table: list[Compared], notes: list[str], runs: tuple[dict[str, Any], dict[str, Any]]) -> Divergence:
    """The result: the first row that does not agree, and the layer at fault."""
    for stage in _STAGES:
        rows = [row for row in table if row.stage == stage]
        first = next((row for row in rows if not row.agrees), None)
        if first is not None:
            layer, quantity = _fault(first, rows)
            return Divergence(layer, stage, quantity, first.difference, first.allowed, first.reason, table, notes, runs)
    return Divergence(None, None, None, None, None, None, table, notes, runs)


def _fault(row, rows):
    """The layer at fault and the name of the quantity.

    An argument that differs while all outputs before it agree comes from the code that contains the call, and so does
    the gradient of an output whose consumers return equal gradients. An update of all weights comes from the optimizer.
    """
    quantity = row.name or row.kind
    if row.mode:
        quantity = f"{quantity} in {row.mode} mode"
    if row.kind == "update" and len(rows) > 1 and not any(each.agrees for each in rows if each.kind == "update"):
        return "optimizer", quantity
    if row.kind in ("input", "output gradient") and row.within:
        return row.within, f"{quantity} of {row.layer}" if row.within != "loss" else quantity
    return row.layer, quantity


def _line(row):
    layer = row.layer if len(row.layer) < 32 else f"{row.layer[:29]}…"
    mark = "" if row.agrees else " <"
    return f"{row.stage:<9}{layer:<32}{row.difference:11.2g}{row.allowed:11.2g}{row.ratio:9.2g}{mark}"
