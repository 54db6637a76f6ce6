"""The rule on the rehearsal of an audit: 40 steps on one batch must lower its loss."""

import math
from typing import Any

import numpy as np

from keras_lecture.diagnosis._record.record import number
from keras_lecture.diagnosis._rules.rule import Rule

# Steps that a judgement needs, and the losses at either end that are compared.
_ENOUGH, _ENDS = 20, 8


def _cannot_fit(rule: Rule, record: dict[str, Any]):
    facts = (record.get("start") or {}).get("rehearsal")
    losses = [number(loss) for loss in (facts or {}).get("losses") or ()]
    if not losses or not math.isfinite(losses[0]):
        yield rule.unknown("no rehearsal on one batch was seen", "`diagnosis.audit`, and Keras's own train step")
        return
    text = f"{losses[0]:.3g} before, {losses[-1]:.3g} after {len(losses) - 1} steps"
    if not math.isfinite(losses[-1]):
        cause = "The first steps on one batch lead to a loss that is not finite."
        yield rule.found(cause, {"loss of the batch": text}, severity="high", cure=_LOWER, code=_LOWER_CODE)
        return
    if len(losses) <= _ENOUGH:
        yield rule.unknown(f"only {len(losses) - 1} steps fitted into the time", f"{_ENOUGH} steps on one batch")
        return
    start, end = np.array(losses[:_ENDS]), np.array(losses[-_ENDS:])
    fall = float(start.mean() - end.mean())
    error = math.sqrt((start.var(ddof=1) + end.var(ddof=1)) / _ENDS)
    scale = max(abs(losses[0]), 1e-30)
    # The noise of dropout may raise a loss, too.
    if losses[0] > 0 and end.mean() - 3 * end.std() > 1.1 * losses[0]:
        cause = "Steps on one batch raise the loss of this very batch: they are too long."
        evidence = {"loss of the batch": f"{text} (healthy: lower)"}
        yield rule.found(cause, evidence, severity="medium", cure=_LOWER, code=_LOWER_CODE)
    elif abs(fall) < 0.01 * scale and error < 0.01 * scale:
        if (record.get("model", {}).get("optimizer") or {}).get("schedule"):
            yield rule.unknown("the schedule may begin with a small rate", "the first epoch of `fit`")
            return
        if _is_good(record, losses[0]):
            return
        yield rule.found(
            "Steps on one batch hardly change the loss of this very batch.",
            {"loss of the batch": f"{text} (healthy: a change above 1 %)"},
            severity="low",
            confidence=0.6,
        )


def _is_good(record, loss):
    """Whether the batch was fitted before the first step."""
    chance = number(((record.get("start") or {}).get("chance") or {}).get("loss"))
    return chance is None or loss < 0.5 * chance


_LOWER = "Divide the learning rate by ten, and again until the loss of one batch falls."
_LOWER_CODE = "model.compile(keras.optimizers.Adam(1e-4, global_clipnorm=1.0), loss=model.loss)"

RULES = [
    Rule(
        id="cannot-fit-one-batch",
        severity="medium",
        criterion="after 40 steps on one batch, its loss (mean of the last 8) is above 1.1 times the first one, or "
        "less than 1 % away from it, or not finite",
        scale_free="A loss is compared with itself before the steps, and the change with its own noise.",
        unknown_when="Neither an audit nor `Doctor(treat=True)`; an own `train_step`; fewer than 20 steps in 4 s; a "
        "schedule.",
        lecture="Deck A, tuning table: the training error is huge, explodes, or decreases very slowly",
        cure="Multiply the learning rate by ten, and check that gradients reach the layers: `diagnosis.signals`.",
        code="model.compile(keras.optimizers.Adam(1e-3), loss=model.loss)",
        judge=_cannot_fit,
    ),
]
