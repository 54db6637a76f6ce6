"""The fans of a kernel: which of its entries enter one output unit, and which leave one input unit."""

import math
from dataclasses import dataclass

import keras
import numpy as np

from keras_lecture._core import checks
from keras_lecture._core.weights import Weight

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)


@dataclass(frozen=True)
class Connections:
    """A kernel's axes over the inputs of one output unit (`incoming`) and the outputs of one input unit (`outgoing`).

    `fan_in` weights enter one output unit, `fan_out` weights leave one input unit. A stride reduces this to one weight
    in `thinning_in` (transposed convolution) or `thinning_out` on average; with groups, an input channel is connected
    to one group of outputs only. Borders are ignored.
    """

    shape: tuple
    incoming: tuple
    outgoing: tuple
    thinning_in: int = 1
    thinning_out: int = 1

    @property
    def fan_in(self) -> float:
        return self._size(self.incoming) / self.thinning_in

    @property
    def fan_out(self) -> float:
        return self._size(self.outgoing) / self.thinning_out

    def _size(self, axes) -> int:
        return math.prod(self.shape[axis] for axis in axes)


def from_shape(shape) -> Connections:
    """The connections of a dense or plain convolution kernel of this shape, `(…, inputs, outputs)`."""
    axes = tuple(range(len(shape)))
    if len(shape) < 2:
        return Connections(tuple(shape), axes, axes)
    return Connections(tuple(shape), axes[:-1], (*axes[:-2], axes[-1]))


def from_weight(weight: Weight) -> Connections:
    """The connections of the kernel of any Keras layer; a kernel of another layer is judged by its shape."""
    layer, shape = weight.layer, tuple(weight.variable.shape)
    thinning = math.prod(getattr(layer, "strides", (1,)))
    *space, first, last = range(len(shape)) if len(shape) > 1 else (0, 0)
    if weight.depthwise:
        return Connections(shape, tuple(space), (*space, last), thinning_out=thinning)
    if weight.attribute == "kernel" and isinstance(layer, _TRANSPOSED):
        return Connections(shape, (*space, last), (*space, first), thinning_in=thinning)
    if weight.attribute == "kernel" and isinstance(layer, _CONVOLUTIONS):
        return Connections(shape, (*space, first), (*space, last), thinning_out=layer.groups * thinning)
    if weight.attribute == "kernel" and isinstance(layer, keras.layers.EinsumDense):
        return _einsum(layer.equation, shape)
    if weight.attribute == "embeddings":
        # A lookup selects one row: every output unit has one input at a time.
        return Connections(shape, (), (last,))
    return from_shape(shape)


def _einsum(equation: str, shape) -> Connections:
    """An axis shared by inputs, kernel and outputs (b in `abc,bcd->abd`) is a batch of kernels and in neither fan."""
    operands, result = equation.replace("...", "").split("->")
    inputs, kernel = operands.split(",")
    incoming = tuple(axis for axis, letter in enumerate(kernel) if letter not in result)
    outgoing = tuple(axis for axis, letter in enumerate(kernel) if letter not in inputs)
    return Connections(shape, incoming, outgoing)


def whole_numbers(owner: str, argument: str, value, interval: str = "(-∞, ∞)") -> list | None:
    """Checks an argument of one or several whole numbers and returns it as a list; `None` stays `None`."""
    if value is None:
        return None
    numbers = list(value) if isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value) else [value]
    for number in numbers:
        checks.whole(owner, argument, number, interval)
    return [int(number) for number in numbers]


def check_axes(owner: str, argument: str, axes, shape):
    """Requires axes that exist in a weight of this shape."""
    for axis in axes or ():
        checks.whole(owner, argument, axis, f"[-{len(shape)}, {len(shape)})", f"The weight has shape {tuple(shape)}.")
