"""A small model with its data for the tests of the callbacks, and its gradients by NumPy."""

import keras
import numpy as np
from support.harness import bound

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


def gradients(weights, x=X, y=Y):
    """The gradients of the mean squared error at `weights`, by the chain rule in NumPy and float64.

    h = tanh(x W₁ + b₁), p = h W₂ + b₂, and δ₂ = 2 (p − y) / n, δ₁ = δ₂ W₂ᵀ (1 − h²) for n numbers in y.
    """
    w1, b1, w2, b2, x, y = (np.asarray(array, "float64") for array in (*weights, x, y))
    h = np.tanh(x @ w1 + b1)
    delta2 = 2 * (h @ w2 + b2 - y) / y.size
    delta1 = delta2 @ w2.T * (1 - h**2)
    return [g.astype("float32") for g in (x.T @ delta1, delta1.sum(0), h.T @ delta2, delta2.sum(0))]


def descent(steps, rate):
    """Weights, gradients and next weights of each step of plain gradient descent."""
    weights = INITIAL
    for _ in range(steps):
        g = gradients(weights)
        following = [w - np.float32(rate) * d for w, d in zip(weights, g, strict=True)]
        yield weights, g, following
        weights = following
