"""Rules about the structure of the model: weights that cannot learn, and layers in the wrong place."""

from typing import Any

from keras_lecture._core.listing import listed
from keras_lecture.diagnosis._rules import normalization, placement, strength, weight_paths
from keras_lecture.diagnosis._rules.harm import last_probe, layers, percent, steps_of
from keras_lecture.diagnosis._rules.rule import Rule

RANDOM = ("Dropout", "Noise", "DropConnect", "StochasticDepth")


def kernels(layer: dict[str, Any]) -> list[dict[str, Any]]:
    """The kernels of a layer, without those of embeddings."""
    is_embedding = layer.get("class") == "Embedding"
    return [weight for weight in layer.get("weights") or () if weight.get("role") == "kernel" and not is_embedding]


def symmetric_units(rule: Rule, record: dict[str, Any]):
    """Units of hidden layers that start equal, and remain equal: one finding for all of them."""
    probe = last_probe(record)
    rows = {row["layer"]: row for row in (probe or {}).get("layers") or []}
    certain, remaining, start = _stays_symmetric(record), [], []
    for layer in layers(record):
        if layer.get("is_output") or not _has_equal_units(layer):
            continue
        equal = rows.get(layer["name"], {}).get("equal")
        if equal is not None and equal < 0.9:
            # The start was symmetric, and training has broken the symmetry, as in a branch that starts at zero.
            continue
        is_late = equal is not None and probe["step"] >= 2 and any(w.get("trainable") for w in kernels(layer))
        (remaining if is_late or certain else start).append(layer)
    for found, severity, confidence in ((remaining, "high", 0.98), (start, "low", 0.6)):
        if found:
            names = ", ".join(layer["name"] for layer in found[:4]) + (" …" if len(found) > 4 else "")
            steps = probe["step"] if probe else 0
            yield rule.found(
                f"All units of {names} start with equal incoming weights, and learn the same.",
                {"layers with equal units": f"{len(found)} after {steps} steps (healthy: 0)"},
                severity=severity,
                confidence=confidence,
                layer=found[0]["name"],
                steps=steps_of(record),
            )


def _has_equal_units(layer):
    own = kernels(layer)
    is_equal = bool(own) and all(weight.get("equal_units") or weight.get("constant") for weight in own)
    return is_equal and (layer.get("units") or 1) > 1 and "Depthwise" not in layer.get("class", "")


def _stays_symmetric(record):
    """Whether every kernel is constant and nothing random could tell units apart: they are equal for ever."""
    every = [weight for layer in layers(record) for weight in kernels(layer)]
    is_random = any(layer.get("rate") or any(word in layer["class"] for word in RANDOM) for layer in layers(record))
    known = (record.get("model") or {}).get("kind") in ("sequential", "functional")
    dense = all(layer["class"] == "Dense" for layer in layers(record) if kernels(layer))
    return len(every) > 1 and known and dense and not is_random and all(weight.get("constant") for weight in every)


def frozen_layer(rule: Rule, record: dict[str, Any]):
    """Layers whose weights do not train."""
    model = record.get("model") or {}
    frozen = [layer for layer in layers(record) if _learnable(layer) and not layer.get("trainable")]
    if not frozen:
        frozen = [layer for layer in layers(record) if _learnable(layer) and not _trains(layer)]
    if not frozen:
        return
    total = sum(weight["size"] for layer in layers(record) for weight in _learnable(layer))
    share = sum(weight["size"] for layer in frozen for weight in _learnable(layer)) / max(1, total)
    # Frozen weights that look as their initializer drew them have learned nothing before.
    raw = [weight for layer in frozen for weight in kernels(layer)]
    is_raw = bool(raw) and all(weight.get("untouched") is True for weight in raw)
    nothing = model.get("trainable_parameters") == 0
    severity = "high" if nothing else "medium" if is_raw and share > 0.5 else "low"
    names = ", ".join(layer["name"] for layer in frozen[:4]) + (" …" if len(frozen) > 4 else "")
    cause = "No weight of the model is trainable." if nothing else f"The weights of {names} are frozen."
    if is_raw and not nothing:
        cause = f"The weights of {names} are frozen at their random start."
    yield rule.found(
        cause,
        {"frozen parameters": f"{percent(share)} (healthy: 0, unless trained before)"},
        severity=severity,
        confidence=0.95 if severity != "low" else 0.6,
        layer=frozen[0]["name"],
        steps=steps_of(record),
    )


