"""Measurements of a stage: numbers that the compiled step updates and the logs show."""

from collections.abc import Iterable

import keras
from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core.types import Tensor
from keras_lecture._training.condition import Condition


class Readings(keras.metrics.Metric):
    """The means of several numbers over the steps of an epoch, and the number of these steps.

    It is not a metric of the model: the pipeline carries its variables through the compiled step and adds `result` to
    the logs, so that a loop over `model.metrics` does not see it. `lasting` variables are kept from epoch to epoch and
    handed on when the trainable variables change.
    """

    def __init__(self, names: Iterable[str], name: str) -> None:
        super().__init__(name=name)
        self.names: list[str] = list(names)
        self.lasting: dict[str, keras.Variable] = {}
        self.sums: keras.Variable | None = None
        self.count: keras.Variable | None = None
        if self.names:
            self.sums = self.add_variable((len(self.names),), "zeros", name="sums")
            self.count = self.add_variable((), "zeros", name="count")

    def add_variable(
        self,
        shape: tuple[int, ...],
        initializer: str | keras.initializers.Initializer,
        dtype: str | None = None,
        aggregation: str = "only_first_replica",
        name: str | None = None,
    ) -> keras.Variable:
        # All replicas of a `tf.distribute` strategy measure the same step; Keras's metrics would add their numbers up.
        return super().add_variable(shape, initializer, dtype, aggregation, name)

    def update_state(self, values: Tensor, counted: Condition) -> None:
        """Adds the vector `values` if the `Condition` `counted` is true."""
        values = ops.cast(values, self.sums.dtype)
        if not counted.is_true:
            values = counted.where(values, ops.zeros_like(values))
        totaled([self.sums, self.count], [values, counted.count(self.count.dtype)])

    def result(self) -> dict[str, Tensor]:
        if not self.names:
            return {}
        return dict(zip(self.names, means(self.sums, self.count), strict=True))

    def reset_state(self) -> None:
        kept = {id(variable) for variable in self.lasting.values()}
        for variable in self.variables:
            if id(variable) not in kept:
                variable.assign(ops.zeros(variable.shape, variable.dtype))

    def take_over(self, other: "Readings") -> None:
        """Copies the lasting numbers of other readings."""
        for name, variable in self.lasting.items():
            if name in other.lasting:
                variable.assign(ops.copy(other.lasting[name].value))


@accelerate
def totaled(totals, amounts):
    """Adds the `amounts` to the variables `totals` and returns these."""
    for total, amount in zip(totals, amounts, strict=True):
        total.assign_add(amount)
    return totals


def means(sums, count):
    """A list of the `sums`, each divided by `count`."""
    return ops.unstack(sums / ops.maximum(count, 1.0), sums.shape[0])
