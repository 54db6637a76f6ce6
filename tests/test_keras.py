"""`keras_lecture/_keras.py` lists every private name of Keras that the package uses, and Keras has each of them."""

import ast
import importlib
import re

import keras
import numpy as np
import pytest
from support.harness import BACKEND
from support.house import FILES, PACKAGE

from keras_lecture._keras import PRIVATE

LISTED = [(owner, name) for owner, names in PRIVATE.items() for name in names]
# Names of our own that Keras has on objects of other kinds, and those of PyTorch's tensors and modules.
COINCIDENCES = {
    "_apply",
    "_arrays",
    "_initializer",
    "_is_zerotensor",
    "_layers",
    "_losses",
    "_numpy",
    "_parameters",
    "_path",
    "_rank",
    "_values",
    "_variables",
}


def used_in(path):
    """Private attributes, methods and strings of the form `_name` in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Attribute(attr=name) | ast.FunctionDef(name=name) | ast.Constant(value=str(name)):
                if re.fullmatch(r"_[a-z]\w+", name):
                    yield name


USES = {path: set(used_in(path)) for path in FILES if path.name != "_keras.py"}


def files_with(name):
    return [str(path.relative_to(PACKAGE)) for path, names in USES.items() if name in names]


def model():
    built = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    built.compile(keras.optimizers.SGD(0.1, gradient_accumulation_steps=2, use_ema=True), "mse")
    built.fit(np.ones((2, 2)), np.ones((2, 1)), verbose=0)
    return built


def functional():
    inputs = keras.Input((2,))
    return keras.Model(inputs, keras.layers.Dense(1)(inputs))


def epoch_iterator():
    data = {"x": np.ones((2, 2)), "batch_size": 2}
    if BACKEND != "tensorflow":
        return importlib.import_module("keras.src.trainers.epoch_iterator").EpochIterator(**data)
    strategy = importlib.import_module("tensorflow").distribute.get_strategy()
    trainer = importlib.import_module("keras.src.backend.tensorflow.trainer")
    return trainer.TFEpochIterator(**data, distribute_strategy=strategy)


def masked_tensor():
    return keras.layers.Masking()(keras.ops.ones((1, 2, 3)))


OBJECTS = {
    "Model": model,
    "Optimizer": lambda: model().optimizer,
    "Variable": lambda: keras.Variable(1.0),
    "Functional": functional,
    "CompileLoss": lambda: model()._compile_loss,
    "KerasTensor": lambda: keras.layers.Dense(1)(keras.Input((2,))),
    "EpochIterator": epoch_iterator,
    "TFEpochIterator": epoch_iterator,
    "Callback": keras.callbacks.Callback,
    "ModelCheckpoint": lambda: keras.callbacks.ModelCheckpoint("a.keras"),
    "SwapEMAWeights": keras.callbacks.SwapEMAWeights,
    "TensorBoard": lambda: keras.callbacks.TensorBoard(),
    "DataLayer": lambda: keras.layers.RandomFlip(),
    "tensor": masked_tensor,
}
# What only one backend has.
ONLY = {"_jax_state": "jax", "_jax_state_synced": "jax", "TFEpochIterator": "tensorflow"}


HERE = [(owner, name) for owner, name in LISTED if (ONLY.get(name) or ONLY.get(owner) or BACKEND) == BACKEND]


@pytest.mark.parametrize(("owner", "name"), HERE)
def test_keras_has_each_private_name(owner, name):
    assert name in dir(OBJECTS[owner]()), (
        f"Keras {keras.__version__} has no {owner}.{name} on {BACKEND}. Needed for: {PRIVATE[owner][name]}. "
        f"Find its new name in Keras and change {', '.join(files_with(name))}."
    )


@pytest.mark.parametrize(("owner", "name"), LISTED)
def test_a_listed_name_is_used(owner, name):
    assert files_with(name), f"nothing uses {owner}.{name} any more: remove it from _keras.py"


def test_every_private_name_of_keras_is_listed():
    theirs = {name for make in OBJECTS.values() for name in dir(make())}
    listed = {name for _, name in LISTED}
    unlisted = {name: files_with(name) for name in set().union(*USES.values()) & theirs - listed - COINCIDENCES}
    assert not unlisted, f"private names of Keras that _keras.py does not list: {unlisted}"
