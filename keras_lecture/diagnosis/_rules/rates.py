"""Rules on the learning rate, judged by the updates that it makes and by their consequences, never by its own value."""

import math

import keras

from keras_lecture.diagnosis._rules import measures
from keras_lecture.diagnosis._rules.causes import harms, largest_travel, leading, severity, typical_largest_ratio
from keras_lecture.diagnosis._rules.evidence import progress
from keras_lecture.diagnosis._rules.general import general_cause, median_cosine
from keras_lecture.diagnosis._rules.rule import Rule
from keras_lecture.diagnosis._rules.trends import late_fall


def _too_high(rule, record):
    state = progress(record)
    early, largest = measures.first_update_ratio(record), typical_largest_ratio(record)
    signs = harms(record, state)
    if early is None and not signs and state.stage == "unknown":
        yield rule.unknown("Neither updates nor losses were observed.", "the first three steps of a fit")
        return
    summed = _summed(record)
    if summed and (early or 0.0) > 0.02 and not signs:
        yield _of_sum(rule, record, *summed)
        return
    # A run that goes well in spite of long first steps is told of steps longer than the weights only.
    if not signs and (early is None or early < (1.0 if state.stage == "good" else 0.2)):
        return
    if not signs and measures.is_search(record):
        # The first step of a search is as long as the loss allows.
        return
    is_over = state.stage == "none" and len(signs) > 0
    worst = severity(record, rule.id, "high" if is_over and (state.run or 1.0) >= 0.1 else "medium")
    # Long first steps alone do no harm, as with a layer that starts small.
    worst = worst if signs else "low"
    evidence, first = {}, measures.ratio_at_start(record)
    if early is not None and first is not None and 0.2 < first < 0.3 * early:
        evidence["update relative to the weights, step 1"] = f"{first:.1e}"
    if early is not None and early > 0.2:
        evidence["update relative to the weights, steps 1–3"] = f"{early:.1e} (above 0.2 is long, 1e-3 is usual)"
    if largest is not None and early is not None and largest > 2 * early:
        evidence["largest update relative to the weights"] = f"{largest:.1e}"
    cause = "The first steps change the weights by a large part of their size."
    if signs:
        evidence["damage"] = ", ".join(signs)
        cause = "What was learned is lost again, as by steps that are too long."
        if max(early or 0.0, largest or 0.0) > 0.2:
            cause = "The steps are so long that they destroy the weights."
    # The first step says it: a rate of 20 destroyed the weights, whose next updates were 10¹³ times their size, and the
    # cure was a rate of 2·10⁻¹⁵.
    factor = _divisor((first if first is not None and first > 0.2 else early) or 0.0)
    yield rule.found(
        cause,
        {**evidence, "training loss": state.text},
        severity=worst,
        confidence=0.85 if worst != "low" else 0.4,
        steps=(1, max(1, state.steps)),
        cure=f"Divide the learning rate by {factor:,}; `keras-lecture find-lr` finds a range." if factor > 10 else None,
        code=_rate_times(record, 1 / factor, "  # in a new model: these weights are damaged" if signs else ""),
    )


def _divisor(update):
    """10, 20, 50, 100, …: the first by which steps are a fiftieth of the weights or less."""
    wanted = max(10.0, update / 0.02)
    power = 10 ** math.floor(math.log10(wanted))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= 0.999 * wanted)


def _summed(record):
    """The class of a loss that sums over the batch, and the size of the batch, or `None`."""
    size = (record.get("fit") or {}).get("batch_size") or 0
    names = [loss.get("class") for loss in (record.get("model") or {}).get("losses") or [] if loss.get("sums")]
    return (names[0], size) if names and size > 1 else None


def _of_sum(rule, record, name, size):
    """The finding that the sum makes long steps, low because models with a sum of terms may want it."""
    known = name in dir(keras.losses)
    return rule.found(
        f"The loss is the sum over a batch of {size} rows, so that the gradient is {size} times that of the mean.",
        {
            "update relative to the weights, steps 1–3": f"{measures.first_update_ratio(record):.2g} (1e-3 is usual)",
            "loss": f'{name}, reduction="sum"',
            "training loss": progress(record).text,
        },
        severity="low",
        confidence=0.8,
        steps=(0, progress(record).steps),
        cure=f"Take the mean over the batch, which is the default, or divide the learning rate by {size}.",
        code=f"model.compile(model.optimizer, loss=keras.losses.{name}())" if known else _rate_times(record, 1 / size),
    )


def _optimizer(record):
    return (record.get("model") or {}).get("optimizer") or {}


