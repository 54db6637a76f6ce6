"""The settings of an optimizer as a flat table."""

from typing import Any

import keras

# Chosen by the process, or the same class by another path.
_NAMES = ("name", "registered_name", "module")


def settings(model: keras.Model) -> dict[str, Any]:
    """`{"learning_rate": 0.001, "optimizer/config/beta_1": 0.9, …}`: numbers, texts and `None`."""
    if not model.compiled or model.optimizer is None:
        return {}
    return dict(_leaves(keras.optimizers.serialize(model.optimizer)["config"]))


def _leaves(config, prefix=""):
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}/")
        elif key not in _NAMES and (value is None or isinstance(value, bool | int | float | str)):
            yield f"{prefix}{key}", value
