"""Fans compared with connections counted one by one, for every kind of kernel in Keras."""

import keras
import numpy as np
import pytest
from keras.src.initializers.random_initializers import compute_fans
from oracles.initializers import connections as counted
from support.harness import in_one, numpy

from keras_lecture._core.connections import from_shape, from_weight
from keras_lecture._core.weights import weights

layers = keras.layers

# The layer and its input shape.
KINDS = {
    "dense": (lambda: layers.Dense(5), (7,)),
    "dense on a sequence": (lambda: layers.Dense(5), (3, 7)),
    "convolution 1-D": (lambda: layers.Conv1D(4, 3), (9, 2)),
    "convolution 2-D": (lambda: layers.Conv2D(4, (3, 2)), (7, 6, 2)),
    "convolution 3-D": (lambda: layers.Conv3D(2, 2), (4, 4, 4, 2)),
    "dilated": (lambda: layers.Conv1D(3, 3, dilation_rate=2), (13, 2)),
    "strided": (lambda: layers.Conv2D(4, 4, strides=2), (12, 12, 2)),
    "grouped": (lambda: layers.Conv1D(6, 3, groups=3), (9, 6)),
    "grouped and strided": (lambda: layers.Conv1D(4, 4, strides=2, groups=2), (14, 4)),
    "depthwise 1-D": (lambda: layers.DepthwiseConv1D(3, depth_multiplier=2), (9, 3)),
    "depthwise 2-D": (lambda: layers.DepthwiseConv2D(3), (7, 7, 3)),
    "depthwise strided": (lambda: layers.DepthwiseConv2D(2, strides=2, depth_multiplier=3), (8, 8, 2)),
    "transposed 1-D": (lambda: layers.Conv1DTranspose(5, 3), (9, 2)),
    "transposed 2-D": (lambda: layers.Conv2DTranspose(3, 2), (5, 5, 4)),
    "transposed 3-D": (lambda: layers.Conv3DTranspose(2, 2), (4, 4, 4, 3)),
    "transposed strided": (lambda: layers.Conv2DTranspose(3, 4, strides=2), (6, 6, 2)),
    "einsum, two outputs": (lambda: layers.EinsumDense("abc,cde->abde", (3, 4, 5)), (3, 6)),
    "einsum, two inputs": (lambda: layers.EinsumDense("abcd,cde->abe", (3, 7)), (3, 2, 5)),
    "einsum, a batch of kernels": (lambda: layers.EinsumDense("abc,bcd->abd", (3, 4)), (3, 6)),
    "einsum, dots": (lambda: layers.EinsumDense("...x,xy->...y", 5), (2, 6)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_fans_are_the_connections_of_units_away_from_borders(kind):
    """Oracle: connections counted by unit vectors through a kernel of ones, averaged over a period of the stride."""
    make, input_shape = KINDS[kind]
    layer = make()
    layer.build((None, *input_shape))
    layer.set_weights([np.ones_like(weight) if weight.ndim > 1 else weight for weight in layer.get_weights()])
    call = in_one(layer)
    into, out_of = counted(lambda x: numpy(call(x)), input_shape)
    [kernel] = [weight for weight in weights(layer) if weight.role == "kernel"]
    fans = from_weight(kernel)
    output_shape = layer.compute_output_shape((1, *input_shape))[1:]
    assert np.isclose(_inner_mean(into.reshape(output_shape)), fans.fan_in), "fan_in"
    assert np.isclose(_inner_mean(out_of), fans.fan_out), "fan_out"


def _inner_mean(counts):
    """The mean over the two middle pixels along each spatial axis (0 … −2), one period of a stride of 2."""
    for axis in range(counts.ndim - 1):
        middle = counts.shape[axis] // 2
        if counts.shape[axis] > 3:
            counts = counts.take([middle - 1, middle], axis=axis)
    return counts.mean()


def test_a_separable_convolution_is_a_depthwise_and_a_dense_one():
    layer = layers.SeparableConv2D(5, 3, strides=1, depth_multiplier=2)
    layer.build((None, 8, 8, 4))
    fans = {weight.attribute: from_weight(weight) for weight in weights(layer) if weight.role == "kernel"}
    assert (fans["depthwise_kernel"].fan_in, fans["depthwise_kernel"].fan_out) == (9, 18)
    assert (fans["pointwise_kernel"].fan_in, fans["pointwise_kernel"].fan_out) == (8, 5)


def test_an_embedding_has_one_input_at_a_time():
    layer = layers.Embedding(100, 8)
    layer.build()
    [weight] = weights(layer)
    assert (from_weight(weight).fan_in, from_weight(weight).fan_out) == (1, 8)


def test_fans_of_recurrent_kernels_follow_from_their_shape():
    layer = layers.LSTM(5)
    layer.build((None, 3, 7))
    fans = {weight.attribute: from_weight(weight).fan_in for weight in weights(layer) if weight.role == "kernel"}
    assert fans == {"kernel": 7, "recurrent_kernel": 5}


@pytest.mark.parametrize(
    ("shape", "fan_in", "fan_out"), [((), 1, 1), ((3,), 3, 3), ((3, 4), 3, 4), ((2, 5, 3, 4), 30, 40)]
)
def test_fans_from_a_shape_are_those_of_keras(shape, fan_in, fan_out):
    """Oracle: Keras's compute_fans (3.15), which every initializer of Keras uses."""
    fans = from_shape(shape)
    assert (fans.fan_in, fans.fan_out) == (fan_in, fan_out)
    assert compute_fans(shape) == (fan_in, fan_out)
