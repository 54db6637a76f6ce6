"""Layers on random shapes, layouts and arguments against Keras's layers and NumPy."""

import keras
import numpy as np
from oracles import layers as oracles
from support.harness import numpy

from keras_lecture import layers

IMAGES_FIRST = ("channels_first", "channels_last")


def case(draw):
    return FAMILIES[draw.integers(len(FAMILIES))](draw)


def _max_pooling(draw):
    axes = int(draw.integers(1, 4))
    size, strides = (tuple(int(n) for n in draw.integers(1, 4, axes)) for _ in range(2))
    layout, padding = str(draw.choice(IMAGES_FIRST)), str(draw.choice(["valid", "same"]))
    sides = tuple(int(n) for n in draw.integers(3, 9, axes))
    x = _values(draw, sides, layout)
    # Windows of Keras on a backend that knows no channels first on CPUs: last, and transposed.
    to_last = (0, *range(2, axes + 2), 1)
    last = np.transpose(x, to_last) if layout == "channels_first" else x
    ours = getattr(layers, f"MaxPooling{axes}D")(size, strides, padding, layout)

    def check():
        sizes = zip(sides, size, strides, strict=True)
        pairs = [_same(n, w, s) if padding == "same" else (0, 0) for n, w, s in sizes]
        expected = oracles.max_pool(last.astype("float64"), size, strides, pairs)
        seen = numpy(ours(x))
        seen = np.transpose(seen, to_last) if layout == "channels_first" else seen
        np.testing.assert_array_equal(seen, expected)

    return f"MaxPooling{axes}D({size}, {strides}, {padding}, {layout}) on {x.shape}", check


