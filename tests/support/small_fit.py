"""A small model with its data for the tests of the train step, and a callback that interrupts."""

import keras
import numpy as np
from support.harness import BACKEND

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(32, 4)).astype("float32")
Y = GENERATOR.normal(size=(32, 1)).astype("float32")
# Compiling by XLA takes longer than the tests; TensorFlow does not need it.
COMPILED = {"jit_compile": False} if BACKEND == "tensorflow" else {}


class Break(keras.callbacks.Callback):
    """Interrupts `fit` at the end of the first epoch, like Ctrl-C."""

    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt


class Kill(keras.callbacks.Callback):
    """Interrupts `fit` before a batch of an epoch, like Ctrl-C."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.place = epoch, batch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.place:
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
