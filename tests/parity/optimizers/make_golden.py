"""Writes a model trained on one backend with its optimizer's state; on JAX also the losses and weights that follow.

for b in jax tensorflow torch; do
    KERAS_BACKEND=$b PYTHONPATH=.:tests python tests/parity/optimizers/make_golden.py
done
"""

from pathlib import Path

import keras
import numpy as np

from keras_lecture import optimizers

HERE = Path(__file__).resolve().parent


def go_on(model):
    """Trains for two epochs and returns the losses."""
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(24, 3)).astype("float32"), generator.normal(size=(24, 2)).astype("float32")
    return model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"]


def network():
    """A network with the same initial weights on every backend."""
    layers = [keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    generator = np.random.default_rng(1)
    model.set_weights([generator.normal(size=w.shape) for w in model.get_weights()])
    model.compile(optimizers.Adam(0.01, weight_decay=0.1, l1=0.01, global_clipnorm=0.5), "mse", jit_compile=False)
    return model


if __name__ == "__main__":
    trained = network()
    go_on(trained)
    trained.save(HERE / f"{keras.backend.backend()}.keras")
    if keras.backend.backend() == "jax":
        losses = go_on(trained)
        weights = {f"weight {index}": weight for index, weight in enumerate(trained.get_weights())}
        np.savez(HERE / "golden.npz", losses=losses, **weights)
