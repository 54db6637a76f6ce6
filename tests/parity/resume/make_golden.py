"""Writes the file of a run killed in the middle of an epoch, and the logs and weights of the uninterrupted run.

KERAS_BACKEND=jax PYTHONPATH=.:tests python tests/parity/resume/make_golden.py
"""

import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np

from keras_lecture import data, layers, optimizers
from keras_lecture.callbacks import ExactResume, GradientClipping

HERE = Path(__file__).resolve().parent
EPOCHS, KILL = 4, (1, 4)


def run(folder, *more):
    """The script of the run; returns the final model and the logs of all epochs."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(48, 5)).astype("float32"), rng.normal(size=(48, 1)).astype("float32")
    body = [layers.BatchNormalization(), layers.Dropout(0.3, seed=2), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, activation="tanh"), *body])
    model.compile(optimizers.Nesterov(0.02).bind(model), "mse", metrics=["mae"])
    callbacks = [ExactResume(folder, every=3), GradientClipping(percentile=60.0), *more]
    batches = data.Batches(x, y, 8, seed=3)
    history = model.fit(batches, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=callbacks).history
    return model, history


class Kill(keras.callbacks.Callback):
    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == KILL:
            for name in HERE.glob("run-*.npz"):
                name.unlink()
            shutil.copy(sorted(Path(self.folder).iterdir())[-1], HERE)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        model, history = run(folder, Kill(folder))
    weights = {f"weight {index}": weight for index, weight in enumerate(model.get_weights())}
    np.savez(HERE / "golden.npz", **weights, **{f"logs {name}": np.array(logs) for name, logs in history.items()})