def _same(n, window, stride):
    total = max(0, (-(-n // stride) - 1) * stride + window - n)
    return total // 2, total - total // 2


def _values(draw, sides, layout):
    batch, channels = int(draw.integers(1, 4)), int(draw.integers(1, 5))
    shape = (batch, channels, *sides) if layout == "channels_first" else (batch, *sides, channels)
    return draw.normal(size=shape).astype("float32")


def _normalization(draw):
    """Mean and variance over the axes of each layer; a layer in training uses those of its batch."""
    axes = int(draw.integers(0, 3))
    x = _values(draw, tuple(int(n) for n in draw.integers(2, 6, axes)), "channels_last")
    x = x * np.float32(10.0 ** draw.uniform(-3, 3)) + np.float32(draw.normal() * 3)
    epsilon = float(10.0 ** draw.uniform(-6, -1))
    inner = tuple(range(1, x.ndim - 1))
    kinds = {"BatchNormalization": tuple(range(x.ndim - 1))}
    if x.shape[-1] > 1:
        # Of one value it is refused: the result would not depend on the input.
        kinds["LayerNormalization"] = (x.ndim - 1,)
    if inner:
        kinds["InstanceNormalization"] = inner
    name = str(draw.choice(list(kinds)))
    layer = getattr(layers, name)(epsilon=epsilon)

    def check():
        wide = x.astype("float64")
        mean, variance = (f(wide, axis=kinds[name], keepdims=True) for f in (np.mean, np.var))
        expected = (wide - mean) / np.sqrt(variance + epsilon)
        # The digits that a mean far from 0 takes from float32.
        digits = 1e-5 * (1 + np.abs(mean) / np.sqrt(variance + epsilon))
        seen = numpy(layer(x, training=True))
        assert np.all(np.abs(seen - expected) <= digits * (1 + np.abs(expected))), np.max(np.abs(seen - expected))

    return f"{name}({epsilon}) on {x.shape}", check


def _group_normalization(draw):
    groups, per_group = int(draw.integers(1, 4)), int(draw.integers(2, 4))
    sides = tuple(int(n) for n in draw.integers(1, 5, draw.integers(1, 3)))
    x = draw.normal(size=(int(draw.integers(1, 4)), *sides, groups * per_group)).astype("float32")
    epsilon = float(10.0 ** draw.uniform(-5, -1))

    def check():
        seen = numpy(layers.GroupNormalization(groups, epsilon=epsilon)(x))
        expected = oracles.group_norm(x.astype("float64"), groups, epsilon)
        np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=2e-5)

    return f"GroupNormalization({groups}, {epsilon}) on {x.shape}", check


def _local_response(draw):
    size, k = int(draw.integers(1, 4)) * 2 - 1, float(draw.uniform(0.5, 3))
    alpha, beta = float(10.0 ** draw.uniform(-5, 0)), float(draw.uniform(0.1, 1.5))
    x = _values(draw, tuple(int(n) for n in draw.integers(1, 5, draw.integers(0, 3))), "channels_last")

    def check():
        seen = numpy(layers.LocalResponseNormalization(size, k=k, alpha=alpha, beta=beta)(x))
        expected = oracles.local_response(x.astype("float64"), size, k, alpha, beta)
        np.testing.assert_allclose(seen, expected, rtol=2e-5, atol=1e-6)

    return f"LocalResponseNormalization({size}, {k}, {alpha}, {beta}) on {x.shape}", check


def _dropping(draw):
    """A value is 0 or divided by the share that is kept; outside of training nothing changes; a seed repeats itself."""
    rate, seed = float(draw.uniform(0, 0.9)), int(draw.integers(2**31))
    name = str(draw.choice(["Dropout", "StochasticDepth"]))
    # The docstrings say so.
    exact = round(rate * 2**16) / 2**16
    x = 1 + np.abs(_values(draw, tuple(int(n) for n in draw.integers(1, 5, draw.integers(0, 3))), "channels_last"))
    ours, again = (getattr(layers, name)(rate, seed=seed) for _ in range(2))

    def check():
        np.testing.assert_array_equal(numpy(ours(x, training=False)), x)
        seen = numpy(ours(x, training=True))
        np.testing.assert_array_equal(seen, numpy(again(x, training=True)))
        kept = seen != 0
        np.testing.assert_allclose(seen[kept], (x / (1 - exact))[kept], rtol=2e-6)
        if name == "StochasticDepth":
            samples = kept.reshape(len(x), -1)
            assert np.all(samples.all(1) | ~samples.any(1)), "a sample is kept in part"

    return f"{name}({rate}, seed={seed}) on {x.shape}", check


def _units(draw):
    """PReLU and Maxout by their formulas."""
    x = draw.normal(size=(int(draw.integers(1, 5)), int(draw.integers(1, 6)))).astype("float32")
    alpha, units, pieces = float(draw.uniform(-1, 1)), int(draw.integers(1, 5)), int(draw.integers(1, 4))

    def prelu():
        expected = np.where(x > 0, x, np.float32(alpha) * x)
        np.testing.assert_allclose(numpy(layers.PReLU(alpha)(x)), expected, rtol=1e-6)

    def maxout():
        layer = layers.Maxout(units, pieces=pieces)
        seen = numpy(layer(x))
        scores = x.astype("float64") @ np.asarray(numpy(layer.linear.kernel), "float64")
        np.testing.assert_allclose(seen, scores.reshape(len(x), pieces, units).max(1), rtol=1e-4, atol=1e-5)

    chosen = prelu if draw.random() < 0.5 else maxout
    return f"{chosen.__name__}, α={alpha}, units={units}, pieces={pieces} on {x.shape}", chosen


def _same_as_keras(draw):
    """The shape that a layer announces is the shape that it computes, also for images of unknown size."""
    layout = str(draw.choice(IMAGES_FIRST))
    height, width = (int(n) for n in draw.integers(6, 12, 2))
    x = _values(draw, (height, width), layout)
    rows, columns = int(draw.integers(2, height + 1)), int(draw.integers(2, width + 1))
    makers = {
        "RandomCropFlip": lambda: layers.RandomCropFlip(rows, columns, data_format=layout),
        "TenCrop": lambda: layers.TenCrop(rows, columns, data_format=layout),
        "RandomAffine": lambda: layers.RandomAffine(data_format=layout),
        "LocalContrastNormalization": lambda: layers.LocalContrastNormalization(5, data_format=layout),
        "ZeroCenter": lambda: layers.ZeroCenter(mean=0.5, data_format=layout),
        "Jitter": layers.Jitter,
    }
    name = str(draw.choice(list(makers)))

    def check():
        layer = makers[name]()
        seen = layer(x, training=True)
        assert tuple(seen.shape) == tuple(layer.compute_output_shape(x.shape)), (seen.shape, x.shape)
        symbolic = makers[name]()(keras.KerasTensor((None, *x.shape[1:])))
        assert tuple(symbolic.shape)[1:] == tuple(seen.shape)[1:]
        assert np.isfinite(numpy(seen)).all()

    return f"{name}({rows}, {columns}, {layout}) on {x.shape}", check


FAMILIES = [_max_pooling, _normalization, _group_normalization, _local_response, _dropping, _units, _same_as_keras]
