"""Rules about targets: their values and shapes against the loss and the output, and their scale."""

from collections.abc import Iterator
from typing import Any

from keras_lecture.diagnosis._rules.harm import is_stuck, steps_of
from keras_lecture.diagnosis._rules.heads import ENTROPIES, Head, heads
from keras_lecture.diagnosis._rules.rule import Rule


def label_mismatch(rule: Rule, record: dict[str, Any]):
    """The first contradiction between each target, its loss and its output."""
    for facts in (record.get("data") or {}).get("targets") or []:
        if facts.get("kind") in ("strings", "objects"):
            cause = f"{facts['name']} contains {facts['kind']}, but a loss needs numbers."
            evidence = {"data type": f"{facts.get('dtype')} (healthy: numbers)"}
            yield rule.found(cause, evidence, confidence=0.99, code="classes, y = np.unique(y, return_inverse=True)")
    for head in heads(record):
        if head.facts.get("smallest") is None:
            continue
        found = next(iter(contradictions(head)), None)
        if found is None:
            continue
        cause, severity, cure, *code = found
        shape, facts = tuple(head.facts.get("shape") or ()), head.facts
        yield rule.found(
            cause,
            {
                "targets": f"shape {('samples', *shape)}, values {facts['smallest']:g} to {facts['largest']:g}",
                "output": f"shape {('samples', *head.shape)}, loss {head.loss}",
            },
            severity=severity,
            confidence=0.95 if severity == "high" else 0.8,
            layer=head.layer,
            cure=cure,
            code=code[0] if code else None,
        )
    yield from _of_validation(rule, record)


def _of_validation(rule, record):
    """Validation targets of a shape that the loss cannot take, or that it repeats to the shape of the outputs."""
    data, probe = record.get("data") or {}, next(iter(record.get("probes") or []), {})
    targets = {facts["name"]: facts for facts in data.get("targets") or []}
    for name, train, held_out in (data.get("validation") or {}).get("other_shapes") or []:
        fails = probe.get("train") is not None and probe.get("validation") is None
        last, other = ((shape or [1])[-1] for shape in (train, held_out))
        is_vector = max(len(train), len(held_out)) == 1 and targets[name].get("kind") in ("numbers", "multi-hot")
        if not fails and not (is_vector and last == targets[name].get("units") != other):
            continue
        shapes = [str(("samples", *shape)) for shape in (train, held_out)]
        yield rule.found(
            f"The validation targets of {name} have another shape than the training targets"
            + (": their loss cannot be computed." if fails else ", and the loss repeats one of them without an error."),
            {"training and validation targets": f"shapes {' and '.join(shapes)} (healthy: the same)"},
            severity="high" if fails else "medium",
            confidence=0.95,
            cure="Give the validation targets the form of the training targets.",
        )


def contradictions(head: Head) -> Iterator[tuple[str, ...]]:
    """`(cause, severity, cure)` of each contradiction of a target, most with the code of the cure."""
    if head.family == "sparse_categorical_crossentropy":
        yield from _numbered(head)
    if head.family == "categorical_crossentropy":
        yield from _distributions(head)
    if head.family == "binary_crossentropy":
        yield from _binary(head)
    if head.family in ("binary_crossentropy", "squared", "absolute"):
        yield from _shapes(head)
    if head.family == "other":
        yield from _ranks(head)
    is_constant = head.facts.get("distinct") == 1 and head.facts.get("rows", 0) >= 10
    if is_constant and head.family not in (None, "other") and not head.facts.get("is_batch"):
        severity = "high" if head.family in ENTROPIES else "low"
        yield f"{head.target} has the same value in every row.", severity, "Check the targets."


