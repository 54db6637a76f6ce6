"""The loss before the first step against chance."""

from typing import Any

from keras_lecture.diagnosis._rules.harm import layers, start_against_chance, value
from keras_lecture.diagnosis._rules.heads import ENTROPIES, heads
from keras_lecture.diagnosis._rules.labels import contradictions
from keras_lecture.diagnosis._rules.layer_code import layer_code
from keras_lecture.diagnosis._rules.rule import Rule

LIMIT = 3.0


def bad_start(rule: Rule, record: dict[str, Any]):
    """The untrained model is surer, or further off, than a constant prediction."""
    ratio = start_against_chance(record)
    if ratio is None or (record.get("start") or {}).get("error") is None:
        yield rule.unknown(
            "the loss before the first step, or that of a constant prediction, is not known", "a probe batch"
        )
        return
    # A loaded model, or one trained before, starts where it likes.
    drawn = [
        weight for layer in layers(record) for weight in layer.get("weights") or () if weight.get("role") == "kernel"
    ]
    if ratio <= LIMIT or not drawn or not all(weight.get("untouched") is not False for weight in drawn):
        return
    yield rule.found(
        f"Before the first step the loss is {ratio:.3g} times that of the best constant prediction.",
        {"loss / loss of a constant": f"{ratio:.3g} (healthy: below {LIMIT:g})"},
        severity="medium" if ratio > 30 and not _explained(record) else "low",
        confidence=0.7,
        code=_last_layer(record),
    )


def _last_layer(record):
    """Code of the last layer of a model with one output, if it can be written."""
    last = [layer for layer in layers(record) if layer.get("is_output")]
    options = "kernel_initializer=keras.initializers.RandomNormal(stddev=0.01)"
    return layer_code(last[0], options) if len(last) == 1 else None


def _explained(record):
    """Whether the scale of inputs, targets or signals is the cause: then other rules name it."""
    first = (record.get("start") or {}).get("first_inputs") or []
    if any((value(row, "rms") or 1.0) > 5 or (value(row, "offset") or 0.0) > 3 for row in first):
        return True
    for head in heads(record):
        if next(iter(contradictions(head)), None) is not None:
            return True
        smallest, largest = value(head.facts, "smallest"), value(head.facts, "largest")
        if head.family not in ENTROPIES or smallest is None or largest is None:
            return True
    rows = (record.get("probes") or [{}])[0].get("layers") or []
    stds = [std for std in (value(row, "std") for row in rows) if std is not None]
    return bool(stds) and max(stds) > 10


RULES = [
    Rule(
        "bad-start",
        "low",
        "loss before the first step ≤ 3 · loss of the best constant prediction (log K for K classes, Var y)",
        "Both are losses of the same data; for cross entropies the constant is the entropy of the classes.",
        "a loss without a constant prediction, or one that could not be computed",
        "Decks A, C (initialization; the first loss is log K)",
        "Start with a smaller scale of the last kernel, and with a bias of the class frequencies or the mean.",
        "keras.layers.Dense(10, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01))",
        bad_start,
    ),
]
