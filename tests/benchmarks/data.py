"""An epoch of `fit` on arrays and on batches made of them, which take turns in one process.

KERAS_BACKEND=torch python tests/benchmarks/data.py
"""

import statistics
import time

import keras
import numpy as np
from measure import environment

from keras_lecture import data

SECONDS = 15.0
BATCH = 128
SHAPES = {"digits": (1797, 8, 8, 1), "MNIST": (60000, 28, 28, 1)}
CONTENDERS = {
    "fit on arrays": lambda x, y: {"x": x, "y": y, "batch_size": BATCH},
    "fit on arrays again": lambda x, y: {"x": x, "y": y, "batch_size": BATCH},
    "Batches": lambda x, y: {"x": data.Batches(x, y, BATCH, seed=0)},
    "BalancedBatches": lambda x, y: {"x": data.BalancedBatches(x, y, BATCH, seed=0)},
    "CyclicBatches": lambda x, y: {"x": data.CyclicBatches(x, y, BATCH), "shuffle": False},
}


class OneBatch(keras.utils.PyDataset):
    """The same batch again and again: what remains is Keras's own way with a PyDataset."""

    def __init__(self, x, y):
        super().__init__()
        self.batch, self.length = (x[:BATCH], y[:BATCH]), -(-len(x) // BATCH)

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return self.batch


CONTENDERS["the same batch"] = lambda x, y: {"x": OneBatch(x, y)}


class Clock(keras.callbacks.Callback):
    """The seconds per step of each epoch."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.steps.append((time.perf_counter() - self.start) / self.params["steps"])


def main():
    print(environment())
    print(f"microseconds per step of {BATCH}, median over epochs; the smallest model, which shows the data most")
    print(f"{'':8}" + "".join(f"{name:>22}" for name in CONTENDERS))
    for title, shape in SHAPES.items():
        rng = np.random.default_rng(0)
        x, y = rng.random(shape, "float32"), np.arange(shape[0]) % 10
        found = {}
        for name, arguments in CONTENDERS.items():
            layers = [keras.layers.Flatten(), keras.layers.Dense(10)]
            model = keras.Sequential([keras.Input(shape[1:]), *layers])
            model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
            found[name] = (model, arguments(x, y), [])
        deadline = time.perf_counter() + SECONDS
        while time.perf_counter() < deadline:
            for model, arguments, times in found.values():
                clock = Clock()
                model.fit(**arguments, epochs=3, verbose=0, callbacks=[clock])
                times += clock.steps[1:]
        print(f"{title:8}" + "".join(f"{statistics.median(times) * 1e6:>22.0f}" for _, _, times in found.values()))


if __name__ == "__main__":
    main()
