"""Rules on validation against training loss, both in inference mode: overfit, a bad split, labels without a pattern."""

from keras_lecture.diagnosis._record.record import PROBE_SAMPLES
from keras_lecture.diagnosis._rules import regularization
from keras_lecture.diagnosis._rules.causes import has_other_cause
from keras_lecture.diagnosis._rules.course import course_of
from keras_lecture.diagnosis._rules.evidence import points, progress
from keras_lecture.diagnosis._rules.rule import Rule
from keras_lecture.diagnosis._rules.trends import finite

_NEEDED = "validation data, and losses at three probes or epochs"


def _overfit(rule, record):
    course = course_of(record)
    if course is None:
        yield rule.unknown("Fewer than three validation losses were recorded.", _NEEDED)
        return
    state, best = progress(record), course.best
    at_best, last = course.validation[best], course.validation[-1]
    rise, is_rising = course.rise, course.is_rising
    fall = course.training[best].loss - course.training[-1].loss
    has_gap = _gap(course, state)
    forgets = _accuracy_fell(course, 0.06)
    if not ((is_rising or forgets) and fall > 0) and not has_gap:
        return
    start = course.validation[0].loss
    level = start if state.reference is None else min(start, state.reference)
    gain = level - at_best.loss
    lost = rise / gain if gain > 2 * at_best.error and gain > 0 else None
    # Without any gain over chance the labels or the split are the cause.
    is_ill = is_rising and lost is not None and (lost >= 0.25 or (lost >= 0.05 and _accuracy_fell(course, 0.03)))
    yield rule.found(
        "The validation loss rises while the training loss still falls."
        if is_rising
        else "The validation accuracy falls while the training loss still falls."
        if forgets
        else "The model predicts the training data far better than the validation data.",
        {
            "validation loss": f"{last.loss:.3g} ± {last.error:.2g} (best: {at_best.loss:.3g} at step {at_best.step})",
            "lost again, at the better of the last two looks": "no gain over a constant"
            if lost is None
            else f"{max(0.0, lost):.0%} of the gain over a constant",
            "training loss": f"{course.training[-1].loss:.3g}",
        },
        severity="medium" if is_ill and not has_other_cause(record) else "low",
        confidence=0.9 if is_ill else 0.5,
        steps=(at_best.step, last.step),
    )


def _gap(course, state):
    """Whether the gap between the losses is over half of what a constant prediction loses, beyond the errors."""
    last, train = course.validation[-1], course.training[-1]
    if state.reference is None or state.floor is None:
        return False
    error = (last.error**2 + train.error**2) ** 0.5
    return last.loss - train.loss > max(4 * error, 0.5 * (state.reference - state.floor))


def _accuracy_fell(course, margin):
    """Whether the validation accuracy is below its best, by more than the margin and in the last two probes."""
    seen = [point.accuracy for point in course.validation]
    if any(accuracy is None for accuracy in seen):
        return False
    return max(seen) - max(seen[-2:]) > margin


def _bad_split(rule, record):
    course = course_of(record)
    if course is None:
        yield rule.unknown("Fewer than three validation losses were recorded.", _NEEDED)
        return
    state = progress(record)
    easier = all(
        train.loss - valid.loss > 4 * (train.error**2 + valid.error**2) ** 0.5
        for valid, train in zip(course.validation[-2:], course.training[-2:], strict=True)
    )
    is_measured = bool(points(record, "validation"))
    ratio = (course.training[-1].loss - course.validation[-1].loss) / _scale(course, state)
    if easier and is_measured and ratio > 0.05:
        yield _split_found(
            rule, record, course, "The validation data are easier than the training data.", ratio > 0.25, course.span
        )
    elif _differs_at_start(course) and is_measured:
        never = _never_better(course, state)
        cause = "The loss of the validation data differs from that of the training data before the first step."
        yield _split_found(rule, record, course, cause, never and state.stage == "good", course.span)


def _split_found(rule, record, course, cause, is_ill, steps):
    valid, train = course.validation[-1], course.training[-1]
    return rule.found(
        cause,
        {
            "validation loss": f"{valid.loss:.3g} ± {valid.error:.2g} (at the start {course.validation[0].loss:.3g})",
            "training loss": f"{train.loss:.3g} ± {train.error:.2g} (at the start {course.training[0].loss:.3g})",
        },
        severity="medium" if is_ill and not has_other_cause(record) and not _is_named(record) else "low",
        confidence=0.8 if is_ill else 0.4,
        steps=steps,
    )


def _scale(course, state):
    """The loss that a constant prediction can lose, or the loss at the start."""
    if state.reference is not None and state.floor is not None and state.reference > state.floor:
        return state.reference - state.floor
    return abs(course.training[0].loss) or 1.0


def _differs_at_start(course):
    """Whether the two parts have different losses under the same untrained weights, by over 5 errors and by half."""
    valid, train = course.validation[0], course.training[0]
    difference = abs(valid.loss - train.loss)
    error = (valid.error**2 + train.error**2) ** 0.5
    return valid.step == 0 and difference > 5 * error and difference > 0.5 * min(abs(valid.loss), abs(train.loss))


