"""Local contrast normalization: Jarrett's formula in loops, borders, the floor."""

import keras
import numpy as np
import pytest
from keras import ops
from support.harness import assert_close, numpy

from keras_lecture import _backend
from keras_lecture.layers import LocalContrastNormalization

X = np.random.default_rng(0).normal(3.0, 2.0, size=(2, 7, 6, 3))


def local_contrast(x, size, std, floor, divisive=True):
    """Oracle: Jarrett et al., section 2, in float64 loops over pixels; weights outside the image are left out."""
    reach = size // 2
    row = np.exp(-0.5 * (np.arange(-reach, reach + 1) / std) ** 2)
    weights = np.outer(row, row)

    def mean(x):
        found = np.empty(x.shape[:3])
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                rows = range(max(0, i - reach), min(x.shape[1], i + reach + 1))
                columns = range(max(0, j - reach), min(x.shape[2], j + reach + 1))
                w = weights[np.ix_([r - i + reach for r in rows], [c - j + reach for c in columns])]
                here = x[:, rows.start : rows.stop, columns.start : columns.stop].mean(-1)
                found[:, i, j] = (w * here).sum((1, 2)) / w.sum()
        return found[..., None]

    v = x - mean(x)
    if not divisive:
        return v
    deviation = np.sqrt(mean(v**2))
    least = deviation.mean((1, 2, 3), keepdims=True) if floor is None else floor
    return v / np.maximum(deviation, least)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    ("size", "std", "floor", "divisive"),
    [(5, None, None, True), (3, 2.0, 1.5, True), (9, None, 0.01, True), (5, 1.0, None, False)],
)
def test_matches_the_formula(size, std, floor, divisive, data_format, float64):
    layer = LocalContrastNormalization(size, std=std, floor=floor, divisive=divisive, data_format=data_format)
    x = X if data_format == "channels_last" else np.moveaxis(X, -1, 1)
    expected = local_contrast(X, size, std or size / 4, floor, divisive)
    expected = expected if data_format == "channels_last" else np.moveaxis(expected, -1, 1)
    assert_close(layer(x), expected, "float64")


def test_without_a_fixed_floor_neither_brightness_nor_contrast_matters():
    layer = LocalContrastNormalization(5)
    y = numpy(layer(X.astype("float32")))
    assert_close(layer((X + 7).astype("float32")), y, rtol=1e-3, atol=1e-4)
    assert_close(layer((3 * X).astype("float32")), y, rtol=1e-3, atol=1e-4)


def test_a_constant_image_becomes_zero_and_its_gradient_is_finite():
    layer = LocalContrastNormalization(3)

    def loss(inputs):
        y = layer(inputs[0])
        return ops.sum(ops.square(y) + y), y

    (_, y), (gradient,) = _backend.value_and_grad(loss)([ops.full((1, 5, 5, 2), 3.0)])
    assert_close(y, np.zeros((1, 5, 5, 2)), atol=1e-3)
    assert np.all(np.isfinite(numpy(gradient)))


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"size": 4}, "size"),
        ({"size": 0}, "size"),
        ({"std": 0.0}, "std"),
        ({"floor": 0.0}, "floor"),
        ({"divisive": 1}, "divisive"),
        ({"data_format": "last"}, "data_format"),
    ],
)
def test_rejects(arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"LocalContrastNormalization: `{argument}`"):
        LocalContrastNormalization(**arguments)


def test_rejects_inputs_that_are_not_images():
    with pytest.raises(ValueError, match="LocalContrastNormalization: `inputs`"):
        LocalContrastNormalization()(keras.ops.ones((2, 3, 4)))
