"""Rules on the training loss itself: not finite, exploding, oscillating."""

from keras_lecture.diagnosis._record.record import number
from keras_lecture.diagnosis._rules import rates, rehearsal, stagnation
from keras_lecture.diagnosis._rules.causes import has_exploded, has_other_cause, has_unusable_data, nonfinite_steps
from keras_lecture.diagnosis._rules.evidence import progress
from keras_lecture.diagnosis._rules.general import general_cause
from keras_lecture.diagnosis._rules.heads import ENTROPIES, heads
from keras_lecture.diagnosis._rules.rule import Rule
from keras_lecture.diagnosis._rules.trends import finite, fit_losses, late_fall, oscillation


def _non_finite(rule, record):
    if not record.get("probes") and not (record.get("losses") or {}).get("values"):
        yield rule.unknown("No loss was recorded.", "one training step or one probe")
        return
    steps = nonfinite_steps(record)
    if not steps:
        yield from _non_finite_validation(rule, record)
        return
    layer = _first_nonfinite_layer(record)
    last = ((record.get("losses") or {}).get("values") or [None])[-1]
    has_healed = last is not None and finite(last) is not None and steps[-1] < max(progress(record).steps, 1)
    yield rule.found(
        f"The loss or a signal is no longer finite{f', first in the layer {layer}' if layer else ''}.",
        {"first step": f"{steps[0]} (fault: any nan or inf)", "observations": str(len(steps))},
        severity="low" if has_healed or has_unusable_data(record) else "high",
        confidence=1.0,
        layer=layer,
        steps=(steps[0], steps[-1]),
        cure=None if any(head.family in ENTROPIES for head in heads(record)) else _WITHOUT_LOGARITHM,
    )


# The cure where the loss is no cross entropy.
_WITHOUT_LOGARITHM = (
    "Find the first layer with `diagnosis.first_nonfinite`, lower the learning rate, and clip the gradient."
)


def _non_finite_validation(rule, record):
    """A finding if only the validation loss is not finite."""
    states = [(probe["step"], (probe.get("validation") or {}).get("loss")) for probe in record.get("probes") or []]
    states += [(e.get("step") or 0, (e.get("logs") or {}).get("val_loss")) for e in record.get("epochs") or []]
    steps = [int(step) for step, loss in states if number(loss) is not None and finite(loss) is None]
    if steps:
        yield rule.found(
            "The validation loss is not finite, while the training loss is.",
            {"first step": f"{min(steps)} (fault: any nan or inf)"},
            severity="medium",
            steps=(min(steps), max(steps)),
            cure="Look for values that are not finite, or out of range, in the validation data.",
            code="keep = np.isfinite(x_val.reshape(len(x_val), -1)).all(axis=1)\n"
            "x_val, y_val = x_val[keep], y_val[keep]",
        )


def _first_nonfinite_layer(record):
    """The first layer in call order with a signal that is not finite, in the earliest probe that has one."""
    for probe in record.get("probes") or []:
        for row in probe.get("layers") or []:
            if row.get("nonfinite"):
                return row["layer"]
    return None


def _exploding_loss(rule, record):
    state, (_, values) = progress(record), fit_losses(record)
    if state.stage == "unknown" and len(values) < 2:
        yield rule.unknown("Fewer than two losses were recorded.", "two training losses")
        return
    if _falls_without_end(record, values):
        yield rule.found(
            "The loss falls below zero, ever faster: nothing bounds it, so that its minimum is no solution.",
            {"loss": f"{values[-1]:.3g}, from {values[0]:.3g} (fault: 30 times the start)"},
            severity="low" if has_other_cause(record) else "medium",
            steps=(0, state.steps),
            cure="Check the sign of the loss: a score that should grow enters with a minus.",
            code="model.compile(model.optimizer, loss=lambda y, p: -keras.ops.mean(y * p, axis=-1))",
        )
        return
    peak = values.max(initial=0.0)
    has_peak = len(values) > 1 and peak > 3 * max(abs(values[0]), abs(state.reference or 0.0))
    if not has_exploded(record) and not (has_peak and state.stage != "good") and not nonfinite_steps(record):
        return
    is_cause = general_cause(record) == rule.id
    yield rule.found(
        "The training loss rose above its start.",
        {
            "largest loss": f"{peak:.3g} (fault: three times the start, or a last one above the start by half)",
            "first loss": f"{values[0]:.3g}" if len(values) else "not recorded",
            "training loss": state.text,
        },
        severity="medium" if is_cause else "low",
        confidence=0.9,
        steps=(0, state.steps),
    )


