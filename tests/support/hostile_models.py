"""Writes `.keras` files whose configuration holds a hostile part, in the place where Keras would read it."""

import copy
import json
import tempfile
import zipfile
from pathlib import Path

import keras
from support.hostile_configs import SHAPE, SHAPE_FOR

# The argument of a dense layer, or the entry of the compile configuration, that takes an object of each kind.
_OF_DENSE = {"initializers": "kernel_initializer", "regularizers": "kernel_regularizer"}
_OF_DENSE["constraints"] = "kernel_constraint"


def healthy_archive() -> dict[str, bytes]:
    """The members of a saved model: one dense layer, compiled."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="dense")])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def model_config(archive, name, part) -> dict:
    """The configuration of the healthy model with `part`, of the class called `name`, where such a class belongs."""
    config = json.loads(archive["config.json"])
    layers, compiled = config["config"]["layers"], config["compile_config"]
    area, kind = name.split(".")
    dense = next(layer for layer in layers if layer["class_name"] == "Dense")
    if kind in ("Bilinear", "Mixture"):
        # They fill the kernel of a transposed convolution.
        convolution = keras.saving.serialize_keras_object(keras.layers.Conv2DTranspose(4, 6, strides=(2, 3)))
        convolution["config"]["kernel_initializer"] = part
        area, part = "layers", convolution
    if kind == "PieceInitializer":
        area = "initializers"
    if area in ("layers", "models"):
        shape = SHAPE_FOR.get(name[-2:], SHAPE)
        layers[0]["config"]["batch_shape"] = shape
        layers[1:] = [part]
        config["build_config"] = {"input_shape": shape}
        config["config"]["build_input_shape"] = shape
    elif area in _OF_DENSE:
        dense["config"][_OF_DENSE[area]] = part
    elif area == "losses":
        compiled["loss"] = part
    elif area == "optimizers" and not kind.startswith(("Cyclical", "Exponential", "InverseTime", "Warm")):
        compiled["optimizer"] = part
    elif area == "optimizers" or kind == "Reduced":
        compiled["optimizer"]["config"]["learning_rate"] = part
    else:
        # Callbacks are in no model: as the whole file, and as a part of one.
        config = part
    return config


def write(path, archive, config):
    """Writes the file; `json` writes NaN, as Keras reads it."""
    members = {**archive, "config.json": json.dumps(copy.deepcopy(config)).encode("utf-8", "surrogatepass")}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
