"""Max pooling against a NumPy loop and PyTorch's kernels, and where its gradient goes."""

import keras
import numpy as np
import pytest
import torch
from keras import ops
from oracles import layers as oracles
from support.harness import assert_close, in_one, numpy

from keras_lecture import _backend
from keras_lecture.layers import MaxPooling1D, MaxPooling2D, MaxPooling3D

CLASSES = {1: MaxPooling1D, 2: MaxPooling2D, 3: MaxPooling3D}
TORCH = {1: torch.nn.functional.max_pool1d, 2: torch.nn.functional.max_pool2d, 3: torch.nn.functional.max_pool3d}


def value_and_gradient(layer, x, cotangent):
    weigh = ops.convert_to_tensor(cotangent)

    def loss(inputs):
        y = layer(inputs[0])
        return ops.sum(y * weigh), y

    (_, y), (gradient,) = in_one(_backend.value_and_grad(loss))([ops.convert_to_tensor(x)])
    return numpy(y), numpy(gradient)


def test_worked_example_of_deck_a():
    """Deck A, "Max pooling": 5 × 5 to 4 × 4 with a window of 2 and a step of 1, M = (5 + 0 − 2)/1 + 1 = 4."""
    x = np.arange(25, dtype="float32").reshape(1, 5, 5, 1)
    y = numpy(MaxPooling2D(2, 1)(x))
    assert y.shape == (1, 4, 4, 1)
    assert_close(y, oracles.max_pool(x, (2, 2), (1, 1), [(0, 0)] * 2))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("size", "stride", "padding"), [(2, 2, 0), (3, 1, 1), (3, 2, 1), (2, 1, 1)])
def test_values_and_gradient_match_pytorch_and_numpy(rank, size, stride, padding):
    """Oracles: `torch.nn.functional.max_poolNd` and the NumPy loop; float32 tolerance, gradients exact."""
    n = size + 3 * stride - 2 * padding
    x = np.random.default_rng(rank).normal(size=(2, *[n] * rank, 3)).astype("float32")
    layer = CLASSES[rank](size, stride, padding)
    moved = torch.tensor(np.moveaxis(x, -1, 1)).requires_grad_()
    expected = TORCH[rank](moved, size, stride, padding)
    cotangent = np.random.default_rng(9).normal(size=expected.movedim(1, -1).shape).astype("float32")
    expected.backward(torch.tensor(np.moveaxis(cotangent, -1, 1)))
    y, gradient = value_and_gradient(layer, x, cotangent)
    assert_close(y, oracles.max_pool(x, [size] * rank, [stride] * rank, [(padding, padding)] * rank))
    assert_close(y, np.moveaxis(expected.detach().numpy(), 1, -1))
    assert_close(gradient, np.moveaxis(moved.grad.numpy(), 1, -1))


@pytest.mark.parametrize("n", [4, 6, 7])
@pytest.mark.parametrize(("size", "stride", "padding"), [(2, 3, 1), (3, 2, 1), (3, 2, 0)])
def test_ceil_mode_matches_pytorch(n, size, stride, padding):
    x = np.random.default_rng(n).normal(size=(2, n, n, 2)).astype("float32")
    expected = TORCH[2](torch.tensor(np.moveaxis(x, -1, 1)), size, stride, padding, ceil_mode=True)
    layer = MaxPooling2D(size, stride, padding, ceil_mode=True)
    assert layer.compute_output_shape(x.shape) == tuple(np.moveaxis(expected.numpy(), 1, -1).shape)
    assert_close(in_one(layer)(x), np.moveaxis(expected.numpy(), 1, -1))


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_ties_give_the_gradient_to_the_first_element_as_in_pytorch(data_format):
    """Small whole numbers tie in most windows, also between rows and columns."""
    x = np.random.default_rng(0).integers(0, 2, size=(4, 7, 7, 3)).astype("float32")
    cotangent = np.random.default_rng(1).normal(size=(4, 3, 3, 3)).astype("float32")
    moved = torch.tensor(np.moveaxis(x, -1, 1)).requires_grad_()
    TORCH[2](moved, 3, 2).backward(torch.tensor(np.moveaxis(cotangent, -1, 1)))
    expected = np.moveaxis(moved.grad.numpy(), 1, -1)
    layer = MaxPooling2D(3, 2, data_format=data_format)
    if data_format == "channels_first":
        x, cotangent, expected = (np.ascontiguousarray(np.moveaxis(a, -1, 1)) for a in (x, cotangent, expected))
    assert_close(value_and_gradient(layer, x, cotangent)[1], expected)


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2)])
def test_volumes_are_pooled_in_half_precision(size, stride):
    """TensorFlow pools volumes only in float32, and compares few axes at once. Sums of whole numbers are exact."""
    x = np.random.default_rng(0).normal(size=(2, 7, 7, 7, 3)).astype("float16")
    cotangent = np.random.default_rng(1).integers(-3, 4, size=(2, 3, 3, 3, 3)).astype("float16")
    moved = torch.tensor(np.moveaxis(x, -1, 1).astype("float32")).requires_grad_()
    TORCH[3](moved, size, stride).backward(torch.tensor(np.moveaxis(cotangent, -1, 1).astype("float32")))
    gradient = value_and_gradient(MaxPooling3D(size, stride, dtype="float16"), x, cotangent)[1]
    assert_close(gradient, np.moveaxis(moved.grad.numpy(), 1, -1))