def _numbered(head):
    facts, units = head.facts, head.units
    if _is_distribution(head):
        # Losses of this library take both forms.
        if head.loss != "SoftmaxCrossEntropy":
            cause = f"{head.loss} expects class numbers, but {head.target} has one column for each class."
            yield cause, "high", 'Use the loss "categorical_crossentropy".'
        return
    if not facts["whole"]:
        cause = f"{head.loss} expects class numbers, but {head.target} has fractional values."
        if 1 < (facts.get("distinct") or 0) <= (units or 0):
            cause = f"{cause[:-1]}, {facts['distinct']} different ones: they may be class numbers that were scaled."
            yield cause, "high", "Keep class numbers as they are: 0, 1, 2, …, in the validation targets, too."
        yield cause, "high", _REGRESSION
    if head.has_labels_outside:
        cause = f"{head.target} contains classes outside of 0 to {units - 1 if units else 'K − 1'}."
        yield cause, "high", "Number the classes from 0, and give the last layer one unit for each."
    yield from _unused(head)


def _unused(head):
    """Many more units than classes: they cost nothing but learn that they are wrong."""
    distinct, units = head.facts.get("distinct"), head.units
    if (
        head.facts.get("kind") == "classes"
        and (distinct or 0) > 1
        and units
        and units >= 2 * distinct
        and units > distinct + 2
    ):
        rows = head.facts.get("rows", 0)
        if rows >= 10 * units:
            yield (
                f"The output has {units} units, but {head.target} only {distinct} classes.",
                "low",
                "Use one unit for each class.",
            )


def _is_distribution(head):
    shape = tuple(head.facts.get("shape") or ())
    return len(shape) == len(head.shape) and bool(shape) and shape[-1] == head.units and (head.units or 0) > 1


def _distributions(head):
    facts, shape = head.facts, tuple(head.facts.get("shape") or ())
    width = shape[-1] if shape else 1
    if len(shape) < len(head.shape) or (width == 1 and (head.units or 1) > 1):
        cause = f"{head.loss} expects one column for each class, but {head.target} contains class numbers."
        yield cause, "high", 'Use the loss "sparse_categorical_crossentropy", or keras.utils.to_categorical(y).'
        return
    if head.units is not None and width != head.units:
        cause = f"{head.target} has {width} columns, but the output has {head.units} units."
        yield cause, "high", "Give the last layer one unit for each class."
    if facts["smallest"] < 0:
        yield f"{head.loss} expects probabilities, but {head.target} has negative values.", "high", _ZERO_ONE
    if facts["kind"] == "multi-hot" and width > 1:
        cause = f"Rows of {head.target} do not sum to one, as the probabilities of exclusive classes do."
        yield cause, "medium", 'Use the loss "binary_crossentropy" with sigmoids.'
    elif head.has_rows_of_another_sum and facts["smallest"] >= 0:
        sums = f"those of {head.target} sum to {head.row_sum:.3g} on average"
        cause = f"{head.loss} expects rows that sum to one, but {sums}."
        yield cause, "high", "Divide each row by its sum, or use a regression loss for numbers.", _TO_SUM_ONE
    elif facts["kind"] in ("numbers", "classes"):
        cause = f"{head.loss} expects probabilities, but the rows of {head.target} do not sum to one."
        yield cause, "high" if facts["largest"] > 1 else "medium", _REGRESSION


def _binary(head):
    facts = head.facts
    if facts["smallest"] >= 0 and facts["largest"] <= 1:
        return
    if facts["whole"] and facts["smallest"] >= -1 and facts.get("distinct") == 2:
        low, high = facts["smallest"], facts["largest"]
        cause = f"{head.loss} expects the labels 0 and 1, but {head.target} has {low:g} and {high:g}."
        yield cause, "high", _ZERO_ONE
    elif facts["whole"] and head.kind == "classes":
        cause = f"{head.loss} expects the labels 0 and 1, but {head.target} has {facts.get('distinct')} classes."
        yield cause, "high", "Use one unit for each class, a softmax and the sparse categorical cross entropy."
    else:
        cause = f"{head.loss} expects values in [0, 1], but {head.target} leaves this interval."
        if head.kind == "numbers":
            cure = "Scale the targets to 0 … 1, or use a regression loss and no activation in the last layer."
            yield cause, "high", cure, _TO_ONE
        yield cause, "high", _REGRESSION


