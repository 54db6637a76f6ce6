"""The metric that carries what a callback saw in the compiled step to the logs."""

import keras
from keras import ops

from keras_lecture.backend import accelerate


class StepMetric(keras.metrics.Metric):
    """Means of several numbers over the steps of an epoch, and how many steps there were.

    While it is `muted` it shows nothing and keeps what it has: validation runs between the steps of an epoch and its
    end.
    """

    def __init__(self, names, name):
        super().__init__(name=name)
        self.names = list(names)
        self.muted = True
        self.sums = self.add_variable((len(self.names),), "zeros", name="sums")
        self.count = self.add_variable((), "zeros", name="count")
        self.lasting = []

    def update_state(self, values, counts=True):
        values = ops.cast(values, self.sums.dtype)
        if counts is True:
            totaled([self.sums, self.count], [values, 1.0])
            return
        # A product would keep what is not a number.
        totaled([self.sums, self.count], [ops.where(counts, values, 0.0), ops.cast(counts, self.count.dtype)])

    def result(self):
        if self.muted:
            return {}
        return dict(zip(self.names, means(self.sums, self.count), strict=True))

    def reset_state(self):
        if not self.muted:
            for variable in self.variables:
                if not any(variable is kept for kept in self.lasting):
                    variable.assign(ops.zeros(variable.shape, variable.dtype))


@accelerate
def totaled(totals, amounts):
    """The variables `totals`, with the `amounts` added."""
    for total, amount in zip(totals, amounts, strict=True):
        total.assign_add(amount)
    return totals


@accelerate
def means(sums, count):
    """Each of the `sums` by `count`, in a list."""
    return ops.unstack(sums / ops.maximum(count, 1.0), sums.shape[0])
