"""Transposed convolution with the bilinear kernel is linear interpolation."""

import keras
import numpy as np
import pytest
import torch
from oracles.initializers import interpolate
from support.harness import numpy

from keras_lecture.initializers import Bilinear, initialize

TRANSPOSED = {1: keras.layers.Conv1DTranspose, 2: keras.layers.Conv2DTranspose, 3: keras.layers.Conv3DTranspose}


def _oracle(x, size, stride, lengths):
    """Interpolation along each axis, in NumPy float64."""
    y = np.asarray(x, "float64")
    for axis, length in enumerate(lengths, start=1):
        y = np.moveaxis(interpolate(np.moveaxis(y, axis, 0), size, stride, length), 0, axis)
    return y


SIZES = [(4, 2), (3, 2), (5, 3), (6, 3), (8, 4), (7, 4), (1, 1), (2, 1)]


@pytest.mark.parametrize(
    ("rank", "size", "stride"), [(1, *size) for size in SIZES] + [(2, 4, 2), (2, 5, 3), (3, 4, 2), (3, 3, 2)]
)
def test_it_interpolates(rank, size, stride):
    """Oracle: np.interp along each axis."""
    x = np.random.default_rng(0).standard_normal((2, *(4, 5, 3)[:rank], 3)).astype("float32")
    layer = TRANSPOSED[rank](3, size, stride, kernel_initializer=Bilinear(stride), use_bias=False)
    y = numpy(layer(x))
    np.testing.assert_allclose(y, _oracle(x, size, stride, y.shape[1:-1]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("size", "stride"), [(4, 2), (3, 2), (5, 3), (6, 3), (8, 4), (7, 4), (1, 1)])
def test_default_strides_are_the_largest_possible(size, stride):
    shape = (size, size, 2, 2)
    np.testing.assert_array_equal(numpy(Bilinear()(shape)), numpy(Bilinear(stride)(shape)))


@pytest.mark.parametrize("size", [5, 6, 9])
def test_a_larger_kernel_interpolates_with_the_strides_of_the_layer(size):
    """`initialize` reads the strides, which differ between the axes, from the layer. Oracle: np.interp."""
    x = np.random.default_rng(0).standard_normal((1, 5, 4, 2)).astype("float32")
    layer = keras.layers.Conv2DTranspose(2, size, (2, 3), use_bias=False)
    layer.build(x.shape)
    initialize(layer, Bilinear())
    y = numpy(layer(x))
    columns = np.moveaxis(interpolate(np.moveaxis(x, 1, 0), size, 2, y.shape[1]), 0, 1)
    expected = np.moveaxis(interpolate(np.moveaxis(columns, 2, 0), size, 3, y.shape[2]), 0, 2)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("size", "stride"), [(4, 2), (8, 4)])
def test_away_from_the_border_it_is_pytorch_s_bilinear_upsampling(size, stride):
    """Oracle: torch.nn.functional.interpolate(align_corners=False), which repeats pixels at the border."""
    x = np.random.default_rng(0).standard_normal((1, 6, 6, 2)).astype("float32")
    layer = keras.layers.Conv2DTranspose(2, size, stride, "same", kernel_initializer=Bilinear(), use_bias=False)
    y = numpy(layer(x))[0]
    oracle = torch.nn.functional.interpolate(torch.tensor(x).permute(0, 3, 1, 2), scale_factor=stride, mode="bilinear")
    oracle = oracle.permute(0, 2, 3, 1).numpy()[0]
    np.testing.assert_allclose(y[stride:-stride, stride:-stride], oracle[stride:-stride, stride:-stride], atol=1e-5)


def test_every_output_channel_interpolates_the_only_input_channel():
    layer = keras.layers.Conv1DTranspose(3, 3, 2, kernel_initializer=Bilinear(), use_bias=False)
    y = numpy(layer(np.array([[[1.0], [3.0]]], "float32")))
    np.testing.assert_allclose(y[0], np.repeat([[0.5], [1], [2], [3], [1.5]], 3, axis=1))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_it_has_the_requested_dtype(dtype):
    w = Bilinear()((4, 4, 2, 2), dtype=dtype)
    assert keras.backend.standardize_dtype(w.dtype) == dtype
    np.testing.assert_array_equal(numpy(keras.ops.cast(w, "float32"))[:, 1, 0, 0], [0.1875, 0.5625, 0.5625, 0.1875])


def test_a_layer_with_it_saves_and_loads_without_custom_objects(tmp_path):
    layer = keras.layers.Conv2DTranspose(2, 5, kernel_initializer=Bilinear((2, 3)))
    model = keras.Sequential([keras.Input((4, 4, 2)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").layers[0].kernel_initializer
    assert isinstance(loaded, Bilinear)
    assert loaded.strides == [2, 3]


@pytest.mark.parametrize(
    ("strides", "shape", "argument"),
    [
        (0, (4, 4, 2, 2), "strides"),
        (2.0, (4, 4, 2, 2), "strides"),
        ((2, 2, 2), (4, 4, 2, 2), "strides"),
        (None, (4, 2), "shape"),
        (None, (4, 4, 2, 3), "shape"),
        (2, (2, 2, 1, 1), "kernel_size"),
    ],
)
def test_rejects(strides, shape, argument):
    with pytest.raises((ValueError, TypeError), match=f"Bilinear: `{argument}` must be .* Received: "):
        Bilinear(strides)(shape)
