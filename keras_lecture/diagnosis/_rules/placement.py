"""Rules about layers in the wrong place: dropout, linear stacks, bottlenecks."""

from typing import Any

from keras_lecture.diagnosis._rules.harm import consumers, has_kernel, layers, steps_of
from keras_lecture.diagnosis._rules.heads import TRANSPARENT, heads
from keras_lecture.diagnosis._rules.layer_code import layer_code
from keras_lecture.diagnosis._rules.rule import Rule

DROPOUTS = ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout", "GaussianDropout")
STACKABLE = ("Dense", "Conv1D", "Conv2D", "Conv3D", "EinsumDense")


def dropout_after_output(rule: Rule, record: dict[str, Any]):
    """Dropout behind the last layer with weights."""
    by_name = {layer["name"]: layer for layer in layers(record)}
    for layer in layers(record):
        if layer.get("class") not in DROPOUTS or not layer.get("rate"):
            continue
        behind = _behind(layer["name"], consumers(record))
        if not _leads_to_output(layer, behind) or any(other.get("weights") for other in behind):
            continue
        # Dropout between pooling and an output without weights, as in an embedding network, drops features.
        sources = [by_name[name] for name in layer.get("sources") or () if name in by_name]
        if not any(_is_head(source, record) for source in sources):
            continue
        direct = layer.get("is_output")
        yield rule.found(
            f"{layer['name']} drops {'outputs' if direct else 'the scores before the last activation'} of the model.",
            {"rate": f"{layer['rate']:g} (healthy: no dropout behind the last layer with weights)"},
            severity="high" if direct else "medium",
            confidence=0.95 if direct else 0.85,
            layer=layer["name"],
        )


def _behind(name, graph):
    found, waiting = [], list(graph.get(name) or ())
    while waiting:
        layer = waiting.pop()
        if all(layer is not other for other in found):
            found.append(layer)
            waiting.extend(graph.get(layer["name"]) or ())
    return found


def _leads_to_output(layer, behind):
    return layer.get("is_output") or any(other.get("is_output") for other in behind)


def _is_head(layer, record):
    """Whether the layer has the activation of an output, or the loss counts its units as classes."""
    if layer.get("class") in TRANSPARENT or not has_kernel(layer):
        return layer.get("activation") in ("softmax", "sigmoid")
    return any(head.family not in (None, "other") and head.units == layer.get("units") for head in heads(record))


def linear_stack(rule: Rule, record: dict[str, Any]):
    """Layers with kernels without a nonlinearity between them compute no more than one of them."""
    by_name = {layer["name"]: layer for layer in layers(record)}
    graph = consumers(record)
    for layer in layers(record):
        if not _is_linear_map(layer) or len(graph.get(layer["name"]) or ()) != 1:
            continue
        after = _next(layer, graph)
        if after is None or after.get("class") != layer.get("class") or after["name"] not in by_name:
            continue
        # A narrow layer between wide ones is a factorization on purpose.
        before = _size_before(layer, by_name)
        narrow = min(before or layer["units"] or 1, after.get("units") or 1) > (layer.get("units") or 1)
        if narrow or (after.get("class") == "Dense" and len(after.get("sources") or ()) > 1):
            continue
        yield rule.found(
            f"{layer['name']} and {after['name']} follow each other without a nonlinearity: they are one linear map.",
            {"activation between": "linear (healthy: a nonlinearity)"},
            layer=layer["name"],
            confidence=0.8,
            code=layer_code(layer, 'activation="relu"'),
        )


def _is_linear_map(layer):
    return (
        has_kernel(layer)
        and layer.get("class") in STACKABLE
        and layer.get("activation") == "linear"
        and not layer.get("is_output")
    )


def _next(layer, graph):
    """The next layer that is more than dropout or a change of shape."""
    for _ in range(len(graph)):
        behind = graph.get(layer["name"]) or ()
        if len(behind) != 1:
            return None
        layer = behind[0]
        if layer.get("class") not in (*TRANSPARENT, *DROPOUTS):
            return layer
    return None


def _size_before(layer, by_name):
    sizes = [by_name[name].get("units") for name in layer.get("sources") or () if name in by_name]
    return sizes[0] if len(sizes) == 1 else None


def bottleneck(rule: Rule, record: dict[str, Any]):
    """One or two units between wide layers."""
    graph = consumers(record)
    by_name = {layer["name"]: layer for layer in layers(record)}
    dense = [layer for layer in layers(record) if layer.get("class") == "Dense" and not layer.get("is_output")]
    for layer in dense:
        units, after = layer.get("units") or 0, _next(layer, graph)
        before = _size_before(layer, by_name)
        while after is not None and after.get("class") not in STACKABLE:
            after = _next(after, graph)
        if (
            units > 2
            or after is None
            or (after.get("units") or 0) < 4 * units
            or (before is not None and before < 4 * units)
        ):
            continue
        yield rule.found(
            f"All that {after['name']} with {after['units']} units learns passes the {units} units of {layer['name']}.",
            {"units": f"{units} (healthy: more than 2 before {after['units']})"},
            layer=layer["name"],
            confidence=0.6,
            steps=steps_of(record),
        )


RULES = [
    Rule(
        "misplaced-dropout",
        "high",
        "no dropout behind the last layer with weights",
        "It compares names.",
        "never: layers whose order is not known are passed over",
        "Decks B, D, E (dropout)",
        "Move the dropout in front of the last layer with weights.",
        "hidden = keras.layers.Dropout(0.5)(hidden)\n"
        'outputs = keras.layers.Dense(10, activation="softmax")(hidden)  # or the last layer that you have',
        dropout_after_output,
    ),
    Rule(
        "linear-stack",
        "low",
        "a nonlinearity between two dense layers, or two convolutions, unless the first is the narrower one",
        "It compares names.",
        "never: activations that are not known are passed over",
        "Decks A, C, D (activations)",
        "Put a nonlinear activation between the layers.",
        'keras.layers.Dense(64, activation="relu")',
        linear_stack,
    ),
    Rule(
        "bottleneck",
        "low",
        "more than two units in a hidden layer between layers four times as wide",
        "It is a ratio of numbers of units.",
        "never: layers whose order is not known are passed over",
        "Deck A (underfit in the tuning table)",
        "Give the layer at least as many units as the output has classes.",
        'keras.layers.Dense(64, activation="relu")',
        bottleneck,
    ),
]
