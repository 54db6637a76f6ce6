"""Writes a run of a small model, with which every backend must agree.

KERAS_BACKEND=jax PYTHONPATH=tests python tests/parity/divergence/make_golden.py
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers

from keras_lecture.diagnosis import divergence

FILE = Path(__file__).with_name("golden.npz")


def network(epsilon=1e-3):
    """Convolution, batch normalization, dropout, a recurrent layer, and Adam."""
    middle = [layers.BatchNormalization(epsilon=epsilon, name="norm"), layers.ReLU(), layers.Dropout(0.5)]
    series = [layers.Reshape((4, 8)), layers.GRU(4, name="gru")]
    first = layers.Conv2D(2, 3, name="conv")
    model = keras.Sequential([keras.Input((6, 6, 2)), first, *middle, *series, layers.Dense(3, name="top")])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(4, 6, 6, 2))
    divergence.record(network(), x, np.arange(4) % 3, FILE)
