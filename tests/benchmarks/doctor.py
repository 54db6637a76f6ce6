"""Epochs of `fit` with and without the doctor, which take turns in one process: what its looks cost.

KERAS_BACKEND=torch python tests/benchmarks/doctor.py [epochs]
KERAS_BACKEND=torch python tests/benchmarks/doctor.py memory
KERAS_BACKEND=torch python tests/benchmarks/doctor.py invariants [epochs]

A small CNN, 20 steps of 64 images an epoch. Sums, not medians: the doctor works in few epochs. The first epoch is left
out: in it the frameworks compile. `memory` prints the peaks of whole fits, the smallest of three, and of one training
step (Linux). `invariants` prints the time that the checks of the invariants took in one fit, the first epoch included:
the clock runs while they copy and compare weights, which is also what the sizes of steps are measured by.
"""

import ctypes
import resource
import sys
import time

import keras
import numpy as np
from measure import environment, fits_in_turn
from memory import M_MMAP_THRESHOLD, peak

if keras.backend.backend() == "jax":
    import jax

from keras_lecture.callbacks import Doctor
from keras_lecture.callbacks._doctor.invariants import Invariants
from keras_lecture.callbacks._doctor.order import Order

STEPS, SIZE = 20, 64


def cnn():
    convolution = {"kernel_size": 3, "padding": "same", "activation": "relu"}
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(32, **convolution),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(64, **convolution),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )


def contender(callbacks, x, y):
    model = cnn()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def fit(epochs, callbacks):
        model.fit(x, y, batch_size=SIZE, epochs=epochs, verbose=0, callbacks=[*callbacks, *ours])

    ours = callbacks
    return fit


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS * SIZE, 32, 32, 3)).astype("float32")
    return x, rng.integers(0, 10, len(x))


def memory():
    """Prints the peak of `fit` with and without the doctor, each a new fit of the same model with a new doctor."""
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**16)
    x, y = data()
    plain = contender([], x, y)
    peaks = {
        "one training step": peak(lambda: contender([], x[:SIZE], y[:SIZE])(1, [])),
        "plain fit": peak(lambda: plain(2, [])),
        "plain fit again": peak(lambda: plain(2, [])),
        "Doctor()": peak(lambda: plain(2, [Doctor(verbose=0)])),
    }
    print(environment())
    print("\n| | peak above the start, MB |\n|---|---|")
    for name, value in peaks.items():
        print(f"| {name} | {value:.1f} |")


class Clock:
    """The seconds spent in methods, those that they call of each other counted once."""

    def __init__(self):
        self.seconds, self._depth = 0.0, 0

    def around(self, owner, name):
        plain = getattr(owner, name)

        def timed(*args, **options):
            if keras.backend.backend() == "jax":
                # A step begun before still runs; its time is not theirs.
                jax.block_until_ready(jax.live_arrays())
            self._depth += 1
            start = time.perf_counter()
            try:
                return plain(*args, **options)
            finally:
                self._depth -= 1
                self.seconds += 0.0 if self._depth else time.perf_counter() - start

        setattr(owner, name, timed)


def invariants(epochs):
    """Prints the share of a fit, and of a fit without the doctor, that the invariants take."""
    clock, (x, y) = Clock(), data()
    names = ("__init__", "step", "evaluation_begins", "evaluation_ends", "epoch", "order", "monitored", "result")
    for owner, methods in ((Invariants, names), (Order, ("see", "epoch")), (Doctor, ("_snap", "_compare"))):
        for name in methods:
            clock.around(owner, name)
    plain, watched = contender([], x, y), contender([Doctor(verbose=0)], x, y)
    plain(1, []), watched(1, [])
    clock.seconds = 0.0
    start = time.perf_counter()
    watched(epochs, [])
    middle = time.perf_counter()
    plain(epochs, [])
    end = time.perf_counter()
    print(environment())
    print(f"\n| {epochs} epochs of {STEPS} steps | seconds |\n|---|---|")
    rows = {"plain fit": end - middle, "Doctor()": middle - start, "of it its invariants": clock.seconds}
    for name, seconds in rows.items():
        print(f"| {name} | {seconds:.3f} |")
    print(f"\ninvariants: {clock.seconds / (end - middle):.4f} of the plain fit")


def main():
    if sys.argv[1:] == ["memory"]:
        memory()
        return
    if sys.argv[1:2] == ["invariants"]:
        invariants(int(sys.argv[2]) if len(sys.argv) > 2 else 40)
        return
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    x, y = data()
    fits = {
        "plain fit": contender([], x, y),
        "plain fit again": contender([], x, y),
        "Doctor()": contender([Doctor(verbose=0)], x, y),
    }
    times = {name: np.array(t) for name, t in fits_in_turn(fits, seconds=0.0, least=epochs).items()}
    plain = (times["plain fit"] + times["plain fit again"]) / 2
    print(environment())
    print(f"\n| {STEPS} steps an epoch | ms an epoch, median | {epochs} epochs, of plain fit | epochs 2–20 |")
    print("|---|---|---|---|")
    for name, seconds in times.items():
        whole, first = seconds.sum() / plain.sum(), seconds[:19].sum() / plain[:19].sum()
        print(f"| {name} | {np.median(seconds) * 1e3:,.0f} | {whole:.3f} | {first:.3f} |")
    print(f"\nlargest memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
