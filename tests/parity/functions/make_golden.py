"""Writes `model.keras` and `expected.json`: a model of all plain functions, and its results.

    KERAS_BACKEND=jax python tests/parity/functions/make_golden.py

Every backend must load the file and compute the same. Run it again only if the meaning of a saved file changes.
"""

import json
from pathlib import Path

import keras
import numpy as np

from keras_lecture import activations, constraints, initializers, losses, regularizers

HERE = Path(__file__).resolve().parent


def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    x = inputs
    for name in ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "softsign"):
        dense = keras.layers.Dense(
            6,
            activation=getattr(activations, name),
            kernel_initializer=initializers.Kaiming(seed=1),
            bias_initializer=initializers.PositiveBias(),
            kernel_constraint=constraints.MaxNorm(2.0),
        )
        x = keras.layers.Concatenate()([x, dense(x)])
    outputs = keras.layers.Dense(3, kernel_initializer=initializers.Xavier(seed=2))(x)
    net = keras.Model(inputs, outputs)
    regularizers.penalize(net, regularizers.L2(0.01))
    # Keras saves the value of "auto" on the writing backend, and on PyTorch JAX's True would mean torch.compile.
    net.compile(keras.optimizers.SGD(0.1), loss=losses.SoftmaxCrossEntropy(label_smoothing=0.1), jit_compile=False)
    return net


def data():
    rng = np.random.default_rng(4)
    return rng.normal(size=(16, 6)).astype("float32"), rng.integers(0, 3, size=16)


def main():
    net, (x, y) = model(), data()
    net.fit(x, y, batch_size=8, epochs=3, verbose=0)
    net.save(HERE / "model.keras")
    versions = {"keras": keras.__version__, "backend": keras.backend.backend()}
    expected = {"versions": versions, "predictions": net.predict(x, verbose=0).tolist()}
    expected["loss"] = net.evaluate(x, y, verbose=0)
    (HERE / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
