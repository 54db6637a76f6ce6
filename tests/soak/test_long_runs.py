"""Long runs: memory, step time and compilations of 20,000 steps with every callback; what 1,000 `fit`s leave behind.

The bounds are the promised properties: memory at most 2 % above that after the warm-up, the median of the last thousand
steps at most 1.5 times that of the first thousand after it (other programs share the cores), no compilation after it.
"""

import gc
import os
import threading
import time
from collections import Counter
from pathlib import Path

import keras
import numpy as np
from support.harness import BACKEND
from support.small_fit import COMPILED, X, Y

from keras_lecture import callbacks, optimizers

STEPS = 1000  # in an epoch
EPOCHS = 20
# The Doctor looks after the epochs 1, 2, 4, 8, 16, and each look may compile for a state of the run that is new to it.
WARM = 8
FITS = 1000
ROWS = np.random.default_rng(0).integers(0, len(X), 2 * STEPS)


def resident():
    """Megabytes of the process in memory, without garbage."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def network():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, "tanh"), keras.layers.Dropout(0.1), keras.layers.Dense(1)]
    return keras.Sequential([keras.Input((4,)), *layers])


def every_callback(folder, epochs, size):
    """All callbacks of the package, none of which ends the run early."""
    return [
        callbacks.LearningRateFinder(learning_rates=(1e-5, 1e-1), steps=size, apply=False),
        callbacks.GradientClipping(percentile=90, on_nonfinite="skip"),
        callbacks.GradientMonitor(per_layer=True, histogram=True, every=10),
        callbacks.TerminateOnNonFinite(every=10),
        callbacks.ReduceLearningRate("loss", patience=epochs, verbose=0),
        callbacks.EarlyStopping("val_loss", patience=epochs, restore_best_weights=True),
        callbacks.AverageModelCheckpoint(f"{folder}/average.weights.h5", save_weights_only=True),
        callbacks.TimeStopping(1e6),
        callbacks.Doctor(verbose=0),
        callbacks.ExactResume(f"{folder}/resume"),
    ]


class Clock(keras.callbacks.Callback):
    """The seconds of each step and the memory after each epoch."""

    def __init__(self):
        super().__init__()
        self.steps, self.memory, self.compiled = [], [], []
        self.compilations = compilations()

    def on_train_batch_begin(self, batch, logs=None):
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(time.perf_counter() - self._start)

    def on_epoch_end(self, epoch, logs=None):
        self.memory.append(resident())
        self.compiled.append(self.compilations["count"])


def compilations():
    """A counter of the programs that the backend traces from now on; eager PyTorch traces none."""
    counted = Counter()
    if BACKEND == "jax":
        import jax

        def listen(event, seconds, **details):
            counted["count"] += event == "/jax/core/compile/backend_compile_duration"

        jax.monitoring.register_event_duration_secs_listener(listen)
    elif BACKEND == "tensorflow":
        from tensorflow.python.framework import func_graph

        plain = func_graph.FuncGraph.__init__

        def init(self, *args, **kwargs):
            counted["count"] += 1
            plain(self, *args, **kwargs)

        func_graph.FuncGraph.__init__ = init
    return counted


def test_twenty_thousand_steps_with_every_callback(tmp_path, capsys):
    model, clock = network(), Clock()
    optimizer = optimizers.StochasticWeightAverage(optimizers.Adam(1e-3), start=STEPS)
    model.compile(optimizer, "mse", metrics=["mae"], **COMPILED)
    model.fit(
        X[ROWS],
        Y[ROWS],
        batch_size=2,
        epochs=EPOCHS,
        validation_data=(X, Y),
        verbose=0,
        callbacks=[*every_callback(tmp_path, EPOCHS, 20), clock],
    )
    assert len(clock.steps) == EPOCHS * STEPS
    warm = WARM * STEPS
    first, last = (np.median(clock.steps[part]) for part in (slice(warm, warm + 1000), slice(-1000, None)))
    before, after = clock.memory[WARM], max(clock.memory[WARM:])
    late = clock.compiled[-1] - clock.compiled[WARM]
    with capsys.disabled():
        print(
            f"\n{BACKEND}: memory {before:.0f} to {after:.0f} MB ({after / before - 1:+.1%}), largest of epochs",
            end=" ",
        )
        print([round(m) for m in clock.memory])
        print(f"step {1e6 * first:.0f} to {1e6 * last:.0f} µs; compiled by epoch {clock.compiled}")
    assert after <= 1.02 * before
    assert last <= 1.5 * first
    assert late == 0


def ours():
    """The number of living objects of each class of the package."""
    gc.collect()
    kinds = Counter(type(each) for each in gc.get_objects())
    ours = {kind: count for kind, count in kinds.items() if str(kind.__module__).startswith("keras_lecture.")}
    return Counter({f"{kind.__module__}.{kind.__qualname__}": count for kind, count in ours.items()})


def files():
    return sorted(os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if _is_open(n))


def _is_open(number):
    return os.path.exists(f"/proc/self/fd/{number}")


def test_a_thousand_fits_leave_nothing_behind(tmp_path, capsys):
    """Each `fit` has new callbacks; every hundredth all of them, the others those that act in the step."""
    model = network()
    model.compile(optimizers.Adam(1e-3, use_ema=True), "mse", **COMPILED)
    seen = []
    for number in range(FITS + 1):
        if number % 100 == 0:
            watching = every_callback(tmp_path / str(number), 1, 2)
        else:
            watching = [callbacks.GradientMonitor(), callbacks.TerminateOnNonFinite()]
        model.fit(X, Y, batch_size=16, validation_data=(X, Y), verbose=0, callbacks=watching)
        del watching
        if number in (FITS // 10, FITS):
            seen.append((ours(), threading.active_count(), len(files()), resident()))
    (objects, threads, handles, before), (objects_after, threads_after, handles_after, after) = seen
    with capsys.disabled():
        print(f"\n{BACKEND}: {before:.0f} to {after:.0f} MB; {threads} to {threads_after} threads;", end=" ")
        print(f"{handles} to {handles_after} file handles; objects {sum(objects.values())}", end=" ")
        print(f"to {sum(objects_after.values())}: {objects_after - objects}")
    assert not objects_after - objects
    assert threads_after <= threads
    assert handles_after <= handles
