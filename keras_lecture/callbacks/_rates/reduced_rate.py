"""A learning rate schedule times a factor that may change between compiled steps."""

from collections.abc import Callable
from typing import Any, Self

import keras
from keras import ops

from keras_lecture._core.saving import register
from keras_lecture._training.chain import innermost
from keras_lecture._training.readings import Readings
from keras_lecture._training.stage import Rank, Stage

Schedule = keras.optimizers.schedules.LearningRateSchedule


@register
class Reduced(Schedule):
    """`schedule` times `factor`; an optimizer has and saves it in place of the schedule that was reduced."""

    # The factor inside the step being traced, and the readings that hold it during a `fit`.
    traced = live = None

    def __init__(self, schedule: Schedule | Callable, factor: float) -> None:
        self.schedule = schedule
        self._factor = factor

    @property
    def factor(self) -> float:
        return self._factor

    @factor.setter
    def factor(self, factor):
        self._factor = factor
        if self.live is not None:
            self.live.factor.assign(factor)

    def __call__(self, step):
        # Keras passes the step to schedules, but not to other callables.
        rate = self.schedule(step) if isinstance(self.schedule, Schedule) else self.schedule()
        rate = ops.convert_to_tensor(rate)
        return rate * ops.cast(self.factor if self.traced is None else self.traced, rate.dtype)

    def get_config(self) -> dict[str, Any]:
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "factor": self.factor}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["factor"])


class RateFactor(Stage):
    """Multiplies the schedule of `optimizer` by a factor that each step reads, so that it is compiled once.

    A schedule is part of the compiled step, and on JAX every value that changes must enter the step as state. The
    optimizer's state is saved with the model and must not get another variable; so the factor is carried like readings,
    and the schedule finds it while the step is traced.
    """

    rank = Rank.RATE

    def __init__(self, optimizer):
        self._core = innermost(optimizer)
        rate = self._core._learning_rate
        self._reduced = rate if isinstance(rate, Reduced) else Reduced(rate, 1.0)
        self.readings = self._reduced.live = _Factor(self._reduced.factor)

    @property
    def factor(self) -> float:
        return self._reduced.factor

    @factor.setter
    def factor(self, factor):
        self._reduced.factor = factor

    def begin(self):
        """Makes the reduced schedule the optimizer's rate."""
        self._core.learning_rate = self._reduced

    def end(self):
        """Keeps the reduced schedule, or puts the original back if it was never reduced."""
        self._reduced.live = None
        if self._reduced.factor == 1.0:
            self._core.learning_rate = self._reduced.schedule

    def open(self, step):
        self._reduced.traced = self.readings.factor.value

    def reset(self):
        self._reduced.traced = None


def reduced_schedules(model) -> list:
    """The reduced schedules of a model's optimizers."""
    optimizer = getattr(model, "optimizer", None)
    optimizers = getattr(optimizer, "optimizers", [optimizer])
    rates = [getattr(innermost(each), "_learning_rate", None) for each in optimizers if each is not None]
    return [rate for rate in rates if isinstance(rate, Reduced)]


class _Factor(Readings):
    def __init__(self, factor):
        super().__init__((), "rate_factor")
        self.factor = self.add_variable((), keras.initializers.Constant(factor), name="factor")

    def reset_state(self):
        pass
