"""A small model with its data for the tests of the training step, and a Ctrl-C."""

import keras
import numpy as np
from support.harness import BACKEND

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(32, 4)).astype("float32")
Y = GENERATOR.normal(size=(32, 1)).astype("float32")
# XLA, where it is not the only compiler, takes longer than the tests.
COMPILED = {"jit_compile": False} if BACKEND == "tensorflow" else {}


class Break(keras.callbacks.Callback):
    """Ctrl-C in the first epoch."""

    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt


def built():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, activation="tanh", name="base"), keras.layers.Dense(1, name="head")]
    )
    generator = np.random.default_rng(1)
    model.set_weights([generator.normal(size=w.shape) for w in model.get_weights()])
    return model


def fit(model, watching=(), epochs=2, **options):
    return model.fit(
        X, Y, batch_size=16, epochs=epochs, shuffle=False, verbose=0, callbacks=[*watching], **options
    ).history


# The phases of a notebook: what is changed before a `fit`. A search has no rate; Lookahead no clipping of its own.
