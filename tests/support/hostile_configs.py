"""Hostile configs of registered classes, generated from healthy ones with a seed."""

import contextlib
import copy
import json
import math
import random
import warnings

import keras
from keras.src.saving import object_registration
from keras.src.utils import python_utils
from support.constructions import ARGUMENTS
from support.watched_calls import watched

# Every name, path and piece of code in a hostile config contains this word, by which `watched` recognizes them.
MARK = "hostile_canary"
CODE = f"__import__('{MARK}')"
# Live code: with the safe mode off, Keras would unmarshal it.
LAMBDA = {
    "class_name": "__lambda__",
    "config": {"value": python_utils.func_dump(lambda x: __import__("hostile_canary"))},
}


def _unit(module, name, config, registered=None):
    return {"module": module, "class_name": name, "config": config, "registered_name": registered}


NUMBERS = [-1, 0, 1, 2, -(10**9), 10**6, 10**9, 2**31, 2**63, 10**30, -0.5, 1e-320, 1e30, 1e308]
NUMBERS += [float("nan"), float("inf"), float("-inf"), True, False, None]
WORDS = ["", "auto", f"/etc/{MARK}", f"../../{MARK}", f"/tmp/{MARK}/x.npz", f"file:///tmp/{MARK}", "ä\u0000\ud800"]
WORDS += [
    f"http://127.0.0.1:9/{MARK}",
    f"gs://{MARK}/x",
    f"os.system('touch {MARK}')",
    CODE,
    f"{{{CODE}}}",
    "x" * 10**5,
]
WORDS += [MARK, "__class__", "{0.__init__.__globals__}", "keras.config.enable_unsafe_deserialization", "10**10**10"]
FUNCTIONS = [("os", "system"), ("builtins", "eval"), ("builtins", "exec"), ("keras.utils", "get_file"), (MARK, "f")]
FUNCTIONS += [("keras.saving", "load_model"), ("keras.config", "enable_unsafe_deserialization"), ("subprocess", "run")]
FUNCTIONS += [("keras.models", "load_model"), ("numpy", "load"), ("keras.src.utils.python_utils", "func_load")]
# Keras's own classes that take a path or code: inside of our configs they must be as harmless as outside.
UNITS = [
    LAMBDA,
    _unit("keras.layers", "Lambda", {"name": "f", "function": LAMBDA}),
    _unit("keras.layers", "Lambda", {"name": "f", "function": _unit("os", "function", "system", "system")}),
    _unit("keras.layers", "TFSMLayer", {"name": "s", "filepath": f"/tmp/{MARK}"}),
    _unit("keras.layers", "TorchModuleWrapper", {"name": "t", "module": MARK}),
    _unit("keras.layers", "StringLookup", {"name": "v", "vocabulary": f"/tmp/{MARK}"}),
    _unit("keras.callbacks", "CSVLogger", {"filename": f"/tmp/{MARK}"}),
    _unit(MARK, "Layer", {}),
    _unit(f"keras.{MARK}", "Layer", {}),
    _unit("builtins", "object", {}),
    {"class_name": "__numpy__", "config": {"value": [CODE], "dtype": "object"}},
    {"class_name": "__tensor__", "config": {"value": [[1.0]], "dtype": "float32"}},
    {"class_name": "__bytes__", "config": {"value": CODE}},
    {"class_name": "__slice__", "config": {"start": 0, "stop": 10**12, "step": 1}},
    {"class_name": "__typespec__", "spec_name": "system", "module": "os", "registered_name": None, "config": [CODE]},
]
UNITS += [_unit(module, "function", name, name) for module, name in FUNCTIONS]


def _nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


LISTS = [[], [[]], [0] * 10**5, [10**9] * 5, [1e9, 1e18], [-1, 2], [CODE] * 50, _nested(200), list(range(1000)), [None]]
LISTS += [[[float("nan")] * 4] * 4, {}, {"a": CODE}, {"0": 10**12}, {"__class__": CODE, "__reduce__": [CODE]}]
LARGE = [1000, 10**4, 10**5, 10**6, 10**9, 2**31, 2**63, 10**30]
SHAPE, SHAPE_FOR = [None, 8, 8, 4], {"1D": [None, 17, 4], "3D": [None, 9, 9, 9, 4]}
SHAPES = [[None, 4, 4, 3], [None, 8], [None, 5, 3], [2**40, 3], [], [None, 0], [-1, -5], [None, None, None, None], "x"]


