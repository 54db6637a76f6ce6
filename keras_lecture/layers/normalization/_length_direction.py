"""A kernel given by lengths and directions, with the regularizer and the constraint of the kernel itself."""

import math
from collections.abc import Callable
from typing import Any

from keras import ops

from keras_lecture._core.types import Tensor
from keras_lecture._core.weights import Weight

# Lower bound of ‖v‖: without it v = 0 would give 0/0 instead of a kernel of 0. Its square is a normal float32.
SHORTEST = 1e-18


def normalize_kernel(v: Tensor, g: Tensor, axes: tuple[int, ...]) -> Tensor:
    """`g·v/‖v‖`, the norm over `axes`; g is a vector of one number per unit, in the order of the other axes."""
    length = norm(v, axes)
    return v * (ops.reshape(g, length.shape) / length)


def norm(v: Tensor, axes: tuple[int, ...]) -> Tensor:
    """‖v‖ over `axes`, which are kept with size 1; at least `SHORTEST`."""
    return ops.sqrt(ops.maximum(ops.sum(ops.square(v), axes, keepdims=True), SHORTEST**2))


class LengthDirection:
    """The kernel w = g·v/‖v‖, where v is the layer's kernel variable and g is `scale`, plus `start` if there is one.

    Calling it computes w. The layer's regularizer and constraint of the kernel are applied to w, not to v.
    """

    def __init__(self, weight: Weight, axes: tuple[int, ...]) -> None:
        self.weight, self.v, self.axes = weight, weight.variable, axes
        self.scale: Any = None
        self.start: Any = None
        self.starts_from_data = False
        self.v.derived = self
        for kind in ("regularizer", "constraint"):
            if getattr(self.v, kind) is not None:
                setattr(self.v, kind, self.seen_by(kind, getattr(self.v, kind)))

    def seen_by(self, kind: str, setting: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """Wraps `setting`, a regularizer or constraint of w, so that Keras can call it with v."""
        return KernelSetting(setting, self._penalty if kind == "regularizer" else self._projection)

    @property
    def units(self) -> int:
        return math.prod(size for axis, size in enumerate(self.v.shape) if axis not in self.axes)

    @property
    def g(self) -> Tensor:
        return ops.convert_to_tensor(self.scale) if self.start is None else ops.add(self.scale, self.start)

    def lengths(self, *_: Any, **__: Any) -> Tensor:
        """‖v‖ as a vector: the initializer of g."""
        return ops.reshape(norm(ops.convert_to_tensor(self.v), self.axes), (-1,))

    def __call__(self, v: Tensor = None) -> Tensor:
        return normalize_kernel(ops.convert_to_tensor(self.v if v is None else v), self.g, self.axes)

    def _penalty(self, setting, v):
        return setting(self(v))

    def _projection(self, setting, v):
        """After a step g takes the lengths of the constrained w, and v its directions."""
        v = ops.convert_to_tensor(v)
        w = ops.convert_to_tensor(setting(self(v)))
        old, new = norm(v, self.axes), norm(w, self.axes)
        # v keeps its sign and its length, so that the optimizer's running averages still match it.
        sign = ops.where(self.g < 0, -1.0, 1.0)
        gone = new <= SHORTEST
        g = sign * ops.reshape(ops.where(gone, 0.0, new), (-1,))
        self.scale.assign(g if self.start is None else g - self.start)
        return ops.where(gone, v, w * (ops.reshape(sign, old.shape) * old / new))


class KernelSetting:
    """A regularizer or constraint of w, as a function of v; configs contain the original `setting`."""

    def __init__(self, setting: Callable[[Tensor], Tensor], apply: Callable[..., Tensor]) -> None:
        self.setting, self.apply = setting, apply

    def __call__(self, v: Tensor) -> Tensor:
        return self.apply(self.setting, v)
