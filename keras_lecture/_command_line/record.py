"""The record of a run as plain JSON: everything needed to understand, repeat and plot it."""

import json
import math
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import keras
import numpy as np

import keras_lecture

# The names under which each framework is distributed.
_DISTRIBUTIONS = {"tensorflow": ("tensorflow", "tensorflow-cpu"), "torch": ("torch",), "jax": ("jax",)}


def record_of(arguments, **measured) -> dict:
    """The record of a command: arguments, backend, versions, machine and measurements."""
    options = {name: value for name, value in vars(arguments).items() if name not in ("command", "json")}
    return plain(
        {
            "command": arguments.command,
            "arguments": options,
            "backend": keras.backend.backend(),
            "versions": _versions(),
            "machine": platform.machine(),
            **measured,
        }
    )


def plain(value):
    """Converts `value` to JSON types: NumPy numbers to Python numbers, and non-finite numbers to `None`."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(one) for one in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def text_of(record: dict) -> str:
    """The record as ASCII text, which every terminal and file can hold, even if a path is not valid Unicode."""
    return json.dumps(record, indent=2, allow_nan=False)


def _versions():
    found = {
        "python": platform.python_version(),
        "keras_lecture": keras_lecture.__version__,
        "keras": keras.__version__,
    }
    for name in ("numpy", *_DISTRIBUTIONS.get(keras.backend.backend(), ())):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