def fits(head: Head) -> bool:
    """Whether targets and output have the same shape; axes of size one at the end do not matter."""
    target, output = (_without_ones(shape) for shape in (head.facts.get("shape") or (), head.shape))
    return len(target) == len(output) and all(a == b or None in (a, b) for a, b in zip(target, output, strict=True))


def _shapes(head):
    """Shapes that Keras broadcasts or refuses."""
    if fits(head):
        return
    target, output = (_without_ones(shape) for shape in (head.facts.get("shape") or (), head.shape))
    distinct = head.facts.get("distinct") or 0
    if head.kind == "classes" and head.family != "binary_crossentropy" and 1 < distinct <= (head.units or 0):
        cause = f"{head.loss} compares the class number of a row with each of the {head.units} outputs."
        yield cause, "high", "Use the cross entropy of class numbers.", _of_numbers(head)
    shapes = [f"({', '.join(map(str, ('samples', *shape)))})" for shape in (target, output)]
    cause = f"{head.target} has the shape {shapes[0]}, but the output {shapes[1]}: the loss repeats one of them."
    yield cause, "high", "Give the output the shape of the targets, or one column for each class to the targets."


def _ranks(head):
    """Axes that Keras's losses align, and that a user's own loss may broadcast to all pairs of rows."""
    ranks = len(head.facts.get("shape") or ()), len(head.shape)
    if ranks[0] != ranks[1]:
        cause = f"{head.target} has {ranks[0] + 1} axes, the output {ranks[1] + 1}: the loss may compare all pairs."
        yield cause, "low", "Give the targets the shape of the output: `y = y[..., None]`."


def _without_ones(shape):
    shape = tuple(shape)
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def unscaled_target(rule: Rule, record: dict[str, Any]):
    """Targets of a regression that are far from unit scale."""
    for head in heads(record):
        rms, std = head.facts.get("rms"), head.facts.get("std")
        if head.family not in ("squared", "absolute") or head.kind != "numbers" or not rms or not std:
            continue
        if std > 0.02 and rms < 10:
            continue
        extreme = rms > 30 or rms / std > 30
        yield rule.found(
            f"{head.target} has a root mean square of {rms:.3g} and a spread of {std:.3g} instead of about 1.",
            {"root mean square": f"{rms:.3g} (healthy: below 10)", "spread": f"{std:.3g} (healthy: above 0.02)"},
            severity="medium" if extreme and is_stuck(record) else "low",
            confidence=0.8,
            layer=head.layer,
            steps=steps_of(record),
        )


def _of_numbers(head):
    if head.activation == "softmax":
        return 'model.compile(model.optimizer, loss="sparse_categorical_crossentropy")'
    return (
        "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)\nmodel.compile(model.optimizer, loss=loss)"
    )


_TO_ONE = "low, high = y.min(), y.max()\ny = (y - low) / (high - low)  # and so the validation targets"
_TO_SUM_ONE = "y = y / y.sum(axis=-1, keepdims=True)  # and so the validation targets"
_ZERO_ONE = "Convert the labels to 0 and 1."
_REGRESSION = "Use a regression loss for numbers, or turn the targets into classes."

RULES = [
    Rule(
        "label-mismatch",
        "high",
        "class numbers from 0 to units − 1, probabilities that sum to one, shape of targets = shape of output; "
        "validation targets of the same shape",
        "It compares classes with numbers of units, and shapes.",
        "never: it has no say on losses that it does not know",
        "Decks A, C (losses), deck A (y ∈ {−1, 1})",
        "Give the targets the form that the loss expects.",
        "classes, y = np.unique(y, return_inverse=True)  # 0, …, K − 1",
        label_mismatch,
    ),
    Rule(
        "unscaled-target",
        "medium",
        "rms < 10 and standard deviation > 0.02 of the targets of a regression",
        "Initializers give outputs of about unit variance: the scale is theirs.",
        "never: without a regression loss it has no say",
        "Decks A, B, C (zero mean, unit variance)",
        "Standardize the targets, and undo it after `predict`.",
        "mean, std = y.mean(), y.std()\nmodel.fit(x, (y - mean) / std)\nmodel.predict(x) * std + mean",
        unscaled_target,
    ),
]
