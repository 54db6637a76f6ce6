"""Keras code of a layer in a record, for the cures."""

from typing import Any

_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D")


def layer_code(layer: dict[str, Any], options: str) -> str | None:
    """The layer with other options; `None` if its class needs arguments that the record does not have."""
    name, units = layer.get("class"), layer.get("units")
    kernel = next((weight for weight in layer.get("weights") or () if weight.get("role") == "kernel"), {})
    size = tuple(kernel.get("shape") or ())[:-2]
    if units and name == "Dense":
        return f"keras.layers.Dense({units}, {options})"
    if units and name in _CONVOLUTIONS and size:
        return f"keras.layers.{name}({units}, {size if len(set(size)) > 1 else size[0]}, {options})"
    return None
