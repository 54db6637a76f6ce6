"""How the benchmarks measure: every contender in one process, taking turns, medians, ratios to a named peer."""

import os
import platform
import random
import statistics
import time
from importlib.metadata import PackageNotFoundError, version

import greenlet
import keras


def interleaved(contenders, *, rounds=60, seconds=6.0, warmup=3, least=7, before=None):
    """Median microseconds per call of each contender of `{name: function}`.

    All of them take turns, in another order each round, so that a slow minute of the machine slows all alike. The
    contender before leaves its data in the caches and its threads spinning: each takes one step that does not count
    before the one that does, or calls its function in the dict `before` instead. Ends after `rounds` or `seconds`,
    whichever comes first, but never before the `least` rounds.
    """
    shuffled = random.Random(0)
    before = contenders if before is None else before
    for _ in range(warmup):
        for run in contenders.values():
            run()
    times = {name: [] for name in contenders}
    deadline = time.perf_counter() + seconds
    for done in range(rounds):
        if done >= least and time.perf_counter() > deadline:
            break
        for name, run in shuffled.sample(list(contenders.items()), len(contenders)):
            before[name]()
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(t) * 1e6 for name, t in times.items()}


def fits_in_turn(fits, *, seconds=60.0, least=7):
    """The seconds of each epoch of each of `{name: fit}`, round by round; `fit(epochs=…, callbacks=[…])` trains.

    Each hands over at the end of an epoch, and each round has another order: epochs that are compared lie a second
    apart, and no `fit` has to start and compile again. An epoch lasts until the next one begins, so that it includes
    the work of callbacks at its end. The first is left out.
    """
    runs = {name: _Turns(fit) for name, fit in fits.items()}
    for run in runs.values():
        run.epoch()
    times = {name: [] for name in runs}
    shuffled = random.Random(0)
    deadline = time.perf_counter() + seconds
    while len(times[next(iter(times))]) < least or time.perf_counter() < deadline:
        for name, run in shuffled.sample(list(runs.items()), len(runs)):
            times[name].append(run.epoch())
    return times


class _Turns(keras.callbacks.Callback):
    """A `fit` that stands still at the beginning of each epoch until it is told to go on."""

    def __init__(self, fit):
        super().__init__()
        # Not a thread: PyTorch keeps threads for each one that calls it, and is slower with many of them.
        self._fit = greenlet.greenlet(lambda: fit(epochs=1 << 30, callbacks=[self]))
        self._fit.switch()

    def on_epoch_begin(self, epoch, logs=None):
        self._fit.parent.switch()

    def epoch(self):
        """Lets one epoch pass; its seconds."""
        start = time.perf_counter()
        self._fit.switch()
        return time.perf_counter() - start


def environment():
    """One line that says what was measured where."""
    names = ("keras", "tensorflow-cpu", "tensorflow", "torch", "jax", "optax", "numpy")
    versions = []
    for name in names:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return f"backend {keras.backend.backend()}; {platform.machine()}, {_cores()} CPU cores; {', '.join(versions)}"


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def row(case, microseconds, ours, peers):
    """A line of a Markdown table: our time, and how many times longer each peer takes."""
    cells = [f"{microseconds[ours]:,.0f}"]
    cells += [f"{microseconds[peer] / microseconds[ours]:.2f}" if peer in microseconds else "–" for peer in peers]
    return f"| {case} | " + " | ".join(cells) + " |"
