"""A condition inside a train step: a Python bool while the step is traced, or a tensor known only at run time."""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core.types import Tensor


class Condition:
    """A bool or a boolean scalar tensor of a compiled step; `value` is a bool wherever the truth is already known."""

    def __init__(self, value: "Condition | bool | Tensor") -> None:
        value = value.value if isinstance(value, Condition) else value
        self.value: bool | Tensor = value if isinstance(value, bool) else decided(value)

    @property
    def is_true(self) -> bool:
        """Whether it is known to be true."""
        return self.value is True

    @property
    def is_false(self) -> bool:
        """Whether it is known to be false."""
        return self.value is False

    def __and__(self, other: "Condition | bool | Tensor") -> "Condition":
        other = Condition(other)
        if self.is_true or other.is_false:
            return other
        if other.is_true or self.is_false:
            return self
        return Condition(ops.logical_and(self.value, other.value))

    def where(self, new: Tensor, old: Tensor) -> Tensor:
        """`new` if true, else `old`; both are computed. Multiplying by 0 or 1 instead would keep a NaN."""
        if isinstance(self.value, bool):
            return new if self.value else old
        return ops.where(self.value, new, old)

    def choose(self, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
        """`then()` if true, else `otherwise()`."""
        if isinstance(self.value, bool):
            return then() if self.value else otherwise()
        return ops.cond(self.value, then, otherwise)

    def count(self, dtype: str) -> int | Tensor:
        """1 if true, else 0."""
        return int(self.value) if isinstance(self.value, bool) else ops.cast(self.value, dtype)


@accelerate
def decided(condition):
    """The condition as a bool where the backend is eager (PyTorch), else unchanged."""
    return condition
