"""Rules on a training loss that ends too high: underfit, too little capacity, cut short."""

from keras_lecture.diagnosis._rules import measures
from keras_lecture.diagnosis._rules.course import course_of
from keras_lecture.diagnosis._rules.evidence import progress
from keras_lecture.diagnosis._rules.general import FEW_STEPS, capacity_hint, general_cause
from keras_lecture.diagnosis._rules.rule import Rule
from keras_lecture.diagnosis._rules.trends import is_plateau, late_fall, measured_fall


def _stagnation(rule, record, cause, needs, cure=None):
    """A finding that the training loss has stopped falling too early."""
    state, flat = progress(record), is_plateau(record)
    if (flat is None and (state.run or 0.0) < 0.99) or state.stage == "unknown":
        yield rule.unknown("Too few losses to tell a plateau from a fall.", "five training losses and two probes")
        return
    is_far = state.share is None or state.share < 0.6
    is_over = (state.run or 0.0) >= 0.99 and state.stage in ("none", "little")
    # Far from perfect may be the noise in the data: only a run that is no better than a constant is surely ill.
    if not (flat and state.steps >= 20 or is_over) or (state.stage == "good" and not is_far) or needs == "":
        return
    if _hidden_fall(record, state) >= 0.1 or _is_perfect(state):
        return
    is_cause = general_cause(record) == rule.id
    is_short = rule.id == "underfit" and state.steps <= FEW_STEPS
    yield rule.found(
        cause,
        {
            "training loss": state.text,
            "second half of the run": "no fall beyond the noise" if flat else "too few losses for a trend",
            **({"structure": needs} if needs else {}),
        },
        severity="medium" if is_cause else "low",
        confidence=0.8 if is_cause else 0.4,
        # It is a fact about the end of the run.
        steps=(state.steps, state.steps),
        cure=f"Train for more than these {state.steps} steps first." if is_short else cure,
        code="model.fit(x, y, epochs=50)" if is_short else None,
    )


def _is_perfect(state):
    """Whether hardly anything is left of the first loss, wherever a constant prediction may lie."""
    if None in (state.floor, state.start, state.now):
        return False
    return state.now - state.floor < 0.05 * (state.start - state.floor)


def _underfit(rule, record):
    is_regular = not measures.dropout_rates(record) and not measures.regularization_share(record)
    cure = "Increase the capacity, and check that labels belong to their inputs." if is_regular else None
    yield from _stagnation(rule, record, "The training loss ends far from that of a perfect prediction.", None, cure)


def _too_little_capacity(rule, record):
    hint = capacity_hint(record) or ""
    cause, cure = "The model is too small for the training data, whose loss stays high.", None
    if "linear" in hint:
        cause, cure = (
            "The model is linear, and the loss of the training data stays high.",
            "Put activations between layers.",
        )
    yield from _stagnation(rule, record, cause, hint, cure)


def _hidden_fall(record, state):
    """The share of the fall in the last third that few steps hide in the noise of their batches; else 0."""
    return (measured_fall(record) or 0.0) if state.steps <= FEW_STEPS else 0.0


def _cut_short(rule, record):
    state, late = progress(record), late_fall(record)
    if late is None or state.falling is None or state.run is None:
        yield rule.unknown("Too few losses, or the planned number of steps is not known.", "six training losses")
        return
    if not state.falling:
        late = _hidden_fall(record, state)
    if state.run < 0.99 or late < 0.1 or (state.share or 0.0) > 0.9:
        return
    course = course_of(record)
    if course is not None and course.is_rising:
        # Overfitting: more steps of the same kind help the training data alone.
        return
    is_cause = general_cause(record) == rule.id
    yield rule.found(
        "The run ends while the training loss still falls.",
        {
            "fall in the last third of the steps": f"{min(late, 1.0):.0%} of the whole fall (fault: at least 10 %)",
            **({"steps": f"{state.steps} (a short run)"} if state.steps <= FEW_STEPS else {}),
            "training loss": state.text,
        },
        severity="medium" if is_cause else "low",
        confidence=0.8,
        steps=(state.steps, state.steps),
    )


_TUNING = "Deck A, tuning table: "
RULES = [
    Rule(
        id="underfit",
        severity="medium",
        criterion="the training loss is on a plateau with less than 60 % of the way done; medium if it is no better "
        "than a constant prediction and nothing specific explains it",
        scale_free="The share of the way compares the loss with a constant prediction and with its floor.",
        unknown_when="Fewer than five training losses, or a loss without a known floor or chance level.",
        lecture=_TUNING + "the training error is huge: underfitting",
        cure="Decrease the regularization, increase the capacity, and check that labels belong to their inputs.",
        code='keras.layers.Dense(256, activation="relu")  # more units',
        judge=_underfit,
    ),
    Rule(
        id="too-little-capacity",
        severity="medium",
        criterion="as underfit, and the model has no hidden layer, no activation, or a hidden layer narrower than "
        "the output",
        scale_free="The share of the way compares the loss with a constant prediction and with its floor.",
        unknown_when="Fewer than five training losses, or a loss without a known floor or chance level.",
        lecture=_TUNING + "the training error is huge: underfitting",
        cure="Add units or layers, with activations between them.",
        code='keras.Sequential([keras.layers.Dense(128, activation="relu"), keras.layers.Dense(128, '
        'activation="relu")])',
        judge=_too_little_capacity,
    ),
    Rule(
        id="cut-short",
        severity="medium",
        criterion="the run ends, its recent slope's 95 % interval is below zero, and the last third of the steps "
        "brought at least 10 % of the fall; medium for a short run with hardly any progress that falls along a line",
        scale_free="The fall is compared with the whole fall of the same run.",
        unknown_when="Fewer than six training losses, or an unknown number of planned steps.",
        lecture=_TUNING + "the training error decreases very slowly",
        cure="Train for more epochs, with early stopping on the validation loss.",
        code="model.fit(x, y, epochs=50, validation_data=(x_val, y_val), callbacks=[\n"
        "    keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)])",
        judge=_cut_short,
    ),
]
