"""Constructors of the public classes with random arguments: an error that names the argument, or a unit that copies."""

import inspect
import math

import keras
from support.constructions import ARGUMENTS
from support.public import configurable_classes

# Arguments that Keras's base classes check or round themselves, and those that take any object or path.
KERAS_OWN = {"name", "dtype", "seed", "learning_rate", "args", "kwargs", "self", "filepath", "path", "x", "y"}
WORDS = ["", "unknown", "fan_in", "batch", "relu", "normal", "auto", "same", "channels_first", "kernels", "epoch"]
NUMBERS = [0, 1, -1, 2, 3, 0.5, 1e-300, 1e300, -0.0, math.nan, math.inf, -math.inf, 2**63, -(2**31)]
ODD = [None, True, False, [], (), {}, [1], [1, 2], (0.5, -1.0), {"a": 1}, b"same", object(), [None], ["x"], [[1]], len]
CLASSES = configurable_classes()


def case(draw):
    name = str(draw.choice(sorted(CLASSES)))
    cls = CLASSES[name]
    own = [p for p in inspect.signature(cls.__init__).parameters if p not in KERAS_OWN]
    known = ARGUMENTS.get(name, {})
    arguments = dict(known() if callable(known) else known)
    changed = {}
    for argument in draw.permutation(own)[:1] if own else []:
        values = [WORDS, NUMBERS, ODD][draw.integers(3)]
        changed[str(argument)] = values[draw.integers(len(values))]
    if draw.random() < 0.2 and own:
        changed[str(draw.choice(own))] = float(draw.normal() * 10.0 ** draw.uniform(-3, 3))
    return f"{name}({changed})", lambda: check(cls, arguments | changed, changed)


def check(cls, arguments, changed):
    try:
        unit = cls(**arguments)
    except (ValueError, TypeError) as error:
        text = str(error)
        # Keras's own sentence for what becomes an initializer, a regularizer or a constraint.
        own = inspect.signature(cls.__init__).parameters
        named = any(argument in text for argument in own)
        named = named or text.startswith(("Could not interpret ", "Unknown `config`"))
        assert named, f"the error names no argument: {text}"
        return
    # A callback has no config; a function that Keras does not know cannot be saved.
    if not hasattr(unit, "get_config") or len in changed.values():
        return
    config = unit.get_config()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(unit))
    assert type(again) is type(unit)
    assert _plain(again.get_config()) == _plain(config), f"{again.get_config()} in place of {config}"


def _plain(config):
    """The config without the names, which Keras counts on for each new layer inside."""
    return repr({name: value for name, value in config.items() if name != "name"})