def _is_named(record):
    """Whether the facts about the data already show that the parts differ."""
    held_out = (record.get("data") or {}).get("validation") or {}
    scale = finite(held_out.get("scale"))
    return (finite(held_out.get("new")) or 0.0) > 0.05 or (scale is not None and not 0.2 < scale < 5)


def _never_better(course, state):
    """Whether no validation loss and no validation accuracy was ever better than a constant prediction's."""
    if state.reference is None:
        return False
    best = course.validation[course.best]
    return all(
        point.loss > state.reference - 2 * max(best.error, 0.01 * abs(state.reference)) for point in course.validation
    )


def _unlearnable(rule, record):
    course, state = course_of(record), progress(record)
    if course is None or state.share is None:
        yield rule.unknown("Fewer than three validation losses, or an unknown loss of a constant prediction.", _NEEDED)
        return
    if state.share < 0.2 or not _never_better(course, state) or _accuracy_helps(record, course):
        return
    is_shifted = _differs_at_start(course) or _is_named(record)
    yield rule.found(
        "What the model learns from the training data never helps on the validation data by more than chance.",
        {
            "best validation loss": f"{course.validation[course.best].loss:.3g} "
            f"± {course.validation[course.best].error:.2g} (a constant prediction: {state.reference:.3g})",
            "training loss": state.text,
        },
        severity="low"
        if is_shifted or has_other_cause(record) or state.steps < 20 or _may_learn(record, course, state)
        else "medium",
        confidence=0.7 if not is_shifted else 0.3,
        steps=course.span,
    )


def _accuracy_helps(record, course):
    """Whether the validation accuracy is above chance by a tenth of what is missing to 1."""
    chance = finite((record.get("start") or {}).get("chance", {}).get("accuracy")) if _has_chance(record) else None
    best = max((point.accuracy or 0.0 for point in course.validation), default=0.0)
    return chance is not None and chance < 1 and (best - chance) / (1 - chance) > 0.1


def _may_learn(record, course, state):
    """Whether a simple method predicts the targets, so that they can be learned, or it is unknown.

    Where no simple method was tried, as for words, a model that has learned the training data well and classifies
    100 validation rows no better than a constant prediction is such a method.
    """
    p = finite(((record.get("data") or {}).get("baseline") or {}).get("p"))
    if p is not None:
        return p <= 0.01
    rows = ((record.get("data") or {}).get("validation") or {}).get("rows") or 0
    chance = finite(record["start"]["chance"].get("accuracy")) if _has_chance(record) else None
    best = max((point.accuracy for point in course.validation if point.accuracy is not None), default=None)
    if rows < 100 or None in (chance, best) or state.stage != "good":
        return True
    return best > chance + 2 * (chance * (1 - chance) / min(rows, PROBE_SAMPLES)) ** 0.5


def _has_chance(record):
    return bool((record.get("start") or {}).get("chance"))


RULES = [
    Rule(
        id="overfit",
        severity="medium",
        criterion="V − min V > 3 standard errors in the last two probes while the training loss falls; medium if 25 "
        "% of the gain (chance − min V) are lost, or 5 % and the accuracy falls; V the validation loss in inference "
        "mode",
        scale_free="The rise is compared with the gain over a constant prediction and with the sampling error.",
        unknown_when="Fewer than three validation losses were recorded.",
        lecture="Deck A, tuning table: test error ≫ training error; deck B, early stopping",
        cure="Stop at the best validation loss; add data, augmentation, dropout or weight decay, or take a smaller "
        "model.",
        code="keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)",
        judge=_overfit,
    ),
    Rule(
        id="bad-split",
        severity="medium",
        criterion="training loss − validation loss > 4 standard errors in the last two probes, both in inference mode, "
        "medium at 25 % of a constant prediction's loss; or different losses before the first step",
        scale_free="Differences are compared with their sampling error and with the loss of a constant prediction.",
        unknown_when="Fewer than three validation losses were recorded.",
        lecture="Deck A, tuning table: training error ≫ test error, a bad division of the data",
        cure="Shuffle before the division, keep the shares of the classes, and prepare both parts by the same code.",
        code="(x, y), validation_data, test_data = keras_lecture.data.split(x, y)",
        judge=_bad_split,
    ),
    Rule(
        id="unlearnable-labels",
        severity="medium",
        criterion="the training loss goes at least 20 % of the way, and no validation loss is better than that of a "
        "constant prediction by two standard errors, nor an accuracy by 10 %",
        scale_free="Both losses are compared with that of a constant prediction.",
        unknown_when="There are no validation data, or the loss of a constant prediction is not known.",
        lecture="Deck A, tuning table: test error ≫ training error; training and test data of the same distribution",
        cure="Check that each label belongs to its input: was one array shuffled, sorted or filtered without the "
        "other? Words and categories need the same numbers in the training and the validation data.",
        code="for i in range(5):\n    print(x[i], y[i])  # from the source on: does each label belong to its input?\n"
        "order = np.random.default_rng(0).permutation(len(x))\nx, y = x[order], y[order]  # one order for both",
        judge=_unlearnable,
    ),
    *regularization.RULES,
]
