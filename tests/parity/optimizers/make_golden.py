"""Writes a model whose slots lie end to end, and how training goes on from it with separate slots.

KERAS_BACKEND=jax PYTHONPATH=.:tests python tests/parity/optimizers/make_golden.py
"""

from pathlib import Path

import keras
import numpy as np

from keras_lecture import optimizers
from keras_lecture.optimizers import flat_slots

HERE = Path(__file__).resolve().parent


def go_on(model):
    """The losses of three epochs."""
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(24, 3)).astype("float32"), generator.normal(size=(24, 2)).astype("float32")
    return model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0).history["loss"]


def network():
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(units, activation="tanh") for units in [4, 2] * 8]
    model = keras.Sequential([keras.Input((3,)), *hidden, keras.layers.Dense(2)])
    model.compile(optimizers.Adam(0.01, weight_decay=0.1, l1=0.01, global_clipnorm=0.5), "mse")
    return model


if __name__ == "__main__":
    together = network()
    go_on(together)
    assert together.optimizer.flat_slots
    together.save(HERE / "golden.keras")
    flat_slots.FEWEST = 100
    apart = network()
    go_on(apart)
    assert not apart.optimizer.flat_slots
    losses = go_on(apart)
    weights = {f"weight {index}": weight for index, weight in enumerate(apart.get_weights())}
    np.savez(HERE / "golden.npz", losses=losses, **weights)
