"""Layers in `keras.RematScope`, which computes a call again for its gradient, outside of Keras's call context.

Oracle: the same layers without it, to 1e-5. In Keras 3.15 the scope works eagerly alone on TensorFlow, and on JAX not
for layers that ask whether they train (Keras's batch normalization and dropout raise, too); others are compared there.
"""

import contextlib

import keras
import numpy as np
import pytest
from support.harness import BACKEND, numpy

from keras_lecture import layers, losses

X = np.random.default_rng(0).normal(size=(6, 8, 8, 3)).astype("float32")
Y = np.array([0, 1, 2, 0, 1, 2])
TRAINING = {
    "residual block, layer": lambda: layers.ResidualBlock(4, normalization="layer"),
    "residual block": lambda: layers.ResidualBlock(4, activation="tanh"),
    "dense block": lambda: layers.DenseBlock(2, layers=2),
    "transition": lambda: layers.TransitionBlock(),
    "pyramid": lambda: layers.AtrousSpatialPyramidPooling(4, rates=[1, 2]),
    "weight normalization": lambda: layers.WeightNormalization(keras.layers.Conv2D(4, 2)),
    "batch normalization": lambda: layers.BatchNormalization(),
    "dropped branches": lambda: layers.ResidualBlock(4, normalization="layer", drop_path=0.5),
    "dropout": lambda: layers.Dropout(0.5),
    "stochastic depth": lambda: layers.StochasticDepth(0.5),
    "dropped connections": lambda: layers.DropConnect(keras.layers.Conv2D(4, 2), rate=0.5),
}
OTHERS = {
    "weights alone": lambda: layers.WeightNormalization(keras.layers.Conv2D(4, 2), data_init=False),
    "group normalization": lambda: layers.GroupNormalization(1),
    "maxout": lambda: layers.MaxoutConv2D(4, 2, pieces=2),
    "leak": lambda: layers.PReLU(),
}


def weights(layer, mode):
    """The weights after a step of gradient descent with rate 1: their changes are gradients."""
    keras.utils.set_random_seed(0)
    with keras.RematScope(mode=mode) if mode else contextlib.nullcontext():
        between = keras.layers.Conv2D(3, 1), layer(), keras.layers.Flatten(), keras.layers.Dense(3)
    model = keras.Sequential([keras.Input(X.shape[1:]), *between])
    model.compile(keras.optimizers.SGD(1.0), losses.SoftmaxCrossEntropy(), run_eagerly=BACKEND == "tensorflow")
    model.train_on_batch(X, Y)
    return [numpy(variable) for variable in model.trainable_variables]


@pytest.mark.parametrize("kind", [*OTHERS] if BACKEND == "jax" else [*TRAINING, *OTHERS])
def test_gradients_are_those_without_rematerialization(kind):
    """Blocks were computed again as for a prediction, and layers that draw numbers drew others.

    The first batch of `WeightNormalization` raised an error on PyTorch.
    """
    layer = (TRAINING | OTHERS)[kind]
    for expected, found in zip(weights(layer, None), weights(layer, "full"), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
