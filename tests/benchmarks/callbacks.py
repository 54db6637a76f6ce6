"""A training step through `fit` with and without the callbacks, which take turns, epoch by epoch, in one process.

KERAS_BACKEND=torch python tests/benchmarks/callbacks.py [mlp] [cnn] [mlp-resume] [cnn-resume]
"""

import sys
import tempfile
import time

import keras
import numpy as np
from measure import environment, fits_in_turn

from keras_lecture.callbacks import ExactResume, GradientClipping, GradientMonitor

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


def fits(build, steps, contenders):
    """`{name: fit}`, each with a model and callbacks of its own, on the same data."""
    rng = np.random.default_rng(0)
    found = {}
    for name, callbacks in (PLAIN | contenders).items():
        model, (size, *shape) = build()
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        if not found:
            x = rng.normal(size=(size * steps, *shape)).astype("float32")
            y = rng.integers(0, 10, len(x))
        found[name] = fit(model, x, y, size, callbacks())
    return found


def fit(model, x, y, size, ours):
    def run(epochs, callbacks):
        model.fit(x, y, batch_size=size, epochs=epochs, verbose=0, callbacks=[*callbacks, *ours])

    return run


def main():
    print(environment())
    for name in sys.argv[1:] or CASES:
        steps = CASES[name][1]
        times = {contender: np.array(t) / steps * 1e6 for contender, t in fits_in_turn(fits(*CASES[name])).items()}
        first, again = (times.pop(plain) for plain in PLAIN)
        plain = (first + again) / 2
        print(f"\n| {name}, {len(plain)} rounds | µs a step | of plain fit, and quartiles |\n|---|---|---|")
        print(f"| plain fit | {np.median(first):,.0f} | 1 |")
        for contender, microseconds in {"plain fit again": again, **times}.items():
            ratios = microseconds / (first if contender == "plain fit again" else plain)
            low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
            print(f"| {contender} | {np.median(microseconds):,.0f} | {middle:.3f} ({low:.3f} to {high:.3f}) |")
        if Saving.seconds:
            save = np.median(Saving.seconds)
            print(f"\none save: {save * 1e3:.1f} ms, {save / (np.median(plain) * steps / 1e6):.2%} of an epoch")
            Saving.seconds.clear()


# Model, steps an epoch, contenders. The cases that save have epochs of 60,000 and 4,000 examples.
RESUME = {"resume, each epoch": lambda: [Saving()]}
CASES = {
    "mlp": (mlp, 120, OBSERVERS),
    "cnn": (cnn, 8, OBSERVERS),
    "mlp-resume": (mlp, 469, RESUME),
    "cnn-resume": (cnn, 63, RESUME),
}

if __name__ == "__main__":
    main()
