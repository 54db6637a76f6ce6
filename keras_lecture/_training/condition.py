"""Whether something happens in a step: known while the step is traced, or only when it runs."""

from keras import ops

from keras_lecture._backend import accelerate


class Condition:
    """A bool, or a boolean scalar tensor of a compiled step; `value` is the bool wherever it is known."""

    def __init__(self, value):
        value = value.value if isinstance(value, Condition) else value
        self.value = value if isinstance(value, bool) else decided(value)

    @property
    def is_true(self) -> bool:
        """Whether it is known to hold."""
        return self.value is True

    @property
    def is_false(self) -> bool:
        """Whether it is known not to hold."""
        return self.value is False

    def __and__(self, other) -> "Condition":
        other = Condition(other)
        if self.is_true or other.is_false:
            return other
        if other.is_true or self.is_false:
            return self
        return Condition(ops.logical_and(self.value, other.value))

    def where(self, new, old):
        """`new` if it holds, else `old`: both are computed. A product would keep a NaN."""
        if isinstance(self.value, bool):
            return new if self.value else old
        return ops.where(self.value, new, old)

    def choose(self, then, otherwise):
        """`then()` if it holds, else `otherwise()`."""
        if isinstance(self.value, bool):
            return then() if self.value else otherwise()
        return ops.cond(self.value, then, otherwise)

    def count(self, dtype):
        """1 if it holds, else 0."""
        return int(self.value) if isinstance(self.value, bool) else ops.cast(self.value, dtype)


@accelerate
def decided(condition):
    """`condition`, or its truth where that is known while the step is traced: PyTorch runs it at once."""
    return condition
