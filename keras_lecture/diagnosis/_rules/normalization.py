"""Rules about batch normalization: biases that it removes, batches of one sample, normalized outputs."""

from typing import Any

from keras_lecture.diagnosis._rules import measures
from keras_lecture.diagnosis._rules.harm import consumers, has_kernel, layers
from keras_lecture.diagnosis._rules.layer_code import layer_code
from keras_lecture.diagnosis._rules.rule import Rule

LINEAR = ("linear", None)


def _takes_batch_statistics(layer):
    return bool(layer.get("samples_batch_statistics")) or layer.get("class", "").startswith("BatchNormalization")


def _normalizing(record):
    return [layer for layer in layers(record) if _takes_batch_statistics(layer)]


def redundant_bias(rule: Rule, record: dict[str, Any]):
    """A bias that the batch normalization behind it removes."""
    if not _normalizing(record):
        yield rule.absent(measures.NO_BATCH_STATISTICS)
    graph = consumers(record)
    for layer in layers(record):
        behind = graph.get(layer["name"]) or []
        has_bias = layer.get("use_bias") and has_kernel(layer)
        if not has_bias or layer.get("activation") not in LINEAR or layer.get("is_output") or not behind:
            continue
        if all(_takes_batch_statistics(other) for other in behind):
            yield rule.found(
                f"{behind[0]['name']} subtracts the mean, and with it the bias of {layer['name']}.",
                {"layer behind": f"{behind[0]['class']} (healthy: not a batch normalization)"},
                layer=layer["name"],
                code=layer_code(layer, "use_bias=False"),
            )


def batch_of_one(rule: Rule, record: dict[str, Any]):
    """Batch normalization that sees batches of one sample."""
    fit = record.get("fit") or {}
    size, samples = fit.get("batch_size"), fit.get("samples")
    norms = [layer for layer in _normalizing(record) if layer.get("trainable")]
    if not norms:
        yield rule.absent(measures.NO_BATCH_STATISTICS)
        return
    if size is None:
        return
    flat = [layer for layer in norms if len(layer.get("shape") or ()) == 1]
    evidence = {"samples per batch": f"{size} (healthy: at least 2)"}
    if size == 1:
        cause = f"{(flat or norms)[0]['name']} normalizes batches of one sample"
        cause += ": every output is 0 before its gain and shift." if flat else " by the positions of this sample alone."
        severity = "high" if flat else "medium"
        yield rule.found(cause, evidence, severity=severity, confidence=0.95, layer=(flat or norms)[0]["name"])
    elif flat and samples and samples % size == 1:
        cause = f"The last batch of each epoch has one sample, which {flat[0]['name']} turns into 0."
        evidence = {"samples in the last batch": "1 (healthy: at least 2)"}
        yield rule.found(cause, evidence, severity="low", layer=flat[0]["name"])


def normalized_output(rule: Rule, record: dict[str, Any]):
    """Batch normalization as the last layer: the outputs of a sample depend on the other samples of the batch."""
    if not _normalizing(record):
        yield rule.absent(measures.NO_BATCH_STATISTICS)
    for layer in layers(record):
        if layer.get("is_output") and _takes_batch_statistics(layer):
            yield rule.found(
                f"The output passes {layer['name']}, so that in training it depends on the other samples of the batch.",
                {"last layer": f"{layer['class']} (healthy: no normalization)"},
                layer=layer["name"],
            )


RULES = [
    Rule(
        "redundant-bias",
        "low",
        "no layer with a bias and without an activation feeds only batch normalization",
        "It compares names.",
        "never: layers whose order is not known are passed over",
        "Decks A, B (batch normalization)",
        "Leave the bias out: it has no effect, and no gradient.",
        "keras.layers.Dense(64, use_bias=False)",
        redundant_bias,
    ),
    Rule(
        "batch-norm-batch-of-one",
        "high",
        "at least two samples per batch",
        "It is a number of samples.",
        "never: without a batch size it has no say",
        "Decks A, B (batch normalization)",
        "Use larger batches, or layer normalization.",
        "model.fit(x, y, batch_size=32)\nkeras.layers.LayerNormalization()",
        batch_of_one,
    ),
    Rule(
        "normalized-output",
        "low",
        "the last layer is no batch normalization",
        "It compares names.",
        "never: layers whose order is not known are passed over",
        "Decks A, B (batch normalization)",
        "Move the batch normalization in front of the last layer with weights.",
        "hidden = keras.layers.BatchNormalization()(hidden)\noutputs = keras.layers.Dense(1)(hidden)",
        normalized_output,
    ),
]
