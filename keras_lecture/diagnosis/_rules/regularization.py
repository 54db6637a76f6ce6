"""Rules on layers and penalties that act differently in training: batch normalization's statistics, regularization."""

from keras_lecture.diagnosis._rules import measures
from keras_lecture.diagnosis._rules.causes import has_other_cause, severity
from keras_lecture.diagnosis._rules.evidence import points, progress
from keras_lecture.diagnosis._rules.layer_code import with_weaker_penalty
from keras_lecture.diagnosis._rules.rule import Rule

# Keras's moving statistics with momentum 0.99 forget their start within so many steps.
_SETTLED = 300


def _batch_norm_drift(rule, record):
    if not measures.has_batch_statistics(record):
        yield rule.absent(measures.NO_BATCH_STATISTICS)
        return
    training = {point.step: point for point in points(record, "training_mode")}
    # Before the first step the moving statistics are 0 and 1 and say nothing.
    pairs = [
        (point, training[point.step]) for point in points(record, "train") if point.step in training and point.step
    ]
    if not pairs:
        yield rule.unknown("No loss in training mode was measured.", "a probe after the first epoch")
        return
    state = progress(record)
    if state.reference is None:
        return
    scale = abs(state.reference - (state.floor or 0.0)) or 1.0
    drifts = [(mine.loss - other.loss, mine.error, mine.step) for mine, other in pairs]
    gap, error, step = drifts[-1]
    if gap <= 4 * error or gap < 0.1 * scale:
        return
    wide = [drift >= 0.25 * scale for drift, _, _ in drifts[-2:]]
    is_late = step >= _SETTLED or (state.run or 0.0) >= 0.99
    is_ill = is_late and all(wide) and not has_other_cause(record)
    yield rule.found(
        "On the same data the loss with moving statistics is far above the one with the statistics of the batch.",
        {
            "inference loss − training-mode loss": f"{gap:.3g} ± {error:.2g} (fault: 4 errors and 10 % of "
            f"a constant prediction's loss, {scale:.3g})",
            "seen": f"{sum(d >= 0.1 * scale for d, _, _ in drifts)} of {len(drifts)} probes",
        },
        severity="medium" if is_ill else "low",
        confidence=0.9 if is_ill else 0.5,
        steps=(next(s for d, _, s in drifts if d >= 0.1 * scale), step),
    )


def _too_much_regularization(rule, record):
    share, shrunk = measures.regularization_share(record), measures.shrunk_weights(record)
    state, strong = progress(record), [pair for pair in measures.dropout_rates(record) if pair[1] >= 0.7]
    evidence = {}
    if share is not None and share > 0.5:
        evidence["penalty before the first step"] = f"{share:.0%} of the whole loss (fault: above 50 %)"
    if shrunk is not None and shrunk < 0.1 and state.stage != "good":
        evidence["norm of the kernels"] = f"{shrunk:.1%} of the start (fault: below 10 %)"
    if strong:
        evidence["dropout"] = f"{_listed(strong)} (healthy: below 70 %)"
    if _is_hampered(record, state):
        evidence["loss with dropout"] = "no better than a constant prediction, without dropout far better"
    if not evidence:
        if share is None and shrunk is None:
            yield rule.unknown("Neither penalties nor norms of kernels were measured.", "a probe before the first step")
        return
    worst = severity(record, rule.id, "medium")
    yield rule.found(
        evidence={**evidence, "training loss": state.text},
        severity=worst,
        confidence=0.9 if worst != "low" else 0.4,
        steps=(0, state.steps),
        **_of_strength(record, evidence, strong),
    )


def _of_strength(record, evidence, strong):
    """The cause and its place, and the cure where it is dropout or a penalty alone."""
    if list(evidence) == ["dropout"]:
        return {
            "cause": f"Dropout lets hardly anything through: {_listed(strong)}.",
            "layer": strong[0][0],
            "cure": "Lower the rate of dropout to at most 0.5 in each of these layers.",
            "code": "keras.layers.Dropout(0.3)",
        }
    penalized = [layer for layer in measures.layers_by_name(record).values() if layer.get("penalties")]
    if "penalty before the first step" in evidence and penalized:
        return {
            "cause": "The penalty outweighs the loss of the predictions, so that the model learns to make it small.",
            "layer": penalized[0]["name"],
            "code": with_weaker_penalty(penalized[0]),
        }
    return {"cause": "The regularization is stronger than what the data can teach."}


def _listed(rates):
    return ", ".join(f"{rate:.0%} in {name}" for name, rate in rates[:4])


def _is_hampered(record, state):
    """Whether noise in training takes away most of the progress that inference mode shows."""
    training, train = points(record, "training_mode"), points(record, "train")
    if not training or not train or state.reference is None or training[-1].step != train[-1].step:
        return False
    gain = state.reference - train[-1].loss
    return gain > 5 * train[-1].error and gain > 0 and state.reference - training[-1].loss < 0.3 * gain


RULES = [
    Rule(
        id="batch-norm-drift",
        severity="medium",
        criterion="L(inference) − L(training mode) on the same data > 4 standard errors and > 10 % of a constant "
        "prediction's loss; medium at 25 % in the last two probes after 300 steps or at the end",
        scale_free="The difference is compared with its sampling error and with the loss of a constant prediction.",
        unknown_when="No loss in training mode was measured after the first step.",
        lecture="Deck A, batch normalization: moving averages in place of the statistics of the batch",
        cure="Use a smaller momentum or larger batches, train for more steps, and freeze the layer where it must not "
        "adapt.",
        code="keras.layers.BatchNormalization(momentum=0.9)",
        judge=_batch_norm_drift,
    ),
    Rule(
        id="too-much-regularization",
        severity="medium",
        criterion="penalty > 50 % of the whole loss before the first step, kernels below 10 % of their first norm, "
        "or a dropout rate ≥ 0.7 (0.9 for medium); medium while the loss is no better than that of a constant "
        "prediction",
        scale_free="Penalty and loss have one unit, and norms are compared with their start.",
        unknown_when="Neither penalties nor norms of kernels were measured.",
        lecture="Deck A, tuning table: the training error is huge, decrease the regularization strength",
        cure="Divide the factor of the penalty by a hundred, and lower the dropout rate to at most 0.5.",
        code="keras.layers.Dense(64, kernel_regularizer=keras.regularizers.L2(1e-4))",
        judge=_too_much_regularization,
    ),
]
