"""The cause that explains a run: a contradiction that the audit names, or the leading one of several symptoms.

A symptom is escalated only where it leads, so that one fault gives one finding of medium or high severity.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_lecture.diagnosis._record.record import Record, number
from keras_lecture.diagnosis._rules import measures
from keras_lecture.diagnosis._rules.evidence import Progress, points, progress
from keras_lecture.diagnosis._rules.heads import ENTROPIES, heads
from keras_lecture.diagnosis._rules.renumbered import repaired
from keras_lecture.diagnosis._rules.trends import finite, fit_losses

CLASS_KINDS = ("classes", "one-hot")
# Violated invariants that may slow a run down, but do not explain why it fails.
_HARMLESS = ("order_changes", "updates_above_rounding")
# Scales of the input of a first layer beyond which the input is the cause; standardized data have rms 1 and offset 0.
_LARGEST_RMS, _SMALLEST_RMS, _LARGEST_OFFSET, _LARGEST_SPREAD = 10.0, 0.01, 3.0, 1000.0


def has_other_cause(record: Record) -> bool:
    """Whether the audit's part of the record holds a fault that explains missing progress."""
    return (
        any(_is_unscaled(entry) for entry in (record.get("start") or {}).get("first_inputs") or [])
        or any(_contradicts(head) or head.has_rows_of_another_sum for head in heads(record))
        or any(fact.get("holds") is False for name, fact in _invariants(record) if name not in _HARMLESS)
        or bool((record.get("model") or {}).get("shared_paths"))
        or repaired(record) is not None
        or has_unusable_data(record)
        or has_batches_of_one_class(record)
        or is_in_order(record)
        or _is_symmetric(record)
        or _is_frozen(record)
    )


def _invariants(record):
    return (record.get("invariants") or {}).items()


def has_nonfinite_data(record: Record) -> bool:
    """Whether the training data hold values that are not finite."""
    data = record.get("data") or {}
    return any(entry.get("nonfinite") for entry in [*(data.get("inputs") or []), *(data.get("targets") or [])])


def is_in_order(record: Record) -> bool:
    """Whether the rows are sorted by a target that is a number, and the batches are not shuffled."""
    targets = (record.get("data") or {}).get("targets") or []
    alike = [target.get("autocorrelation") or 0.0 for target in targets if (target.get("rows") or 0) >= 50]
    return shuffles(record) is False and max(alike, default=0.0) > 0.98


def shuffles(record: Record) -> bool | None:
    """Whether the rows are shuffled before each epoch; `None` if it is not known."""
    fit = record.get("fit") or {}
    return fit["shuffle"] if "shuffle" in fit else (record.get("data") or {}).get("shuffle")


def has_batches_of_one_class(record: Record) -> bool:
    """Whether the first batch of a generator has one class, and most validation rows have others."""
    data = record.get("data") or {}
    others = number((data.get("validation") or {}).get("new")) or 0.0
    return data.get("whole") is False and others > 0.5 and any(map(is_of_one_class, data.get("targets") or []))


def is_of_one_class(target: dict[str, Any]) -> bool:
    """Whether at least 16 rows of a batch have the same of several classes, which is hardly chance."""
    is_class = target.get("kind") in CLASS_KINDS and (target.get("units") or 2) > 1
    return is_class and target.get("distinct") == 1 and target.get("rows", 0) >= 16


def has_unusable_data(record: Record) -> bool:
    """Whether data that are not finite, or class numbers outside of the outputs, make the loss NaN."""
    return has_nonfinite_data(record) or any(head.has_labels_outside for head in heads(record))


def leading(record: Record) -> str | None:
    """The id of the symptom that explains why the run fails, or `None`."""
    if has_other_cause(record):
        return None
    state = progress(record)
    return next((name for name, holds in _LEADERS if holds(record, state)), None)


def severity(record: Record, rule: str, worst: str = "medium") -> str:
    """`worst` if the rule names the leading symptom, else `"low"`."""
    return worst if leading(record) == rule else "low"


