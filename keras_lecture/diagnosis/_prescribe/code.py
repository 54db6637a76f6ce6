"""Keras code of an object, from its config, without the arguments that have their defaults."""

import inspect
import json
from typing import Any

import keras
import numpy as np

_HOMES = (
    (keras.optimizers.schedules.LearningRateSchedule, "optimizers.schedules"),
    (keras.layers.Layer, "layers"),
    (keras.initializers.Initializer, "initializers"),
    (keras.regularizers.Regularizer, "regularizers"),
    (keras.constraints.Constraint, "constraints"),
    (keras.optimizers.Optimizer, "optimizers"),
    (keras.losses.Loss, "losses"),
    (keras.metrics.Metric, "metrics"),
)
# Arguments of every layer, which the signature of a layer hides in `**kwargs`.
_COMMON = ("name", "trainable", "dtype", "activity_regularizer")


def code(value: Any) -> str:
    """Python code of a value; a function of the user stands there by its name."""
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | np.integer):
        return repr(int(value))
    if isinstance(value, float | np.floating):
        return _number(float(value))
    if isinstance(value, np.ndarray):
        return code(value.tolist())
    if isinstance(value, list):
        return f"[{', '.join(map(code, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(code, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, keras.DTypePolicy):
        return code(value.name)
    if isinstance(value, dict):
        return _entries(value)
    if hasattr(value, "get_config"):
        return call(value)
    return getattr(value, "__name__", type(value).__name__).replace("<lambda>", "your_function")


def _entries(value):
    if {"class_name", "config"} <= set(value):
        if value["class_name"] == "__lambda__":
            return "your_function"
        if value["class_name"] == "function":
            return str(value["config"])
        return code(keras.saving.deserialize_keras_object(value))
    return "{" + ", ".join(f"{code(key)}: {code(entry)}" for key, entry in value.items()) + "}"


def _number(value):
    """The short form of a number that float32 has made long: `0.001`, not `0.0010000000474974513`."""
    short = float(f"{value:.6g}")
    if np.isfinite(value) and np.float32(short) == np.float32(value):
        return repr(short)
    return repr(value) if np.isfinite(value) else f'float("{value}")'


def path(kind: type) -> str:
    """The public path of a class of Keras or of this library; the bare name of any other class."""
    name = kind.__name__
    if kind.__module__.startswith("keras_lecture."):
        return f"keras_lecture.{kind.__module__.split('.')[1]}.{name}"
    home = next((home for base, home in _HOMES if issubclass(kind, base)), None)
    if kind.__module__.startswith("keras.") and home is not None:
        return f"keras.{home}.{name}"
    return name


def call(thing: Any, kept: tuple[str, ...] = ()) -> str:
    """The constructor of an object, as `keras.layers.Dense(32, activation="relu", name="dense")`."""
    config, given = thing.get_config(), []
    parameters = _parameters(type(thing))
    for name, default in parameters.items():
        if name in config and (name in kept or not _is_default(thing, config, name)):
            # The first arguments without a default go without their names.
            is_first = default is inspect.Parameter.empty and len(given) == list(parameters).index(name)
            value = getattr(thing, name) if name == "function" else config[name]
            given.append(code(value) if is_first else f"{name}={code(value)}")
    return f"{path(type(thing))}({', '.join(given)})"


def _parameters(kind):
    signature = inspect.signature(kind.__init__).parameters
    found = {name: each.default for name, each in list(signature.items())[1:] if each.kind not in (2, 4)}
    if any(each.kind == inspect.Parameter.VAR_KEYWORD for each in signature.values()):
        found |= {name: None for name in _COMMON if name not in found}
    if issubclass(kind, keras.layers.Layer):
        found["name"] = found.pop("name", None)
    elif issubclass(kind, keras.optimizers.Optimizer):
        # Keras numbers the optimizers of a process.
        found.pop("name", None)
    return found


def _is_default(thing, config, name):
    """Whether the object has the same config without this argument."""
    if isinstance(thing, keras.layers.Lambda):
        return keras.layers.Lambda(keras.ops.abs).get_config().get(name) == config[name]
    try:
        again = type(thing).from_config({key: value for key, value in config.items() if key != name})
        return again.get_config()[name] == config[name]
    except Exception:
        return False
