"""A training step through `fit` with and without the callbacks, which take turns in one process.

KERAS_BACKEND=torch python tests/benchmarks/callbacks.py [mlp] [cnn] [mlp-resume] [cnn-resume]
"""

import itertools
import statistics
import sys
import tempfile
import time

import keras
import numpy as np
from measure import environment

from keras_lecture.callbacks import ExactResume, GradientClipping, GradientMonitor

SECONDS = 60.0
PLAIN = {"plain fit": lambda: [], "plain fit again": lambda: []}
OBSERVERS = {
    "monitor": lambda: [GradientMonitor()],
    "monitor, every=10": lambda: [GradientMonitor(every=10)],
    "monitor, per layer": lambda: [GradientMonitor(per_layer=True)],
    "clipping, global_norm": lambda: [GradientClipping(global_norm=1.0)],
}


def mlp():
    dense = [keras.layers.Dense(512, activation="relu") for _ in range(2)]
    return keras.Sequential([keras.Input((784,)), *dense, keras.layers.Dense(10)]), (128, 784)


def cnn():
    convolution = {"kernel_size": 3, "padding": "same", "activation": "relu"}
    body = [
        keras.layers.Conv2D(32, **convolution),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(64, **convolution),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dense(10),
    ]
    return keras.Sequential([keras.Input((32, 32, 3)), *body]), (64, 32, 32, 3)


class Clock(keras.callbacks.Callback):
    """The seconds from the beginning of each epoch to the next: what other callbacks do at its end is among them."""

    def __init__(self):
        super().__init__()
        self.moments = []

    def on_epoch_begin(self, epoch, logs=None):
        self.moments.append(time.perf_counter())

    def on_train_end(self, logs=None):
        self.moments.append(time.perf_counter())

    @property
    def epochs(self):
        return [after - before for before, after in itertools.pairwise(self.moments)]


class Saving(ExactResume):
    """One run in a folder of its own; `seconds` are those of all saves."""

    seconds = []

    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory()
        super().__init__(self.temporary.name)

    def on_epoch_end(self, epoch, logs=None):
        start = time.perf_counter()
        super().on_epoch_end(epoch, logs)
        self.seconds.append(time.perf_counter() - start)


def measure(build, steps, epochs, contenders):
    """Microseconds per step of each contender in each round; the first epoch of a `fit`, which compiles, is left out.

    Each round begins with another contender: who comes first may find a machine that has rested, or one that has not.
    """
    found = {}
    for name, callbacks in (PLAIN | contenders).items():
        model, shape = build()
        model.compile(keras.optimizers.Adam(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        found[name] = (model, callbacks, [])
    rng = np.random.default_rng(0)
    x = rng.normal(size=(shape[0] * steps, *shape[1:])).astype("float32")
    y = rng.integers(0, 10, len(x))
    deadline = time.perf_counter() + SECONDS
    order = list(found)
    while len(found[order[-1]][2]) < 3 or time.perf_counter() < deadline:
        for name in order:
            model, callbacks, times = found[name]
            clock = Clock()
            model.fit(x, y, batch_size=shape[0], epochs=1 + epochs, verbose=0, callbacks=[clock, *callbacks()])
            times.append(statistics.median(clock.epochs[1:]) / steps * 1e6)
        order = [*order[1:], order[0]]
    return {name: times for name, (_, _, times) in found.items()}


def main():
    print(environment())
    for name in sys.argv[1:] or CASES:
        times = measure(*CASES[name])
        first, again = (times[plain] for plain in PLAIN)
        print(f"\n| {name}, {len(first)} rounds | µs a step | of plain fit, and quartiles |\n|---|---|---|")
        for contender, microseconds in times.items():
            plain = (
                first if contender == "plain fit again" else [(a + b) / 2 for a, b in zip(first, again, strict=True)]
            )
            low, middle, high = statistics.quantiles((t / p for t, p in zip(microseconds, plain, strict=True)), n=4)
            print(f"| {contender} | {statistics.median(microseconds):,.0f} | {middle:.3f} ({low:.3f} to {high:.3f}) |")
        if Saving.seconds:
            print(f"\none save: {statistics.median(Saving.seconds) * 1e3:.1f} ms")
            Saving.seconds.clear()


# Model, steps of an epoch, epochs that are timed at a time, contenders. Those that save have epochs of 60,000 and of
# 4,000 examples.
RESUME = {"resume, each epoch": lambda: [Saving()]}
CASES = {
    "mlp": (mlp, 40, 4, OBSERVERS),
    "cnn": (cnn, 8, 2, OBSERVERS),
    "mlp-resume": (mlp, 469, 1, RESUME),
    "cnn-resume": (cnn, 63, 1, RESUME),
}

if __name__ == "__main__":
    main()