def _rate_times(record, factor, note=""):
    """Code that sets a multiple of the learning rate; `None` if it is not known or follows a schedule."""
    optimizer = _optimizer(record)
    rate = measures.finite(optimizer.get("learning_rate"))
    if not rate or optimizer.get("schedule"):
        return None
    return f"model.optimizer.learning_rate = {rate * factor:.3g}{note}"


def _too_low(rule, record):
    state, travel = progress(record), largest_travel(record, progress(record))
    if travel is None:
        yield rule.unknown("No update was observed.", "the updates of the first three steps")
        return
    ratio, total = travel
    if state.stage == "good" or not 0 < ratio <= 1e-4 or total >= 0.2:
        return
    fallen = _fallen_rate(record)
    # After steps that were too long the units are dead or saturated, and the updates small for this reason.
    is_long = leading(record) == "learning-rate-too-high" or (measures.first_update_ratio(record) or 0.0) > 0.2
    if fallen is None and is_long:
        return
    last = (record.get("probes") or [{"layers": []}])[-1]
    gradients = measures.elasticities(record, last)
    # Without a gradient the updates are small for another reason.
    if gradients and max(gradients.values()) < 1e-6:
        return
    worst = severity(record, rule.id, "medium")
    evidence = {"update relative to the weights": f"{ratio:.1e} in the kernel that moves most (fault: at most 1e-4)"}
    how = {"severity": worst, "confidence": 0.9 if worst != "low" else 0.6}
    if fallen is not None:
        start, end, since = fallen
        yield rule.found(
            f"The learning rate falls from {start:.3g} to {end:.2g} within {since} steps: nothing is learned after.",
            {**evidence, "learning rate": f"{end:.2g} at step {since}", "training loss": state.text},
            **how,
            steps=(since, max(since, state.steps)),
            cure="Let the learning rate fall over the whole run: schedules of Keras count batches, not epochs.",
            code="model.compile(\n    keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay("
            f"{start:.3g}, {state.steps}), momentum=0.9),\n    loss=model.loss,\n)",
        )
        return
    yield rule.found(
        "The steps are so short that the whole run can hardly change the weights.",
        {
            **evidence,
            "over the whole run": f"at most {total:.1%} of a kernel (fault: below 20 %, medium below 5 %)",
            "training loss": state.text,
        },
        **how,
        steps=(1, max(1, state.steps)),
        # Ten times, or a hundred where the run could still not change a kernel by a fifth of its size.
        code=_rate_times(record, 10 if 10 * total >= 0.2 else 100),
    )


def _fallen_rate(record):
    """The first learning rate, the first seen rate below a thousandth of it, and its step; `None` if it stays above."""
    rates = [(step["step"], measures.finite(step.get("learning_rate"))) for step in record.get("steps") or []]
    rates = [(step, rate) for step, rate in rates if rate is not None]
    start = rates[0][1] if rates else 0.0
    fallen = [(step, rate) for step, rate in rates if rate < 1e-3 * start]
    # A warm-up and a fall at the very end are usual.
    if not fallen or fallen[0][0] > 0.5 * progress(record).steps or rates[-1][1] >= 1e-3 * start:
        return None
    return start, fallen[0][1], fallen[0][0]


def _slow_learning(rule, record):
    state, late = progress(record), late_fall(record)
    if late is None or state.falling is None or state.stage == "unknown":
        yield rule.unknown("Too few losses to measure a slope.", "at least six losses of the training")
        return
    latest = measures.latest_update_ratio(record)
    # A schedule may have ended the learning before the loss was low.
    # A step that only accumulates gradients moves nothing.
    has_ended = latest is not None and 0 < latest <= 1e-5
    is_early = state.steps < 20 or ((state.run or 1.0) < 0.1 and len(record.get("probes") or []) < 4)
    if state.stage == "good" or is_early or not (state.falling or has_ended):
        return
    is_cause = general_cause(record) == rule.id
    share = min(max(late, 0.0), 1.0)
    yield rule.found(
        "The training loss falls so slowly that most of the way is left."
        if state.falling
        else "The updates are so small that the training loss hardly falls any further.",
        {
            "training loss": state.text,
            "fall in the last third of the steps": f"{share:.0%} of the whole fall (a line has 33 %)",
            **({"update relative to the weights": f"{latest:.1e} at the latest step"} if has_ended else {}),
        },
        severity="medium" if is_cause else "low",
        confidence=0.8 if is_cause else 0.5,
        steps=(0, state.steps),
        cure=None if _is_plain(record) else "Use a larger learning rate, normalized inputs, or more epochs.",
        code=None if _is_plain(record) else _rate_times(record, 10),
    )


