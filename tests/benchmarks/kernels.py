"""The time of `fit` with the kernels of each file, against the same network with the formulas in their place.

KERAS_BACKEND=torch OMP_NUM_THREADS=1 python tests/benchmarks/kernels.py [file …] [file.kernel …]
"""

import contextlib
import functools
import inspect
import sys

import fit_cnn
import keras
import numpy as np
from measure import environment, interleaved

from keras_lecture import activations, callbacks, layers, losses, optimizers
from keras_lecture._backend import _part

BACKEND = keras.backend.backend()
KERNELS = _part("kernels").KERNELS
JIT = BACKEND == "jax"


def perceptron(optimizer, *, activation="relu", watch=()):
    """A function that trains the MLP 784-512-512-10 for an epoch of ten batches of 128."""
    draw = np.random.default_rng(0)
    hidden = [keras.layers.Dense(512, activation=activation) for _ in range(2)]
    model = keras.Sequential([keras.Input((784,)), *hidden, keras.layers.Dense(10)])
    data = draw.normal(size=(1280, 784)).astype("float32"), draw.integers(0, 10, 1280)
    return epoch(model, optimizer, *data, callbacks=[make() for make in watch], batch_size=128)


def convolutions():
    return fit_cnn.through_fit(fit_cnn.EVERYTHING, *fit_cnn.data())


def dense_blocks():
    """Dense blocks that compute their intermediate results a second time in place of keeping them."""
    draw = np.random.default_rng(0)
    blocks = [layers.DenseBlock(6, 12, memory_efficient=True) for _ in range(2)]
    tail = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((16, 16, 8)), *blocks, *tail])
    data = draw.normal(size=(128, 16, 16, 8)).astype("float32"), draw.integers(0, 10, 128)
    return epoch(model, optimizers.Adam(), *data, batch_size=32)


def epoch(model, optimizer, x, y, **options):
    searches = hasattr(optimizer, "bind")
    model.compile(optimizer.bind(model) if searches else optimizer, losses.SoftmaxCrossEntropy(), jit_compile=JIT)
    return lambda: model.fit(x, y, verbose=0, **options)


# file → the network whose `fit` its kernels are for.
NETWORKS = {
    "activations": lambda: perceptron(optimizers.Adam(), activation=activations.elu),
    "assignment": lambda: perceptron(optimizers.Lookahead(optimizers.Adam())),
    "callbacks": lambda: perceptron(optimizers.Adam(), watch=[callbacks.GradientMonitor]),
    "layers": convolutions,
    "losses": lambda: perceptron(optimizers.Adam()),
    "optimizers": lambda: perceptron(optimizers.Adam()),
    "random_bits": convolutions,
    "rematerialization": dense_blocks,
    "searches": lambda: perceptron(optimizers.LBFGS(iterations=2)),
    "training": lambda: perceptron(optimizers.Armijo(direction="adam")),
}


@contextlib.contextmanager
def formulas_of(file):
    """The formulas in place of the kernels that `file` of this backend defines, or of one kernel, `file.name`."""
    file, _, name = file.partition(".")
    cells = [
        cell
        for cell in _cells()
        if cell.cell_contents.__module__.endswith(f"kernels.{file}") and cell.cell_contents.__name__.startswith(name)
    ]
    kernels = [cell.cell_contents for cell in cells]
    for cell in cells:
        cell.cell_contents = _declined
    try:
        yield
    finally:
        for cell, kernel in zip(cells, kernels, strict=True):
            cell.cell_contents = kernel


def _declined(*args, **options):
    return None


@functools.cache
def _cells():
    """The variables `kernel` inside the functions that `accelerate` has made."""
    functions = {
        f
        for module in list(sys.modules.values())
        if module.__name__.startswith("keras_lecture")
        for f in vars(module).values()
        if inspect.isfunction(f) and hasattr(f, "__wrapped__")
    }
    return [
        f.__closure__[f.__code__.co_freevars.index("kernel")] for f in functions if "kernel" in f.__code__.co_freevars
    ]


def gain(file):
    """The time of an epoch with the formulas, divided by its time with the kernels."""
    keras.utils.set_random_seed(0)
    make = NETWORKS[file.partition(".")[0]]
    kernels, formulas = make(), make()

    def without():
        with formulas_of(file):
            formulas()

    times = interleaved({"kernels": kernels, "formulas": without}, rounds=30, seconds=20.0)
    return times["formulas"] / times["kernels"]


def main():
    files = sorted({kernel.__module__.rpartition(".")[2] for kernel in KERNELS.values()})
    print(f"{environment()}\n\n| file of kernels | a batch of `fit` with the formulas |\n|---|---:|")
    for file in sys.argv[1:] or [file for file in files if file in NETWORKS]:
        print(f"| {file} | {gain(file):.2f} |", flush=True)


if __name__ == "__main__":
    main()
