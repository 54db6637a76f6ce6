"""Writes `golden.keras` and `golden.npz`: the smallest network of each family in one model, and the predictions.

KERAS_BACKEND=jax python tests/parity/models/make_golden.py

The files in this folder came from keras 3.15.1 and jax 0.10.2. Run it again only after a change of the models
that is meant to change their numbers.
"""

from pathlib import Path

import keras
import numpy as np

from keras_lecture import models

HERE = Path(__file__).resolve().parent
SHAPE, CLASSES = (32, 32, 3), 4


def nets():
    return [
        models.alexnet(SHAPE, CLASSES, width=1 / 48),
        models.all_conv(SHAPE, CLASSES, width=0.05),
        models.densenet(7, SHAPE, CLASSES, growth=4, name="densenet"),
        models.fcn(SHAPE, CLASSES, width=1 / 64),
        models.mlp(SHAPE, CLASSES, units=(6, 5)),
        models.plain(8, SHAPE, CLASSES, width=0.25, name="plain"),
        models.resnet(8, SHAPE, CLASSES, width=0.25, name="resnet"),
        models.vgg(11, SHAPE, CLASSES, width=1 / 64, name="vgg"),
    ]


def build():
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, {net.name: net(inputs) for net in nets()})


def data():
    return np.random.default_rng(0).normal(size=(4, *SHAPE)).astype("float32")


def main():
    keras.utils.set_random_seed(0)
    model = build()
    # So that moving statistics and zero-initialized skip connections differ from their initial values.
    for index, weight in enumerate(model.weights):
        weight.assign(weight + np.random.default_rng(index).uniform(0.0, 0.1, size=weight.shape))
    np.savez_compressed(HERE / "golden.npz", **model.predict(data(), verbose=0))
    model.save(HERE / "golden.keras")


if __name__ == "__main__":
    main()