def registered() -> dict:
    """`{"layers.Maxout": class, …}`: the classes that this package registers, by their names in configs."""
    known = object_registration.GLOBAL_CUSTOM_OBJECTS
    found = {name.partition(">")[2]: unit for name, unit in known.items() if name.startswith("keras_lecture>")}
    return {name: unit for name, unit in found.items() if isinstance(unit, type)}


# Of the registered classes that no user constructs, and so `ARGUMENTS` does not have.
_INTERNAL = {
    "layers.PieceInitializer": {"initializer": "zeros", "pieces": 2},
    "layers.Mixture": {"strides": [2, 2]},
    "models.CutTo": {},
    "callbacks.Reduced": {"schedule": keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5), "factor": 0.5},
}


def healthy(name) -> dict:
    """The serialized form of one instance, as `json` reads it from a file."""
    arguments = ARGUMENTS.get(name, _INTERNAL.get(name, {}))
    unit = registered()[name](**(arguments() if callable(arguments) else arguments))
    return json.loads(json.dumps(keras.saving.serialize_keras_object(unit)))


def hostile(name, count, seed=0, others=()):
    """Yields `count` tampered copies of the healthy config; `others` are healthy configs to put inside."""
    base, chance = healthy(name), random.Random(f"{name} {seed}")
    arguments = sorted(base["config"])
    for index in range(count):
        config = copy.deepcopy(base)
        # One argument at first, each in turn, so that no check of another argument hides it.
        for change in range(1 if index < count // 2 else chance.randint(1, 4)):
            key = arguments[index % len(arguments)] if arguments and change == 0 else chance.choice([*arguments, CODE])
            _set(config["config"], key, _value(chance, others), chance)
        if chance.random() < 0.3:
            _tamper(config, chance)
        if chance.random() < 0.3:
            config["build_config"] = {"input_shape": chance.choice([*SHAPES, SHAPE_FOR.get(name[-2:], SHAPE)])}
        yield config


def _value(chance, others):
    kinds = (NUMBERS, NUMBERS, WORDS, UNITS, LISTS, others or UNITS)
    return copy.deepcopy(chance.choice(chance.choice(kinds)))


def _enlarged(value, chance):
    """A value of the same type, so that it passes the checks of types, but far larger."""
    if isinstance(value, bool) or not isinstance(value, int | float | list):
        return chance.choice(LARGE)
    if isinstance(value, list) and len(value) < 100:
        size = chance.choice(LARGE)
        numbers = [part if isinstance(part, list) else _enlarged(part, chance) for part in value]
        return chance.choice([value * 1000, numbers, [size] * len(value)])
    return chance.choice(LARGE) if isinstance(value, list) else type(value)(chance.choice(LARGE))


def _set(config, key, value, chance):
    """Sets an argument, or something inside of one that is itself a serialized object."""
    inner = config.get(key)
    if chance.random() < 0.25 and key in config:
        value = _enlarged(inner, chance)
    if isinstance(inner, dict) and inner.get("config") and isinstance(inner["config"], dict) and chance.random() < 0.5:
        _set(inner["config"], chance.choice(sorted(inner["config"])), value, chance)
    else:
        config[key] = value


def _tamper(config, chance):
    """Another module, class or registered name; or the config is no dict; or a compile config is added."""
    field = chance.choice(["module", "class_name", "registered_name", "config", "compile_config", "shared_object_id"])
    config[field] = chance.choice([MARK, "os", "builtins", "keras.src.utils.python_utils", "keras", None, [], CODE, 7])
    if field == "compile_config":
        config[field] = {"optimizer": LAMBDA, "loss": chance.choice(UNITS)}


@contextlib.contextmanager
def declared_weights_limited(most=10**7):
    """Refuses weights of more than `most` numbers, in the body.

    How many weights a model has is the file's own statement: `Dense(10**9)` of Keras needs as much memory. What our
    classes need besides is under test.
    """
    plain = keras.Layer.add_weight

    def limited(self, shape=None, *args, **kwargs):
        if math.prod(shape or ()) > most:
            raise MemoryError(f"a weight of shape {shape}")
        return plain(self, shape, *args, **kwargs)

    keras.Layer.add_weight = limited
    try:
        yield
    finally:
        keras.Layer.add_weight = plain


@contextlib.contextmanager
def attack(**allowed):
    """Watches the body, which may raise any error, but do nothing that its config names."""
    ignored, failing = warnings.catch_warnings(action="ignore"), contextlib.suppress(Exception)
    with ignored, declared_weights_limited(), watched(mark=MARK, **allowed), failing:
        yield
