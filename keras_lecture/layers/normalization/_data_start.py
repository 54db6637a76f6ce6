"""Data-dependent initialization: scale and bias that give each unit of a linear layer mean 0 and variance 1."""

import keras
from keras import ops

from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.inputs import at_least_float32


def standardizing(layer: keras.layers.Layer, outputs: Tensor) -> tuple[Tensor, Tensor]:
    """`1/σ` and `−μ/σ` of each unit's outputs: factors in the order of the kernel's units, shifts shaped as the bias.

    A unit that is constant up to rounding keeps its scale. Without a bias the shifts are None.
    """
    rank = len(outputs.shape)
    units = _unit_axes(layer, rank)
    others = [axis for axis in range(rank) if axis not in units]
    mean, variance = ops.moments(at_least_float32(outputs), others, keepdims=True)
    varies = variance > 1e-10 * (variance + ops.square(mean))
    factor = ops.where(varies, ops.rsqrt(ops.where(varies, variance, 1.0)), 1.0)
    factors = ops.reshape(ops.transpose(factor, [*units, *others]), (-1,))
    return factors, None if layer.bias is None else _like_bias(layer, -mean * factor)


def _unit_axes(layer, rank):
    """The axes of the outputs that index units, in the order of the kernel's axes."""
    if isinstance(layer, keras.layers.EinsumDense):
        operands, result = layer.equation.split("->")
        kernel = operands.split(",")[1]
        before, _, after = result.partition("...")
        axes = {letter: axis for axis, letter in enumerate(before)}
        axes |= {letter: axis for axis, letter in enumerate(after, rank - len(after))}
        return [axes[letter] for letter in kernel if letter in axes]
    return [1 if getattr(layer, "data_format", None) == "channels_first" else rank - 1]


def _like_bias(layer, shift):
    """Shifts with the rank of the outputs, in the shape of the bias; units that share a bias get their mean."""
    shape = tuple(layer.bias.shape)
    if not isinstance(layer, keras.layers.EinsumDense):
        return ops.reshape(shift, shape)
    full = (1,) * (len(shift.shape) - len(shape)) + shape
    shared = [axis for axis, size in enumerate(full) if size == 1]
    return ops.reshape(ops.broadcast_to(ops.mean(shift, shared, keepdims=True), full), shape)