def _learnable(layer):
    return [weight for weight in layer.get("weights") or () if weight.get("role") != "statistic" and weight.get("size")]


def _trains(layer):
    return any(weight.get("trainable") for weight in _learnable(layer))


def unused_weights(rule: Rule, record: dict[str, Any]):
    """Trainable weights that the loss does not depend on."""
    probes = record.get("probes") or []
    paths = set(probes[-1].get("no_gradient") or ()) if probes else set()
    if not paths:
        return
    rows = {row["layer"]: row for row in probes[-1].get("layers") or []}
    # Kernels that start at zero keep the gradient from the layers before them until they have moved.
    zero = any(not weight.get("rms", 1.0) for layer in layers(record) for weight in kernels(layer))
    always = len(probes) > 1 and set.intersection(*(set(probe.get("no_gradient") or ()) for probe in probes[1:]))
    found = []
    for layer in layers(record):
        own = [weight["path"] for weight in kernels(layer) if weight.get("trainable") and weight["path"] in paths]
        if own and not _is_at_rest(rows.get(layer["name"], {})):
            found.append((layer["name"], own[0]))
    is_branch = _is_a_branch(record, paths)
    if not found or (not is_branch and _is_blocked(probes[-1])):
        return
    remains = bool(always) and not zero and any(path in always for _, path in found) and is_branch
    model = record.get("model") or {}
    # The branch of an output without a loss has no gradient on purpose.
    remains = remains and len(model.get("losses") or ()) >= len(model.get("outputs") or ())
    names = listed([path for _, path in found])
    gradients = "its gradient is" if len(found) == 1 else "their gradients are"
    yield rule.found(
        f"No gradient reaches {names} from the loss: {gradients} exactly zero.",
        {"kernels without a gradient": f"{len(found)} (healthy: 0)", "probes": f"{len(probes)}"},
        severity="medium" if remains else "low",
        confidence=0.9 if remains else 0.6,
        layer=found[0][0],
        steps=steps_of(record),
    )


def _is_a_branch(record, paths):
    """Whether a kernel before one without a gradient has one: otherwise the gradient is blocked on the way back."""
    trained = [w["path"] for layer in layers(record) for w in kernels(layer) if w.get("trainable")]
    without = [path in paths for path in trained]
    return any(first < second for first, second in zip(without, without[1:], strict=False))


def _is_blocked(probe):
    """Whether units at rest or saturated ones keep the gradient from the layers before them: rules of their own."""
    rows = probe.get("layers") or []
    return any(_is_at_rest(row) or (row.get("saturated") or 0.0) > 0.9 for row in rows)


def _is_at_rest(row):
    return bool(row.get("dead")) and row["dead"] == row.get("units")


RULES = [
    Rule(
        "symmetric-units",
        "high",
        "no hidden layer has units with equal incoming weights, or their outputs differ after the first steps",
        "It tests equality.",
        "never: equal weights at the start are reported as low until a later probe decides",
        "Decks A, B, C (initialization: zeros fail)",
        "Draw the kernel at random.",
        'keras.layers.Dense(64, kernel_initializer="glorot_uniform")',
        symmetric_units,
    ),
    Rule(
        "frozen-layer",
        "medium",
        "frozen weights were trained before, or are fewer than half of all parameters",
        "It is a share of parameters, and a comparison of weights with their own initializer.",
        "never: a custom initializer leaves the finding low",
        "Deck B (fine-tuning: freeze all but the last layers)",
        "Set `trainable = True` before `compile`, or load trained weights.",
        "for layer in model.layers:\n    layer.trainable = True\n"
        "optimizer = type(model.optimizer).from_config(model.optimizer.get_config())\n"
        "model.compile(optimizer, loss=model.loss)",
        frozen_layer,
    ),
    Rule(
        "unused-weights",
        "medium",
        "the gradient of every trainable kernel is not exactly zero on the probe",
        "It tests for zero.",
        "never: weights of units that are at rest are left to `dead-relu`",
        'Deck A ("the learning goes on only if the gradient is non-zero")',
        "Connect the layer to the output without argmax, round or stop_gradient between them, or remove it.",
        "import keras_lecture\n\n# The gradient ends where it is 0.\n"
        "print(keras_lecture.diagnosis.signals(model, x[:64], y[:64]))",
        unused_weights,
    ),
    *normalization.RULES,
    *placement.RULES,
    *strength.RULES,
    *weight_paths.RULES,
]
