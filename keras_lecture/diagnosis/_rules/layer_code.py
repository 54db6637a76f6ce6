"""Keras code of a layer in a record, for the cures."""

import dataclasses
import re
from typing import Any

from keras_lecture.diagnosis._record.record import Record
from keras_lecture.diagnosis._rules.measures import layers_by_name
from keras_lecture.diagnosis._rules.rule import Finding

_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D")
_ACTIVATIONS = ("elu", "gelu", "leaky_relu", "relu", "selu", "sigmoid", "silu", "softmax", "softplus", "tanh")
# The layer in the code of a rule that stands for any layer.
_ANY_LAYER = re.compile(r"keras\.layers\.Dense\(64, ([^()]*)\)")


def adapted(finding: Finding, record: Record) -> Finding:
    """The finding with code for its own layer, in place of a dense layer of 64 units."""
    layer, match = layers_by_name(record).get(finding.layer or ""), _ANY_LAYER.fullmatch(finding.code)
    code = layer_code(layer, match[1], _entering(layer, record)) if layer and match else None
    return finding if code is None else dataclasses.replace(finding, code=code)


def _entering(layer, record):
    """The shape of what enters a layer, or `None` if it is not known."""
    sources, inputs = layer.get("sources") or [], (record.get("data") or {}).get("inputs") or []
    if sources == [""]:
        return inputs[0].get("shape") if len(inputs) == 1 else None
    return (layers_by_name(record).get(sources[0]) or {}).get("shape") if len(sources) == 1 else None


def own_name(name: str | None) -> str:
    """The argument for a name that Keras has not chosen: losses and other code may refer to it."""
    return "" if not name or re.fullmatch(r"(dense|conv[123]d)(_\d+)?", name) else f', name="{name}"'


def with_weaker_penalty(layer: dict[str, Any]) -> str | None:
    """The layer with a hundredth of its first penalty; `None` if the penalty or the layer is not Keras's."""
    penalty = layer["penalties"][0]
    if penalty["class"] not in ("L1", "L2", "L1L2") or not penalty["factors"]:
        return None
    factors = ", ".join(f"{name}={value / 100:.3g}" for name, value in penalty["factors"].items())
    return layer_code(layer, f"{penalty['on']}_regularizer=keras.regularizers.{penalty['class']}({factors})")


def layer_code(layer: dict[str, Any], options: str, entering: list[int | None] | None = None) -> str | None:
    """The layer with other options; `None` if its class needs arguments that the record does not have."""
    name, units = layer.get("class"), layer.get("units")
    kernel = next((weight for weight in layer.get("weights") or () if weight.get("role") == "kernel"), {})
    size = tuple(kernel.get("shape") or ())[:-2]
    if layer.get("activation") in _ACTIVATIONS and "activation=" not in options:
        options = f'activation="{layer["activation"]}", {options}'
    options += own_name(layer.get("name"))
    if units and name == "Dense":
        return f"keras.layers.Dense({units}, {options})"
    if units and name in _CONVOLUTIONS and size:
        if max(size) > 1 and entering and entering[:-1] == (layer.get("shape") or [])[:-1]:
            options = f'padding="same", {options}'
        return f"keras.layers.{name}({units}, {size if len(set(size)) > 1 else size[0]}, {options})"
    return None
