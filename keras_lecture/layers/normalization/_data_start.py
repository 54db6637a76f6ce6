"""The start from data: which scale and bias give every unit of a linear layer mean 0 and variance 1 on a batch."""

import keras
from keras import ops

from keras_lecture._core.types import Tensor


def standardizing(layer, outputs: Tensor) -> tuple[Tensor, Tensor]:
    """`1/σ` and `−μ/σ` of the outputs of each unit: factors in the order of the kernel's units, shifts as the bias is.

    A unit that does not vary, but for roundings, keeps its scale.
    """
    wide = ops.cast(outputs, keras.backend.result_type(outputs.dtype, "float32"))
    rank = len(wide.shape)
    units = _unit_axes(layer, rank)
    places = [axis for axis in range(rank) if axis not in units]
    mean, variance = ops.moments(wide, places, keepdims=True)
    varies = variance > 1e-10 * (variance + ops.square(mean))
    factor = ops.where(varies, ops.rsqrt(ops.where(varies, variance, 1.0)), 1.0)
    order = [*units, *places]
    factors = ops.reshape(ops.transpose(factor, order), (-1,))
    return factors, None if layer.bias is None else _like_bias(layer, -mean * factor)


def _unit_axes(layer, rank):
    """The axes of the outputs along which units lie, in the order of the kernel's axes."""
    if isinstance(layer, keras.layers.EinsumDense):
        operands, result = layer.equation.split("->")
        kernel = operands.split(",")[1]
        before, _, after = result.partition("...")
        axes = {letter: place for place, letter in enumerate(before)}
        axes |= {letter: rank - len(after) + place for place, letter in enumerate(after)}
        return [axes[letter] for letter in kernel if letter in axes]
    return [1 if getattr(layer, "data_format", None) == "channels_first" else rank - 1]


def _like_bias(layer, shift):
    """Shifts, of as many axes as the outputs, in the shape of the bias; units that share one share their mean."""
    shape = tuple(layer.bias.shape)
    if not isinstance(layer, keras.layers.EinsumDense):
        return ops.reshape(shift, shape)
    full = (1,) * (len(shift.shape) - len(shape)) + shape
    shared = [axis for axis, size in enumerate(full) if size == 1]
    return ops.reshape(ops.broadcast_to(ops.mean(shift, shared, keepdims=True), full), shape)
