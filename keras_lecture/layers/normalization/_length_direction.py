"""A kernel as lengths and directions: what its layer, its penalty and its constraint see of it."""

import math

from keras import ops

from keras_lecture._core.types import Tensor

# A direction shorter than this is none: its kernel is 0 instead of 0/0. The square is still a normal float32.
SHORTEST = 1e-18


def normalize_kernel(v: Tensor, g: Tensor, axes: tuple) -> Tensor:
    """`g·v/‖v‖`, the norm over `axes`; g is a vector of one number per unit, in the order of the other axes."""
    length = norm(v, axes)
    return v * (ops.reshape(g, length.shape) / length)


def norm(v: Tensor, axes: tuple) -> Tensor:
    """‖v‖ over `axes`, which stay with size 1; at least `SHORTEST`."""
    return ops.sqrt(ops.maximum(ops.sum(ops.square(v), axes, keepdims=True), SHORTEST**2))


class LengthDirection:
    """One kernel: the variable v that its layer calls kernel, the variable `scale`, and `start` if g has one.

    Calling it gives g·v/‖v‖. The kernel's regularizer and constraint are meant for that, and get to see it.
    """

    def __init__(self, weight, axes):
        self.weight, self.v, self.axes = weight, weight.variable, axes
        self.scale = self.start = None
        self.v.derived = self
        for kind in ("regularizer", "constraint"):
            if getattr(self.v, kind) is not None:
                setattr(self.v, kind, self.seen_by(kind, getattr(self.v, kind)))

    def seen_by(self, kind: str, setting):
        """The layer's `setting`, a regularizer or constraint, as one that Keras can call with v."""
        return Penalty(setting, self) if kind == "regularizer" else Projection(setting, self)

    @property
    def units(self) -> int:
        return math.prod(size for axis, size in enumerate(self.v.shape) if axis not in self.axes)

    @property
    def g(self) -> Tensor:
        return ops.convert_to_tensor(self.scale) if self.start is None else ops.add(self.scale, self.start)

    def lengths(self, *_, **__) -> Tensor:
        """‖v‖ as a vector, where g starts."""
        return ops.reshape(norm(ops.convert_to_tensor(self.v), self.axes), (-1,))

    def __call__(self, v=None) -> Tensor:
        return normalize_kernel(ops.convert_to_tensor(self.v if v is None else v), self.g, self.axes)


class Penalty:
    """A regularizer of w that Keras calls with v."""

    def __init__(self, setting, kernel):
        self.setting, self.kernel = setting, kernel

    def __call__(self, v):
        return self.setting(self.kernel(v))


class Projection:
    """A constraint of w that Keras calls with v after a step: g takes the new lengths, v the new directions."""

    def __init__(self, setting, kernel):
        self.setting, self.kernel = setting, kernel

    def __call__(self, v):
        kernel, v = self.kernel, ops.convert_to_tensor(v)
        w = ops.convert_to_tensor(self.setting(kernel(v)))
        old, new = norm(v, kernel.axes), norm(w, kernel.axes)
        # v stays on its side and as long as it was, so that the optimizer's averages go on fitting it.
        sign = ops.where(kernel.g < 0, -1.0, 1.0)
        gone = new <= SHORTEST
        g = sign * ops.reshape(ops.where(gone, 0.0, new), (-1,))
        kernel.scale.assign(g if kernel.start is None else g - kernel.start)
        return ops.where(gone, v, w * (ops.reshape(sign, old.shape) * old / new))
