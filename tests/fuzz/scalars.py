"""Activations and schedules on random arguments against their formulas in float64 NumPy."""

import math

import keras
import numpy as np
from support.harness import numpy

from keras_lecture import activations
from keras_lecture.optimizers import schedules

DIGITS = {"float32": 2e-6, "float16": 2e-3, "bfloat16": 2e-2}


def case(draw):
    return _schedule(draw) if draw.random() < 0.5 else _activation(draw)


def _activation(draw):
    dtype = str(draw.choice(["float32"] * 3 + ["float16", "bfloat16"]))
    shape = tuple(int(n) for n in draw.integers(0, 5, size=draw.integers(1, 5)))
    alpha, slope, pieces = float(draw.uniform(0, 3)), float(draw.uniform(0, 1)), int(draw.integers(1, 4))
    axis = int(draw.integers(-len(shape), len(shape)))
    shape = tuple(n * pieces if i == axis % len(shape) else n for i, n in enumerate(shape))
    formulas = {
        "sigmoid": ({}, lambda x: 0.5 * (1 + np.tanh(x / 2))),
        "tanh": ({}, np.tanh),
        "relu": ({}, lambda x: np.maximum(x, 0)),
        "leaky_relu": ({"negative_slope": slope}, lambda x: np.where(x > 0, x, slope * x)),
        "elu": ({"alpha": alpha}, lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))),
        "softsign": ({}, lambda x: x / (1 + np.abs(x))),
        "maxout": ({"pieces": pieces, "axis": axis}, lambda x: _pieces(x, pieces, axis)),
    }
    name = str(draw.choice(list(formulas)))
    options, formula = formulas[name]
    x = keras.ops.cast((draw.normal(size=shape) * 10.0 ** draw.uniform(-6, 2)).astype("float32"), dtype)

    def check():
        seen = getattr(activations, name)(x, **options)
        assert keras.backend.standardize_dtype(seen.dtype) == dtype
        wide = numpy(keras.ops.cast(x, "float32")).astype("float64")
        # XLA takes numbers of float16 below the smallest normal one for 0.
        floor = 6.2e-5 if dtype == "float16" else 1e-7
        _close(numpy(keras.ops.cast(seen, "float32")), formula(wide), DIGITS[dtype], floor)

    return f"{name}({options}) on {dtype} {shape}", check


def _pieces(x, pieces, axis):
    """The largest of the `pieces` blocks of channels along the axis."""
    axis %= x.ndim
    split = x.reshape(*x.shape[:axis], pieces, x.shape[axis] // pieces, *x.shape[axis + 1 :])
    return split.max(axis)


def _schedule(draw):
    rate, k = float(10.0 ** draw.uniform(-5, 1)), int(10.0 ** draw.uniform(0, 5)) - 1
    period, factor = float(draw.integers(1, 2000)), float(draw.uniform(0.01, 1))
    grow, minimum = float(draw.uniform(1, 3)), rate * float(draw.uniform(0, 1))
    formulas = {
        "Exponential": ({"factor": factor, "period": period}, lambda: rate * factor ** (k // period)),
        "InverseTime": ({"period": period}, lambda: rate / (1 + k / period)),
        "WarmRestarts": (
            {"period": period, "t_mul": grow, "minimum": minimum},
            lambda: minimum + (rate - minimum) / 2 * (1 + math.cos(math.pi * _phase(k, period, grow))),
        ),
        "Warmup": ({"length": period}, lambda: rate * min(1, (k + 1) / period)),
        "Cyclical": (
            {"period": period, "minimum": minimum},
            lambda: minimum + (rate - minimum) * _triangle(k / period),
        ),
    }
    name = str(draw.choice(list(formulas)))
    options, formula = formulas[name]

    def check():
        seen = float(getattr(schedules, name)(rate, **options)(k))
        # A step is a float32 on its way through a schedule; a restart may fall on either side of it.
        near = [formula()] if name != "WarmRestarts" else [formula(), rate, minimum]
        bound = 2e-5 * rate + (2e-3 * rate if name == "WarmRestarts" else 0)
        assert min(abs(seen - value) for value in near) <= bound, f"{seen} in place of {near}"

    return f"{name}({rate}, {options}) at step {k}", check


def _phase(k, period, grow):
    """The share of the current period that has passed."""
    while k >= period:
        k, period = k - period, period * grow
    return k / period


def _triangle(x):
    """From 0 up to 1 and down again in each period."""
    return 1 - abs(2 * (x % 1) - 1)


def _close(seen, expected, digits, floor):
    bound = digits * np.abs(expected) + floor
    assert seen.shape == expected.shape, f"shape {seen.shape} in place of {expected.shape}"
    assert np.all(np.abs(seen - expected) <= bound), f"off by {np.max(np.abs(seen - expected))}"
