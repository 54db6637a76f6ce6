"""A small model with its data for the tests of the callbacks, and its gradients by `value_and_grad`."""

import keras
import numpy as np
from support.harness import bound, in_one, numpy

from keras_lecture import _backend

rng = np.random.default_rng(0)
X = rng.normal(size=(16, 5)).astype("float32")
Y = rng.normal(size=(16, 2)).astype("float32")
INITIAL = [rng.normal(size=shape).astype("float32") * 0.7 for shape in ((5, 4), (4,), (4, 2), (2,))]
LAYERS = {"hidden": slice(0, 2), "top": slice(2, 4)}


def model(optimizer="sgd", loss="mse", weights=INITIAL, **options):
    built = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(4, activation="tanh", name="hidden"),
            keras.layers.Dense(2, name="top"),
        ]
    )
    built.set_weights(weights)
    built.compile(bound(optimizer, built), loss, **options)
    return built


def fit(model, *callbacks, x=X, y=Y, epochs=1, batch_size=16, **options):
    """The history of unshuffled epochs, by default of one batch each."""
    options = {"verbose": 0, "shuffle": False, **options}
    return model.fit(x, y, batch_size=batch_size, epochs=epochs, callbacks=list(callbacks), **options).history


_twin = model()


@in_one
def _gradients(weights, x, y):
    def loss(weights, x, y):
        outputs, _ = _twin.stateless_call(weights, [], x)
        return keras.ops.mean(keras.ops.square(outputs - y)), ()

    return _backend.value_and_grad(loss)(weights, x, y)[1]


def gradients(weights, x=X, y=Y):
    """The gradients of the mean squared error at `weights`."""
    tensors = [keras.ops.convert_to_tensor(array) for array in (*weights, x, y)]
    return [numpy(g) for g in _gradients(tensors[:4], tensors[4], tensors[5])]


def descent(steps, rate):
    """Weights, gradients and next weights of each step of plain gradient descent."""
    weights = INITIAL
    for _ in range(steps):
        g = gradients(weights)
        following = [w - np.float32(rate) * d for w, d in zip(weights, g, strict=True)]
        yield weights, g, following
        weights = following
