"""Layers at the limits of their dtypes: infinities, largest and smallest numbers, forward and gradient.

PReLU was `x + (slope − 1)·min(x, 0)` on TensorFlow and PyTorch: with a slope of 0.01 it was 25 % off in bfloat16, and
NaN for −∞. Oracle: the formula in float64 on the rounded inputs. Tolerance: 4 ulp of the dtype at the oracle's value.
JAX and TensorFlow flush subnormal numbers to zero on CPUs, so that the value may be 0, and the slope that at 0.
"""

import ml_dtypes
import numpy as np
import pytest
from keras import ops
from support.harness import in_one, numpy

from keras_lecture import _backend, layers

DTYPES = ["float32", "float16", "bfloat16"]
SLOPES = [0.25, 0.01, 1e-3]


def limits(dtype, infinite=True, largest=None, subnormal=True):
    """Extreme values of a dtype, as float64: ±∞, ± largest, smallest normal, subnormal, and some between."""
    info = ml_dtypes.finfo(dtype)
    most = float(info.max) if largest is None else min(float(info.max), largest)
    positive = [most, 3.0, 1.0, 0.7, 1e-3, float(info.tiny), *([float(info.tiny) / 4] if subnormal else [])]
    values = [*positive, *[-v for v in positive], 0.0, *([np.inf, -np.inf] if infinite else [])]
    return np.array(values).astype(dtype).astype("float64")


def close(actual, expected, dtype, ulps=4):
    info = ml_dtypes.finfo(dtype)
    actual = numpy(ops.cast(actual, "float32")).astype("float64")
    with np.errstate(over="ignore"):
        expected = np.asarray(expected, "float64").astype(dtype).astype("float64")
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite])
    allowed = ulps * float(info.eps) * np.abs(expected[finite]) + float(info.tiny)
    wrong = np.abs(actual[finite] - expected[finite]) > allowed
    assert not wrong.any(), (actual[finite][wrong], expected[finite][wrong])


def value_and_gradient(f, *inputs):
    def total(weights):
        y = f(*weights)
        return ops.sum(ops.cast(y, "float32")), y

    (_, value), gradients = in_one(_backend.value_and_grad(total))(list(inputs))
    return value, gradients


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("per", ["channel", "unit"])
def test_prelu(dtype, per):
    """One column per slope. The gradient of a slope per unit is the negative input; the sums per channel overflow."""
    x = np.repeat(limits(dtype)[:, None], 3, 1)
    shape = (3,) if per == "channel" else (len(x), 3)
    slopes = np.broadcast_to(SLOPES, shape)
    tensors = [ops.convert_to_tensor(v.astype("float32")) for v in (x, slopes)]
    value, (to_x, to_slope) = value_and_gradient(layers.prelu.leak, *[ops.cast(t, dtype) for t in tensors])
    rounded = slopes.astype(dtype).astype("float64")
    with np.errstate(invalid="ignore"):
        close(value, np.where(x > 0, x, rounded * x), dtype)
    normal = (np.abs(x) >= float(ml_dtypes.finfo(dtype).tiny)) | (x == 0)
    close(
        numpy(ops.cast(to_x, "float32"))[normal], np.where(x > 0, 1, np.broadcast_to(rounded, x.shape))[normal], dtype
    )
    if per == "unit":
        close(to_slope, np.minimum(x, 0), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("padding", ["valid", "same", 1])
def test_max_pooling_keeps_infinities_and_propagates_nan(dtype, padding):
    """TensorFlow's own pooling replaces −∞ by −3.4e38, and NaN by any number."""
    values = np.concatenate([limits(dtype, subnormal=False), [np.nan, 1.0, np.nan]])
    x = values.reshape(1, -1, 1)
    layer = layers.MaxPooling1D(3, 1, padding)
    value, (gradient,) = value_and_gradient(layer, ops.cast(ops.convert_to_tensor(x.astype("float32")), dtype))
    around = 0 if padding == "valid" else 1
    padded = np.concatenate([[-np.inf] * around, values, [-np.inf] * around])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 3)
    expected = windows.max(1)
    assert np.isnan(expected).sum() > 2
    np.testing.assert_array_equal(numpy(ops.cast(value, "float32")).ravel(), expected.astype("float32"))
    # The first maximum of each window; for windows with NaN any element.
    counted = np.zeros(len(padded))
    clean = ~np.isnan(expected)
    np.add.at(counted, np.arange(len(windows))[clean] + windows[clean].argmax(1), 1)
    counted = counted[around : len(padded) - around]
    clear = slice(0, len(values) - 5)
    np.testing.assert_array_equal(numpy(ops.cast(gradient, "float32")).ravel()[clear], counted[clear])


def test_a_window_of_minus_infinity_has_its_gradient():
    """Oracle: it goes to the first of the four elements."""
    x = np.full((1, 2, 2, 1), -np.inf, "float32")
    value, (gradient,) = value_and_gradient(layers.MaxPooling2D(2), ops.convert_to_tensor(x))
    assert numpy(value).item() == -np.inf
    assert numpy(gradient).ravel().tolist() == [1, 0, 0, 0]


def normalized(x, axes, epsilon=1e-3):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def response(x):
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x**2, [(0, 0), (2, 2)]), 5, 1)
    return x / (2 + 1e-4 * windows.sum(-1)) ** 0.75


# Layer and formula. Squares of numbers above 1e18 overflow float32.
SQUARES = {
    "LayerNormalization": (lambda **k: layers.LayerNormalization(**k), lambda x: normalized(x, 1)),
    "GroupNormalization": (lambda **k: layers.GroupNormalization(1, **k), lambda x: normalized(x, 1)),
    "LocalResponseNormalization": (lambda **k: layers.LocalResponseNormalization(**k), response),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SQUARES)
def test_normalizations_up_to_the_largest_squares_of_float32(name, dtype):
    """Tolerance: 8 ulp of 1, as the outputs are of order 1 and their sums cancel."""
    make, formula = SQUARES[name]
    points = limits(dtype, infinite=False, largest=1e18)
    x = np.stack([points, points[::-1], np.full_like(points, points[5]), np.abs(points) * 1e-3])
    x = x.astype(dtype).astype("float64")
    layer = make(dtype=f"mixed_{dtype}" if dtype != "float32" else dtype)
    layer.build(x.shape)
    value, (gradient,) = value_and_gradient(layer, ops.cast(ops.convert_to_tensor(x.astype("float32")), dtype))
    expected = formula(x)
    unit = 8 * float(ml_dtypes.finfo(dtype).eps) * np.maximum(np.abs(expected), 1)
    assert (np.abs(numpy(ops.cast(value, "float32")) - expected) <= unit).all()
    assert np.isfinite(numpy(ops.cast(gradient, "float32"))).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout_scales_and_keeps(dtype):
    """Oracle: x/(1 − rate) where the output is not 0; the largest number overflows to infinity."""
    x = limits(dtype)
    layer = layers.Dropout(0.5, seed=1, dtype=f"mixed_{dtype}" if dtype != "float32" else dtype)
    y = numpy(ops.cast(layer(ops.cast(ops.convert_to_tensor(x.astype("float32")), dtype), training=True), "float32"))
    kept = y != 0
    with np.errstate(over="ignore"):
        expected = (2 * x).astype(dtype).astype("float64")
    normal = np.abs(x) >= float(ml_dtypes.finfo(dtype).tiny)
    finite = np.isfinite(x)
    np.testing.assert_array_equal(y[kept & normal & finite], expected[kept & normal & finite].astype("float32"))
    assert kept.any() and not kept.all()