def _falls_without_end(record, values):
    """Whether a loss falls below zero to many times its start, along a line or faster."""
    if len(values) < 6 or values[-1] >= 0:
        return False
    late, start = late_fall(record), abs(values[: max(1, len(values) // 20)]).max()
    return bool(late is not None and late >= 1 / 3 and -values[-1] > 30 * start)


def _oscillating_loss(rule, record):
    swing, state = oscillation(record), progress(record)
    if swing is None:
        yield rule.unknown("Fewer than six epochs have a finite loss.", "the losses of six epochs")
        return
    if swing[0] < (0.1 if state.stage == "good" else 0.05) or swing[1] < 0.5:
        return
    is_cause = general_cause(record) == rule.id
    yield rule.found(
        "In the second half of the run the training loss rises and falls from epoch to epoch.",
        {
            "median change per epoch": f"{swing[0]:.0%} of the range (fault: from 10 %, with little progress from 5 %)",
            "turns": f"{swing[1]:.0%} of the epochs in the second half (fault: half of them)",
            "training loss": state.text,
        },
        severity="medium" if is_cause else "low",
        confidence=0.8 if is_cause else 0.5,
        steps=(0, state.steps),
    )


_TUNING = "Deck A, tuning table: "
RULES = [
    Rule(
        id="non-finite",
        severity="high",
        criterion="a training loss or a signal that is nan or inf and stays so",
        scale_free="Not finite has no scale.",
        unknown_when="No loss was recorded.",
        lecture=_TUNING + "the training error explodes to infinity",
        cure="Find the first layer with `diagnosis.first_nonfinite`, lower the learning rate, clip the gradient, and "
        "use losses with `from_logits=True` in place of a logarithm of probabilities.",
        code="# In a new model: these weights are lost.\n"
        "model.compile(keras.optimizers.Adam(1e-4, global_clipnorm=1.0), loss=model.loss)",
        judge=_non_finite,
    ),
    Rule(
        id="exploding-loss",
        severity="medium",
        criterion="the last training loss is above both its start and a constant prediction's by half and five "
        "standard errors; low for a peak over three times the start",
        scale_free="The loss is compared with the run's own start.",
        unknown_when="Fewer than two losses were recorded.",
        lecture=_TUNING + "the training error explodes to infinity",
        cure="Lower the learning rate, clip the norm of the gradient, and look at the initialization.",
        code="model.compile(keras.optimizers.Adam(1e-4, global_clipnorm=1.0), loss=model.loss)",
        judge=_exploding_loss,
    ),
    Rule(
        id="oscillating-loss",
        severity="medium",
        criterion="median |change| of the epochs' training loss ≥ 10 % of its range and half of the changes turn, in "
        "the second half of the run; medium at 20 % without progress",
        scale_free="The change is compared with the range of the same loss.",
        unknown_when="Fewer than six finite losses were recorded.",
        lecture="Deck C, learning rate: implications",
        cure="Lower the learning rate towards the end of the run, or enlarge the batch.",
        code='quieter = keras.callbacks.ReduceLROnPlateau("loss", factor=0.3, patience=3)\n'
        "model.fit(x, y, epochs=50, callbacks=[quieter])",
        judge=_oscillating_loss,
    ),
    *stagnation.RULES,
    *rates.RULES,
    *rehearsal.RULES,
]