def test_padding_is_never_the_maximum():
    y = numpy(MaxPooling2D(3, 1, 1)(np.full((1, 4, 4, 1), -7.0, "float32")))
    assert np.all(y == -7.0)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2), (3, 1)])
def test_named_paddings_are_those_of_keras(padding, size, stride):
    x = np.random.default_rng(3).normal(size=(2, 8, 7, 3)).astype("float32")
    ours, theirs = MaxPooling2D(size, stride, padding), keras.layers.MaxPooling2D(size, stride, padding)
    assert_close(in_one(ours)(x), numpy(in_one(theirs)(x)))


def test_a_window_of_one_changes_nothing():
    x = np.random.default_rng(3).normal(size=(2, 5, 5, 3)).astype("float32")
    assert_close(MaxPooling2D(1)(x), x)


def test_a_division_with_a_remainder_prints_the_formula_and_a_padding_that_divides():
    with pytest.raises(ValueError, match=r"M = \(112 \+ 2 − 3\)/2 \+ 1 is a whole number.*ceil_mode=True") as refused:
        MaxPooling2D(3, 2, 1).build((None, 112, 112, 64))
    assert "padding=((1, 0), (1, 1))" in str(refused.value)
    # With that padding on both axes the result is that of PyTorch, which rounds down.
    x = np.random.default_rng(3).normal(size=(1, 12, 12, 2)).astype("float32")
    expected = TORCH[2](torch.tensor(np.moveaxis(x, -1, 1)), 3, 2, 1)
    assert_close(MaxPooling2D(3, 2, ((1, 0), (1, 0)))(x), np.moveaxis(expected.numpy(), 1, -1))


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"pool_size": 0}, "pool_size"),
        ({"pool_size": (2, 2, 2)}, "pool_size"),
        ({"strides": 0}, "strides"),
        ({"padding": 2}, "padding"),
        ({"padding": "full"}, "padding"),
        ({"padding": ((1, 2), (0, 0))}, "padding"),
        ({"data_format": "NCHW"}, "data_format"),
        ({"ceil_mode": 1}, "ceil_mode"),
        ({"padding": "same", "ceil_mode": True}, "ceil_mode"),
    ],
)
def test_rejects(arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"MaxPooling2D: `{argument}`"):
        MaxPooling2D(**arguments)


def test_rejects_an_input_smaller_than_the_window():
    with pytest.raises(ValueError, match="MaxPooling2D: `pool_size`"):
        MaxPooling2D(3)(np.ones((1, 2, 2, 1), "float32"))


def test_a_compiled_model_pools():
    """On TensorFlow the kernel traces the formula as well, which it used to look up under an outdated name."""
    model = keras.Sequential([keras.Input((8, 8, 3)), MaxPooling2D(2)])
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_array_equal(model.predict(x, verbose=0), x.reshape(2, 4, 2, 4, 2, 3).max((2, 4)))
