"""Averages of the weights over training, around any optimizer."""

from typing import Any, Self

import keras
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.assignment import assign_when
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture._training.chain import chain
from keras_lecture.optimizers._binding import BuiltWhenReady
from keras_lecture.optimizers._own_averages import own_memory
from keras_lecture.optimizers._search.closure import Closure
from keras_lecture.optimizers.schedules import Scheduled


class Average(BuiltWhenReady, keras.optimizers.Optimizer):
    """Base class of the averages: an inner optimizer, and one slot per weight besides."""

    def __init__(self, optimizer: keras.optimizers.Optimizer, *, name: str | None = None) -> None:
        expectation = "an optimizer of Keras or of this package"
        checks.instance(type(self).__name__, "optimizer", optimizer, keras.optimizers.Optimizer, expectation)
        if isinstance(optimizer, Closure):
            remedy = "A search chooses its step by the loss and takes the whole train step itself."
            checks.reject(type(self).__name__, "optimizer", "an optimizer that takes gradients", optimizer, remedy)
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = optimizer

    @property
    def is_ready(self) -> bool:
        """Whether the inner optimizer is built, and bound if it must be."""
        return self.inner_optimizer.built

    def prepare(self, variables: list[keras.Variable]) -> None:
        """Builds the inner optimizer, which raises here if it must be bound and is not."""
        self.inner_optimizer.build(variables)

    def create(self, variables: list[keras.Variable]) -> None:
        super().create(variables)
        self._averages = self.add_optimizer_variables(variables, "average")

    def apply(self, grads: list[Tensor], trainable_variables: list[keras.Variable] | None = None) -> None:
        if not self.built and trainable_variables is not None:
            self.build(list(trainable_variables))
        before = ops.convert_to_tensor(self.iterations) + 0
        self._before_step(before)
        self.inner_optimizer.apply(grads, trainable_variables)
        # A step that only accumulates gradients does not count.
        self._average(ops.convert_to_tensor(self.iterations), ops.not_equal(self.iterations, before))

    def _before_step(self, step):
        """Called after `step` steps, before the next one."""

    def _averaged(self):
        """The variables that have an average, and their averages."""
        pairs = zip(self._trainable_variables, self._averages, strict=True)
        return zip(*[(v, average) for v, average in pairs if average is not None], strict=True)

    def current(self) -> list[tuple[keras.Variable, keras.Variable]]:
        """The weights that have an average, each with its average; none before the first average."""
        return list(zip(*self._averaged(), strict=True))

    @property
    def variables(self) -> list[keras.Variable]:
        return [*super().variables, *self.inner_optimizer.variables]

    @property
    def learning_rate(self) -> Tensor:
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Scheduled) -> None:
        self.inner_optimizer.learning_rate = learning_rate

    @property
    def iterations(self) -> keras.Variable:
        return self.inner_optimizer.iterations

    def set_weights(self, weights: list[Tensor]) -> None:
        own = len(super().variables)
        super().set_weights(weights[:own])
        self.inner_optimizer.set_weights(weights[own:])

    def scale_loss(self, loss: Tensor) -> Tensor:
        return self.inner_optimizer.scale_loss(loss)

    def finalize_variable_values(self, var_list: list[keras.Variable]) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)
        if self.inner_optimizer.use_ema:
            own_memory(var_list)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "optimizer": keras.saving.serialize_keras_object(self.inner_optimizer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        optimizer = keras.saving.deserialize_keras_object(config["optimizer"], custom_objects=custom_objects)
        return cls(**{**config, "optimizer": optimizer})


@register
class Lookahead(Average):
    """Lets an optimizer take a few steps, then moves only part of the way to the weights that it reached.

    Use it to steady an optimizer whose weights jump: less variance, for one slot per weight.

        θ ← the optimizer's next weights        every step
        φ ← φ + α(θ − φ),   θ ← φ               every `period` steps

    θ the model's weights, φ the slow weights (the initial θ at first), α `slow_step`.
    `slow_step=1` is the optimizer alone.

    Args:
        optimizer: The optimizer that takes the steps: any but a search, such as `Armijo`. `Nesterov` is bound first.
        period: Steps between two moves of the slow weights. Defaults to `5`.
        slow_step: α in (0, 1]. Defaults to `0.5`.
        name: The optimizer's name.

    Example:
        >>> w = keras.Variable(1.0)
        >>> optimizer = keras_lecture.optimizers.Lookahead(keras_lecture.optimizers.SGD(0.25), period=2)
        >>> for _ in range(2):
        ...     optimizer.apply([keras.ops.convert_to_tensor(1.0)], [w])
        >>> float(w.numpy())
        0.75

    Reference:
        Zhang et al., 2019, arXiv:1907.08610, algorithm 1. Keras has no such class (TensorFlow Addons had). After `fit`
        the model holds θ, which is φ after a multiple of `period` steps.
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        *,
        period: int = 5,
        slow_step: float = 0.5,
        name: str | None = None,
    ) -> None:
        checks.whole("Lookahead", "period", period, "[1, ∞)")
        checks.number("Lookahead", "slow_step", slow_step, "(0, 1]")
        super().__init__(optimizer, name=name)
        self.period = period
        self.slow_step = slow_step

    def _before_step(self, step):
        # Not in `build`: weights may be loaded between it and the first step.
        weights, slow = self._averaged()
        assign_when(step == 0, slow, lambda: [w.value for w in weights])

    def _average(self, step, advanced):
        weights, slow = self._averaged()
        due = ops.logical_and(advanced, step % self.period == 0)
        assign_when(due, weights, lambda: [s + self.slow_step * (w - s) for w, s in zip(weights, slow, strict=True)])
        assign_when(due, slow, lambda: [w.value for w in weights])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "period": self.period, "slow_step": self.slow_step}


@register
class StochasticWeightAverage(Average):
    """Trains as the optimizer does, and ends `fit` with the mean of the weights over the steps.

    Use it late in training with a constant or cyclic learning rate: the mean lies deeper in a flat valley than the
    weights that are averaged. One slot per weight. The moving statistics of batch normalization must be recomputed for
    the mean: call `recalibrate(model, data)` after `fit`.

        w̄ ← w̄ + (w − w̄)/n,   n = 1, 2, …      at step `start` and every `period` steps from there

    w the model's weights, w̄ their mean. The model holds w until the end of `fit` and w̄ after it.
    Before step `start` it is the optimizer alone.

    Args:
        optimizer: The optimizer that takes the steps: any but a search, such as `Armijo`. `Nesterov` is bound first.
        start: The first step whose weights are averaged, from 1 (or the first epoch, see `per_epoch`).
        period: Steps (or epochs) between the averaged weights. Defaults to `1`.
        name: The optimizer's name.

    Example:
        >>> w = keras.Variable(1.0)
        >>> optimizer = keras_lecture.optimizers.StochasticWeightAverage(keras_lecture.optimizers.SGD(0.25), start=2)
        >>> for _ in range(3):
        ...     optimizer.apply([keras.ops.convert_to_tensor(1.0)], [w])
        >>> optimizer.finalize_variable_values([w])
        >>> float(w.numpy())
        0.375

    Reference:
        Izmailov et al., 2018, arXiv:1803.05407, algorithm 1. Keras's `use_ema` is an exponential average, which
        never entirely forgets the initial weights and has no `start`. A second `fit` begins at the mean.
    """

    def __init__(
        self, optimizer: keras.optimizers.Optimizer, *, start: int, period: int = 1, name: str | None = None
    ) -> None:
        checks.whole("StochasticWeightAverage", "start", start, "[1, ∞)")
        checks.whole("StochasticWeightAverage", "period", period, "[1, ∞)")
        super().__init__(optimizer, name=name)
        self.start = start
        self.period = period

    def per_epoch(self, steps: int) -> "StochasticWeightAverage":
        """The same with `start` and `period` read as epochs of `steps` steps each; averages at the ends of epochs."""
        checks.whole("StochasticWeightAverage", "steps", steps, "[1, ∞)")
        return StochasticWeightAverage(
            self.inner_optimizer, start=self.start * steps, period=self.period * steps, name=self.name
        )

    def create(self, variables: list[keras.Variable]) -> None:
        super().create(variables)
        self._count = self.add_variable((), dtype="float32", name="count")

    def _average(self, step, advanced):
        weights, means = self._averaged()
        due = ops.logical_and(step >= self.start, (step - self.start) % self.period == 0)
        due = ops.logical_and(advanced, due)
        self._count.assign_add(ops.cast(due, "float32"))

        def updated():
            pairs = zip(weights, means, strict=True)
            return [mean + (w - mean) / ops.cast(self._count, mean.dtype) for w, mean in pairs]

        assign_when(due, means, updated)

    def current(self) -> list[tuple[keras.Variable, keras.Variable]]:
        return super().current() if float(self._count.numpy()) > 0 else []

    def finalize_variable_values(self, var_list: list[keras.Variable]) -> None:
        super().finalize_variable_values(var_list)
        weights, means = self._averaged()
        assign_when(self._count.value > 0, weights, lambda: [mean.value for mean in means])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "start": self.start, "period": self.period}


def averages_of(optimizer: keras.optimizers.Optimizer) -> list[tuple[keras.Variable, keras.Variable]] | None:
    """The weights and their averages, those of the outermost average; `None` if the optimizer has no average."""
    for each in chain(optimizer):
        if isinstance(each, Average):
            return each.current() if each.built else []
        if each.use_ema:
            means = each._model_variables_moving_average if each.built else ()
            pairs = zip(each._trainable_variables, means, strict=False)
            return [(variable, mean) for variable, mean in pairs if mean is not None]
        # Keras's `MultiOptimizer`, whose parts have different variables.
        parts = [averages_of(part) for part in getattr(each, "optimizers", ())]
        if any(part is not None for part in parts):
            return [pair for part in parts for pair in part or ()]
    return None
