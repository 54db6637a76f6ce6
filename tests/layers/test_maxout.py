"""Maxout and PReLU: their formulas, the layers that are special cases, the initial weights."""

import keras
import numpy as np
import pytest
import torch
from support.harness import BACKEND, assert_close, numpy

from keras_lecture import initializers
from keras_lecture.layers import Maxout, MaxoutConv2D, PReLU


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_maxout_is_the_largest_of_its_linear_pieces():
    x, layer = data(5, 3), Maxout(4, pieces=3, bias_initializer="random_normal")
    y = numpy(layer(x))
    kernel, bias = (numpy(w) for w in layer.weights)
    pieces = [x @ kernel[:, 4 * k : 4 * k + 4] + bias[4 * k : 4 * k + 4] for k in range(3)]
    assert_close(y, np.max(pieces, 0), atol=1e-5)


def test_one_piece_is_dense_and_convolution():
    x, image = data(5, 3), data(2, 6, 6, 3)
    maxout, dense = Maxout(4, pieces=1), keras.layers.Dense(4)
    dense.build(x.shape)
    maxout(x)
    dense.set_weights(maxout.get_weights())
    assert_close(maxout(x), numpy(dense(x)))
    maxout, convolution = MaxoutConv2D(4, 3, pieces=1, strides=2), keras.layers.Conv2D(4, 3, strides=2)
    convolution.build(image.shape)
    maxout(image)
    convolution.set_weights(maxout.get_weights())
    assert_close(maxout(image), numpy(convolution(image)))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_convolutional_maxout_is_the_largest_of_its_convolutions(data_format):
    """Oracle: `torch.nn.functional.conv2d`, one per piece."""
    x = data(2, 5, 6, 3)
    moved = torch.tensor(np.moveaxis(x, -1, 1))
    layer = MaxoutConv2D(2, 3, pieces=2, padding="valid", data_format=data_format)
    image = x if data_format == "channels_last" else moved.contiguous().numpy()
    model = keras.Sequential([keras.Input(image.shape[1:]), layer])
    # On a CPU TensorFlow has channels-first convolutions only under XLA.
    model.compile(loss="mse", jit_compile=BACKEND != "torch")
    y = model.predict(image, verbose=0)
    kernel = torch.tensor(numpy(layer.weights[0])).permute(3, 2, 0, 1)
    pieces = [torch.nn.functional.conv2d(moved, kernel[2 * k : 2 * k + 2]) for k in range(2)]
    expected = torch.maximum(*pieces).numpy()
    assert_close(y, np.moveaxis(expected, 1, -1) if data_format == "channels_last" else expected, atol=1e-5)


@pytest.mark.parametrize("seed", [None, 3])
def test_every_piece_starts_with_the_fan_of_one_piece_and_pieces_differ(seed):
    """glorot_uniform on (300, 200): limit √(6/500); drawn over all pieces at once it would be √(6/1100)."""
    layer = Maxout(200, pieces=4, kernel_initializer=keras.initializers.GlorotUniform(seed))
    layer.build((None, 300))
    pieces = np.split(numpy(layer.weights[0]), 4, axis=1)
    limit = np.sqrt(6 / 500)
    for piece in pieces:
        np.testing.assert_allclose(np.abs(piece).max(), limit, rtol=1e-3)
    assert not np.allclose(pieces[0], pieces[1])


def test_regularizers_and_constraints_reach_the_kernel():
    layer = Maxout(3, kernel_regularizer=keras.regularizers.L2(0.5), kernel_constraint="non_neg", use_bias=False)
    layer.build((None, 2))
    assert_close(layer.losses[0], 0.5 * np.sum(np.square(numpy(layer.weights[0]))))
    assert layer.get_config()["use_bias"] is False
    again = Maxout.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert isinstance(again.linear.kernel_constraint, keras.constraints.NonNeg)


