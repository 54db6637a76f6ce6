"""A pure step set as a model's `train_step`, compared with Keras's own step on the same data."""

import keras
import numpy as np
import pytest
from support.harness import BACKEND, numpy

from keras_lecture import _backend

X = np.random.default_rng(1).normal(size=(12, 6)).astype("float32")
Y = np.random.default_rng(2).integers(0, 3, size=(12,))


def model(jit_compile):
    keras.utils.set_random_seed(3)
    net = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(5, activation="tanh"),
            # Without a seed, Keras 3.15 on PyTorch draws from PyTorch's global generator, not from the layer's state.
            keras.layers.Dropout(0.3, seed=4),
            keras.layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.SGD(0.1), loss=loss, jit_compile=jit_compile)
    return net


def descent(net):
    """Plain gradient descent as a pure step, on `stateless_call`."""

    def step(state, batch):
        trainable, non_trainable, optimizer, metrics = state
        x, y = batch[0], batch[1]

        def loss(weights):
            y_pred, updated = net.stateless_call(weights, non_trainable, x, training=True)
            return net.loss(y, y_pred), updated

        (value, updated), gradients = _backend.value_and_grad(loss)(trainable)
        weights = [w - 0.1 * g for w, g in zip(trainable, gradients, strict=True)]
        return {"loss": value}, (weights, updated, optimizer, metrics)

    return step


# torch.compile needs a C++ toolchain at run time; Keras's own default on PyTorch is eager.
@pytest.mark.parametrize("jit_compile", [True, False] if BACKEND != "torch" else [False])
def test_a_pure_step_trains_like_keras(jit_compile):
    """The same weights as keras.optimizers.SGD after six steps with dropout: the seed advances once per step."""
    reference, ours = model(jit_compile), model(jit_compile)
    ours.train_step = _backend.train_step(ours, descent(ours))
    for net in (reference, ours):
        history = net.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        assert np.isfinite(history.history["loss"]).all()
    for a, b in zip(reference.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    seeds = [[numpy(v) for v in net.non_trainable_variables] for net in (reference, ours)]
    np.testing.assert_array_equal(*seeds)
