"""Upscale2D: bilinear interpolation at the start, and a transposed convolution with any weights."""

import keras
import numpy as np
import pytest
from oracles.blocks import bilinear, tensor
from support.harness import assert_close, numpy
from torch.nn import functional

from keras_lecture.layers import Upscale2D

X = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")


@pytest.mark.parametrize("factor", [(2, 2), (3, 1), (1, 4)])
def test_it_starts_as_bilinear_interpolation_edges_included(factor):
    """Oracles: NumPy in float64, and `torch.nn.functional.interpolate`; 1e-5."""
    y = numpy(Upscale2D(factor)(X))
    assert_close(y, bilinear(X, factor))
    moved = functional.interpolate(tensor(X).movedim(-1, 1), scale_factor=factor, mode="bilinear", align_corners=False)
    assert_close(y, moved.movedim(1, -1).numpy())


def test_at_the_start_it_is_upsampling2d():
    assert_close(Upscale2D()(X), numpy(keras.layers.UpSampling2D(2, interpolation="bilinear")(X)))


def test_with_other_weights_it_is_the_transposed_convolution_of_the_edge_padded_image():
    """Oracle: `torch.nn.functional.conv_transpose2d` in float64, whose padding crops the output; 1e-5."""
    layer, generator = Upscale2D((2, 3), filters=2, use_bias=True), np.random.default_rng(1)
    layer.build(X.shape)
    kernel, bias = generator.normal(size=(4, 5, 2, 3)), generator.normal(size=2)
    layer.set_weights([kernel, bias])
    edged = functional.pad(tensor(X).movedim(-1, 1), (1, 1, 1, 1), mode="replicate")
    weight = tensor(kernel).permute(3, 2, 0, 1)
    y = functional.conv_transpose2d(edged, weight, tensor(bias), stride=(2, 3), padding=(3, 4))
    assert_close(layer(X), y.movedim(1, -1).numpy(), atol=1e-5)


def test_other_filters_start_as_interpolated_mixtures_of_the_channels_that_keep_the_variance():
    layer = Upscale2D(filters=7)
    y = numpy(layer(X))
    # The kernel of each pair of channels is a triangle times its weight; a triangle of factor s sums to s.
    mixture = numpy(layer.kernel).sum((0, 1)).T / 4
    assert_close(y, bilinear(X @ mixture, (2, 2)), atol=1e-5)
    wide = Upscale2D(1, filters=200)
    wide.build((None, 3, 3, 100))
    np.testing.assert_allclose(numpy(wide.kernel).var(), 1 / 100, rtol=0.05)


def test_every_filter_of_a_single_channel_interpolates_it():
    gray = X[..., :1]
    assert_close(Upscale2D(filters=3)(gray), np.repeat(bilinear(gray, (2, 2)), 3, -1))


def test_the_kernel_is_trainable_and_the_config_keeps_the_arguments():
    layer = Upscale2D(3, kernel_regularizer=keras.regularizers.L2(0.1), activation="tanh")
    layer.build(X.shape)
    assert [w.path.split("/")[-1] for w in layer.trainable_weights] == ["kernel"]
    config = layer.get_config()
    assert config["filters"] is None and tuple(config["factor"]) == (3, 3)
    again = Upscale2D.from_config(config)
    assert isinstance(again.kernel_regularizer, keras.regularizers.L2)
    assert_close(again(X), np.tanh(bilinear(X, (3, 3))))


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"factor": 0}, "factor"),
        ({"factor": (2, 2, 2)}, "factor"),
        ({"factor": 1.5}, "factor"),
        ({"factor": None}, "factor"),
        ({"filters": 0}, "filters"),
        ({"use_bias": 1}, "use_bias"),
        ({"data_format": "first"}, "data_format"),
    ],
)
def test_rejects(arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"Upscale2D: `{argument}`"):
        Upscale2D(**arguments)