@pytest.mark.parametrize(
    ("cls", "arguments", "argument"),
    [
        (Maxout, {"units": 0}, "units"),
        (Maxout, {"units": 2, "pieces": 0}, "pieces"),
        (MaxoutConv2D, {"filters": 0, "kernel_size": 3}, "filters"),
        (MaxoutConv2D, {"filters": 1, "kernel_size": 3, "pieces": 1.5}, "pieces"),
        (MaxoutConv2D, {"filters": 1, "kernel_size": 3, "padding": "causal"}, "padding"),
        (PReLU, {"axis": 0}, "axis"),
        (PReLU, {"axis": None}, "axis"),
        # Keras takes −1 for the axis before the last, in silence.
        (PReLU, {"shared_axes": [-1]}, "shared_axes"),
        (PReLU, {"shared_axes": 1.5}, "shared_axes"),
        (Maxout, {"units": 1, "use_bias": "relu"}, "use_bias"),
    ],
)
def test_rejects(cls, arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"{cls.__name__}: `{argument}`"):
        cls(**arguments)


@pytest.mark.parametrize(("shape", "axis"), [((4, 3), -1), ((2, 5, 5, 3), -1), ((2, 3, 5, 5), 1)])
def test_prelu_shares_one_slope_per_channel_and_matches_pytorch(shape, axis):
    x, slopes = data(*shape), np.array([0.0, 0.5, 1.5], "float32")
    layer = PReLU(axis=axis)
    layer.build(shape)
    assert sorted(layer.alpha.shape) == [*[1] * (len(shape) - 2), 3]
    layer.alpha.assign(slopes.reshape(layer.alpha.shape))
    expected = torch.nn.functional.prelu(torch.tensor(x).movedim(axis, 1), torch.tensor(slopes)).movedim(1, axis)
    assert_close(layer(x), expected.numpy())


def test_prelu_with_slopes_zero_is_relu_and_starts_at_a_quarter():
    x = data(4, 3)
    assert_close(PReLU(alpha_initializer=0)(x), np.maximum(x, 0))
    assert_close(PReLU()(x), np.where(x > 0, x, x / 4))


def test_prelu_with_no_shared_axes_has_the_slopes_of_keras():
    layer = PReLU(shared_axes=[])
    layer.build((None, 5, 4, 3))
    assert tuple(layer.alpha.shape) == (5, 4, 3)
    assert PReLU.from_config(layer.get_config()).shared_axes == []


def pieces(initializer, count=3):
    layer = Maxout(2, pieces=count, kernel_initializer=initializer)
    layer.build((None, 4))
    return np.split(keras.ops.convert_to_numpy(layer.linear.kernel), count, axis=1)


@pytest.mark.parametrize("seed", [1, None, pytest.param(lambda: keras.random.SeedGenerator(1), id="generator")])
@pytest.mark.parametrize(
    "kind", [initializers.Kaiming, keras.initializers.GlorotUniform, keras.initializers.Orthogonal]
)
def test_pieces_differ_with_every_kind_of_seed(kind, seed):
    """With a `SeedGenerator` all pieces were drawn from its start: the layer was a linear one."""
    first, second, third = pieces(kind(seed=seed() if callable(seed) else seed))
    assert np.abs(first - second).max() > 0.01 and np.abs(second - third).max() > 0.01


class Fill(keras.initializers.Initializer):
    """As users write them: Keras needs `get_config` for saving only."""

    def __init__(self, value=1.0):
        self.value = value

    def __call__(self, shape, dtype=None):
        return keras.ops.full(shape, self.value, dtype)


class FanOut(initializers.Kaiming):
    def __init__(self):
        super().__init__(mode="fan_out", seed=0)


def test_an_initializer_without_a_config_keeps_its_arguments():
    """Pieces after the first were drawn by an initializer with default arguments, or there was a raw `TypeError`."""
    assert {float(value) for piece in pieces(Fill(5.0)) for value in piece.flat} == {5.0}
    first, second, _ = pieces(FanOut())
    assert np.abs(first - second).max() > 0.01


def test_sizes_may_be_integers_of_numpy():
    assert Maxout(np.int64(4), pieces=np.int64(2))(np.ones((2, 3), "float32")).shape == (2, 4)