def _is_plain(record):
    """Whether the optimizer is gradient descent without momentum."""
    optimizer = _optimizer(record)
    return optimizer.get("class") in (None, "SGD") and not optimizer.get("momentum")


def _zig_zag(rule, record):
    state, cosine = progress(record), median_cosine(record)
    positive = _positive_layers(record)
    if cosine is None and not positive:
        yield rule.unknown(
            "No two consecutive updates that are not zero were observed.", "the updates of two consecutive steps"
        )
        return
    is_turning = cosine is not None and cosine < -0.3
    if not is_turning and (len(positive) < 2 or state.stage in ("good", "unknown")):
        return
    is_cause = is_turning and general_cause(record) == rule.id
    evidence = {"training loss": state.text}
    if is_turning:
        evidence["cosine of consecutive updates"] = f"{cosine:.2f} (fault: below −0.3)"
    if positive:
        evidence["layers with only positive outputs"] = ", ".join(positive[:4])
    yield rule.found(
        "Consecutive updates point against each other, so that most of their length is lost."
        if is_turning
        else "Sigmoids give only positive signals, so that all gradients of a unit's weights have the same sign.",
        evidence,
        severity="medium" if is_cause else "low",
        confidence=0.8 if is_cause else 0.4,
        steps=(1, state.steps),
    )


def _positive_layers(record):
    """Hidden sigmoid layers whose mean output exceeds its spread, in the last probe."""
    last = (record.get("probes") or [{"layers": []}])[-1]
    return [
        row["layer"]
        for row, layer in measures.rows(record, last)
        if (row.get("activation") or layer.get("activation")) == "sigmoid"
        and not layer.get("is_output")
        and (measures.finite(row.get("mean")) or 0.0) > (measures.finite(row.get("std")) or 0.0)
    ]


RULES = [
    Rule(
        id="learning-rate-too-high",
        severity="high",
        criterion="median over the kernels of max ‖Δw‖/‖w‖ in the first three steps > 0.2 (> 1 if all is well since), "
        "or damage since the "
        "start: the loss stays above its start, half of the best gain is lost, all outputs became equal, units died, "
        "or not finite",
        scale_free="An update is compared with its weight, and a loss with the run's own start and best.",
        unknown_when="Neither updates nor losses were observed.",
        lecture="Deck A, tuning table: the training error explodes to infinity; deck C, learning rate: implications",
        cure="Divide the learning rate by ten, and again until the loss falls; `keras-lecture find-lr` finds a range.",
        code="model.compile(keras.optimizers.Adam(1e-4, global_clipnorm=1.0), loss=model.loss)",
        judge=_too_high,
    ),
    Rule(
        id="learning-rate-too-low",
        severity="medium",
        criterion="max over the kernels of the usual ‖Δw‖/‖w‖ ≤ 1e-4, and times the planned steps < 20 % (medium: 5 "
        "%), while the loss is near that of a constant prediction",
        scale_free="An update is compared with its weight, and the sum with the length of the run.",
        unknown_when="No update was observed.",
        lecture="Deck A, tuning table: the training error decreases very slowly; deck C, learning rate: implications",
        cure="Multiply the learning rate by ten, and again while the loss still falls smoothly.",
        code="model.compile(keras.optimizers.Adam(1e-3), loss=model.loss)",
        judge=_too_low,
    ),
    Rule(
        id="slow-learning",
        severity="medium",
        criterion="the 95 % confidence interval of the recent slope (Theil–Sen) is below zero and the share of the "
        "way is small; medium at the end of a run without progress and without a specific cause",
        scale_free="The share of the way compares the loss with a constant prediction and with its floor.",
        unknown_when="Fewer than six training losses were recorded.",
        lecture="Deck A, tuning table: the training error decreases very slowly; deck B, momentum and adaptive rates",
        cure="Use Adam or momentum, a larger learning rate, normalized inputs, or more epochs.",
        code="model.compile(keras.optimizers.Adam(1e-3), loss=model.loss)",
        judge=_slow_learning,
    ),
    Rule(
        id="zig-zag",
        severity="medium",
        criterion="median cosine of consecutive updates < −0.3; or two hidden sigmoid layers with mean > std of the "
        "output",
        scale_free="A cosine has no scale.",
        unknown_when="No two consecutive updates were observed.",
        lecture="Deck A, undesired zig-zag behaviour",
        cure="Use momentum, a smaller learning rate, inputs with zero mean, and tanh or ReLU in place of sigmoid.",
        code="model.compile(keras.optimizers.SGD(1e-2, momentum=0.9), loss=model.loss)",
        judge=_zig_zag,
    ),
]
