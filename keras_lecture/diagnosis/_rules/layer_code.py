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
    code = layer_code(layer, match[1]) if layer and match else None
    return finding if code is None else dataclasses.replace(finding, code=code)


def layer_code(layer: dict[str, Any], options: str) -> str | None:
    """The layer with other options; `None` if its class needs arguments that the record does not have."""
    name, units = layer.get("class"), layer.get("units")
    kernel = next((weight for weight in layer.get("weights") or () if weight.get("role") == "kernel"), {})
    size = tuple(kernel.get("shape") or ())[:-2]
    if layer.get("activation") in _ACTIVATIONS and "activation=" not in options:
        options = f'activation="{layer["activation"]}", {options}'
    if units and name == "Dense":
        return f"keras.layers.Dense({units}, {options})"
    if units and name in _CONVOLUTIONS and size:
        return f"keras.layers.{name}({units}, {size if len(set(size)) > 1 else size[0]}, {options})"
    return None
