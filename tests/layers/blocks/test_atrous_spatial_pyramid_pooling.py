"""Atrous spatial pyramid pooling: the forms of both papers, against PyTorch's functions."""

import keras
import numpy as np
import pytest
import torch
from oracles.blocks import batch_norm, convolution, tensor
from support.harness import assert_close, in_one, numpy

from keras_lecture.layers import AtrousSpatialPyramidPooling

X = np.random.default_rng(0).normal(size=(2, 6, 5, 3)).astype("float32")


def drawn(layer, shape):
    """Randomizes all weights, so that biases and gains matter; returns the kernels and the vectors, in order."""
    layer.build(shape)
    generator = np.random.default_rng(1)
    layer.set_weights([generator.uniform(0.2, 1.0, size=w.shape) for w in layer.weights])
    trained = [numpy(w) for w in layer.trainable_weights]
    return [w for w in trained if w.ndim > 1], [w for w in trained if w.ndim == 1]


@pytest.mark.parametrize("image_pooling", [False, True])
def test_sum_adds_one_dilated_convolution_per_rate_as_deeplab_v2(image_pooling):
    """Oracle: `torch.nn.functional.conv2d` with `dilation`, float64; 1e-5."""
    layer = AtrousSpatialPyramidPooling(4, rates=(1, 2, 4), image_pooling=image_pooling)
    kernels, biases = drawn(layer, X.shape)
    x = tensor(X).movedim(-1, 1)
    y = sum(
        convolution(x, k, dilation=rate, bias=b) for rate, k, b in zip((1, 2, 4), kernels[:3], biases[:3], strict=True)
    )
    if image_pooling:
        y = y + convolution(x.mean((2, 3), keepdim=True), kernels[3], bias=biases[3])
    assert_close(in_one(layer)(X), y.movedim(1, -1).numpy(), atol=1e-4)


def test_concat_joins_all_branches_and_projects_them_as_deeplab_v3():
    """Oracle: a composition of PyTorch's functions in float64, batch statistics; 1e-5."""
    layer = AtrousSpatialPyramidPooling(4, rates=(2, 3), merge="concat", image_pooling=True)
    kernels, vectors = drawn(layer, X.shape)
    assert [k.shape[:2] for k in kernels] == [(1, 1), (3, 3), (3, 3), (1, 1), (1, 1)]
    gains = list(zip(vectors[::2], vectors[1::2], strict=True))
    x = tensor(X).movedim(-1, 1)

    def branch(x, index, dilation=1):
        return torch.relu(batch_norm(convolution(x, kernels[index], dilation=dilation), *gains[index]))

    image = branch(x.mean((2, 3), keepdim=True), 3).expand(2, 4, 6, 5)
    y = branch(torch.cat([branch(x, 0), branch(x, 1, 2), branch(x, 2, 3), image], 1), 4)
    assert_close(in_one(lambda x: layer(x, training=True))(X), y.movedim(1, -1).numpy(), atol=1e-4)


def test_sum_with_rate_1_is_a_3x3_convolution():
    layer, convolution = AtrousSpatialPyramidPooling(4, rates=(1,)), keras.layers.Conv2D(4, 3, padding="same")
    convolution.build(X.shape)
    layer.build(X.shape)
    convolution.set_weights(layer.get_weights())
    assert_close(layer(X), numpy(convolution(X)), atol=1e-5)


def test_sequences_and_volumes():
    """A volume of depth 1 is an image: the first and last slice of the kernel see only padding."""
    kinds = {"merge": "concat", "normalization": None, "image_pooling": True, "activation": "tanh"}
    image, volume = (AtrousSpatialPyramidPooling(2, rates=(2,), **kinds) for _ in range(2))
    image.build(X.shape)
    volume.build((2, 1, *X.shape[1:]))
    weights = [numpy(w) for w in volume.weights]
    image.set_weights([w[w.shape[0] // 2] if w.ndim == 5 else w for w in weights])
    assert_close(in_one(volume)(X[:, None]), numpy(in_one(image)(X))[:, None], atol=1e-5)
    assert AtrousSpatialPyramidPooling(2, rates=(2,)).compute_output_shape((2, 9, 3)) == (2, 9, 2)


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"filters": 0}, "filters"),
        ({"rates": ()}, "rates"),
        ({"rates": (0,)}, "rates"),
        ({"rates": None}, "rates"),
        ({"merge": "mean"}, "merge"),
        ({"image_pooling": 1}, "image_pooling"),
        ({"normalization": "weight"}, "normalization"),
        ({"data_format": "first"}, "data_format"),
    ],
)
def test_rejects(arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"AtrousSpatialPyramidPooling: `{argument}`"):
        AtrousSpatialPyramidPooling(**{"filters": 2, "rates": (1,), **arguments})


def test_rejects_an_input_without_spatial_axes():
    with pytest.raises(ValueError, match="`inputs` must be sequences, images or volumes"):
        AtrousSpatialPyramidPooling(2, rates=(1,))(X[:, 0, 0])
