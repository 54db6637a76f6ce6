"""The model, the data and the output format of the scripts for distributed training."""

import json
import sys
import warnings

import keras
import numpy as np

from keras_lecture import optimizers

RULES = ("SGD", "Momentum", "Nesterov", "AdaGrad", "RMSProp", "Adam", "RectifiedAdam")
# A look-ahead, a slot that does not start at 0, two slots: these stand for all rules where models are compiled.
COMPILED = ("Nesterov", "AdaGrad", "Adam")
SETTINGS = {"weight_decay": 0.1, "l1": 1e-3, "global_clipnorm": 10.0}
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(16, 4)).astype("float32")
Y = GENERATOR.normal(size=(16, 2)).astype("float32")


def network():
    """A small network whose kernel and bias can be split over two devices."""
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(6, "tanh"), keras.layers.Dense(2)])


def train(optimizer, epochs=4, **settings):
    model = network()
    if hasattr(optimizer, "bind"):
        optimizer.bind(model)
    model.compile(optimizer, "mse", **settings)
    model.fit(X, Y, batch_size=8, epochs=epochs, shuffle=False, verbose=0)
    return model


def save_deep(path):
    """Saves a model of 17 equal layers whose optimizer has a different number in each element of its state."""
    model = keras.Sequential([keras.Input((4,)), *(keras.layers.Dense(4) for _ in range(17))])
    model.compile(optimizers.Adam(0.05), "mse")
    model.optimizer.build(model.trainable_variables)
    for number, slot in enumerate(model.optimizer.variables[2:]):
        slot.assign(np.arange(np.prod(slot.shape), dtype="float32").reshape(slot.shape) + 100 * number)
    model.optimizer.iterations.assign(7)
    model.save(path)


def loaded_state(path):
    """The optimizer's state of a saved model; a state that does not fit is an error here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        variables = keras.models.load_model(path).optimizer.variables
    return [keras.ops.convert_to_numpy(v).astype("float64").ravel().tolist() for v in variables]


def weights(model):
    return [keras.ops.convert_to_numpy(v).astype("float64").tolist() for v in model.trainable_variables]


def answer(results):
    json.dump(results, sys.stdout)