def nonfinite_steps(record: Record) -> list[int]:
    """Steps at which the training loss, a signal or a weight's gradient was not finite."""
    steps = []
    for probe in record.get("probes") or []:
        loss = number((probe.get("train") or {}).get("loss"))
        if (loss is not None and not math.isfinite(loss)) or any(row.get("nonfinite") for row in probe["layers"]):
            steps.append(int(probe["step"]))
    losses = record.get("losses") or {}
    for step, loss in zip(losses.get("steps", []), losses.get("values", []), strict=False):
        if loss is not None and not math.isfinite(float(loss)):
            steps.append(int(step))
    return sorted(steps)


def has_exploded(record: Record) -> bool:
    """Whether the training loss stays above its start and above the loss of a constant prediction."""
    train, state, (_, values) = points(record, "train"), progress(record), fit_losses(record)
    if len(train) < 2 or state.start is None or state.now is None:
        return False
    level = max(state.start, state.start if state.reference is None else state.reference)
    stays = not len(values) or np.median(values[-max(1, len(values) // 4) :]) >= values[0]
    return bool(stays and state.now - level > 0.5 * abs(level) + 5 * train[-1].error)


def harms(record: Record, state: Progress) -> list[str]:
    """Signs of damage since the start, by steps that are too long."""
    signs = []
    probes = record.get("probes") or []
    if not nonfinite_at_start(record) and nonfinite_steps(record):
        signs.append("the loss is no longer finite")
    if has_exploded(record):
        signs.append("the loss stays above its start")
    if state.lost >= 0.5:
        signs.append(f"{min(state.lost, 1.0):.0%} of the best gain is lost")
    if state.stage in ("none", "little") and _died(record):
        signs.append("units died since the start")
    if state.stage == "none" and len(probes) > 1:
        same = [(probe.get("train") or {}).get("same_output") for probe in (probes[0], probes[-1])]
        if same == [False, True]:
            signs.append("all outputs became equal")
        steps, values = fit_losses(record)
        level = max(abs(values[0]), abs(state.reference or 0.0)) if len(values) > 3 else math.inf
        if len(values) > 3 and values[1 : 1 + len(values) // 2].max(initial=0.0) > 3 * level:
            signs.append("the loss had a peak over three times its start")
    return signs


def nonfinite_at_start(record: Record) -> bool:
    """Whether something was not finite before the first step."""
    return 0 in nonfinite_steps(record)


def bad_start(record: Record) -> bool:
    """Whether signals or gradients were already out of proportion before the first step."""
    first = next(iter(record.get("probes") or []), None)
    if first is None or first["step"] != 0:
        return False
    growth, start = measures.forward_ratio(record, first), record.get("start") or {}
    loss, chance = finite(start.get("loss")), finite((start.get("chance") or {}).get("loss"))
    if None not in (loss, chance) and loss > 1e3 * abs(chance) > 0:
        return True
    return (growth is not None and growth[0] > 100) or max(
        measures.elasticities(record, first).values(), default=0
    ) > 1e3


def typical_largest_ratio(record: Record) -> float | None:
    """Median over the kernels of their largest observed update ratio."""
    ratios = [max(values) for values in measures.update_ratios(record).values()]
    return float(np.median(ratios)) if ratios else None


def largest_travel(record: Record, state: Progress) -> tuple[float, float] | None:
    """The largest usual update ratio of a kernel, and the largest relative change that the whole run allows at it."""
    ratio = measures.largest_usual_ratio(record)
    if ratio is None or not state.steps:
        return None
    has_schedule = ((record.get("model") or {}).get("optimizer") or {}).get("schedule")
    planned = state.steps if has_schedule or not state.run else state.steps / state.run
    return ratio, ratio * planned


def _is_unscaled(entry):
    """Whether the input of a first layer is far from standardized."""
    rms, offset = finite(entry.get("rms")), finite(entry.get("offset"))
    spread = [finite(entry.get(f"feature_std_{end}")) for end in ("smallest", "largest")]
    return (
        (rms is not None and not _SMALLEST_RMS <= rms <= _LARGEST_RMS)
        or (offset is not None and offset > _LARGEST_OFFSET and (rms or 0.0) > 1)
        or (all(spread) and spread[1] / spread[0] > _LARGEST_SPREAD)
    )


def _contradicts(head):
    """Whether the last activation of an output contradicts its loss."""
    if head.is_single_softmax and head.family in ("squared", "absolute", *ENTROPIES):
        return True
    if head.family not in ENTROPIES:
        return False
    if head.from_logits is not None and head.from_logits == head.is_probability:
        return True
    if head.activation in ("relu", "tanh"):
        return True
    return head.family != "binary_crossentropy" and (head.activation == "sigmoid" or head.units == 1)


def _is_symmetric(record):
    """Whether all units of a hidden kernel are equal and the outputs of its units are still equal in the last probe."""
    last = (record.get("probes") or [{"layers": []}])[-1]
    for row, layer in measures.rows(record, last):
        equal = any(w.get("role") == "kernel" and w.get("equal_units") for w in layer.get("weights") or [])
        if equal and not layer.get("is_output") and (layer.get("units") or 1) > 1 and (row.get("equal") or 0) > 0.9:
            return True
    return False


def _is_frozen(record):
    """Whether the model has weights of which none is trainable."""
    model = record.get("model") or {}
    return bool(model.get("parameters")) and model.get("trainable_parameters") == 0


def _died(record):
    """Whether a layer lost nearly all of its units since the first probe."""
    first, last = (measures.dead_layers(record, record["probes"][i]) for i in (0, -1))
    return any(
        dead / units >= 0.9 and name in first and first[name][0] / first[name][1] < 0.5
        for name, (dead, units) in last.items()
    )


def _explodes_from_start(record, state):
    return bad_start(record) and bool(state.stuck or has_exploded(record) or nonfinite_steps(record))


def _is_too_fast(record, state):
    ratio, signs = typical_largest_ratio(record), harms(record, state)
    if signs and state.steps >= 3 and (ratio is None or ratio >= 0.05 or has_exploded(record)):
        return not bad_start(record)
    return state.stuck and ratio is not None and ratio >= 0.3


def _is_dead(record, state):
    last = (record.get("probes") or [{"layers": []}])[-1]
    layers = measures.dead_layers(record, last)
    return state.stuck and any(dead / units >= 0.9 for dead, units in layers.values())


def _has_no_gradient(record, state):
    last = (record.get("probes") or [{"layers": []}])[-1]
    zero, total = measures.zero_kernels(record, last)
    return state.stuck and total > 0 and len(zero) == total


def _is_outweighed(record, state):
    """Whether a penalty is the larger part of the loss, which may silence units and shrink weights."""
    share = measures.regularization_share(record)
    return state.stuck and share is not None and share > 0.5


def _is_overregularized(record, state):
    shrunk = measures.shrunk_weights(record)
    drops = max((rate for _, rate in measures.dropout_rates(record)), default=0.0)
    return state.stuck and ((shrunk is not None and shrunk < 0.1) or drops >= 0.9)


def _is_saturated(record, state):
    ends = [measures.saturated_layers(record, probe) for probe in (record.get("probes") or [])[-2:]]
    return state.stuck and bool(ends) and all(max(end.values(), default=0) >= 0.5 for end in ends)


def _vanishes(record, state):
    last = (record.get("probes") or [{"layers": []}])[-1]
    ratio = measures.backward_ratio(record, last)
    return state.stuck and ratio is not None and ratio[0] <= 1e-3


def _is_too_slow(record, state):
    travel = largest_travel(record, state)
    if travel is None or state.stage not in ("none", "little") or (state.run or 1.0) < 0.25 or state.steps < 20:
        return False
    return 0 < travel[0] <= 1e-4 and travel[1] < 0.05


_LEADERS: tuple[tuple[str, Callable[[Record, Progress], bool]], ...] = (
    ("exploding-gradient", _explodes_from_start),
    ("learning-rate-too-high", _is_too_fast),
    ("too-much-regularization", _is_outweighed),
    ("dead-relu", _is_dead),
    ("zero-gradient", _has_no_gradient),
    ("too-much-regularization", _is_overregularized),
    ("saturation", _is_saturated),
    ("vanishing-gradient", _vanishes),
    ("learning-rate-too-low", _is_too_slow),
)
