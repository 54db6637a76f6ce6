"""A learning rate schedule times a factor that may change between two compiled steps."""

import keras
from keras import ops

from keras_lecture.callbacks.observe import Observer
from keras_lecture.callbacks.step import chain
from keras_lecture.saving import register

Schedule = keras.optimizers.schedules.LearningRateSchedule


@register
class Reduced(Schedule):
    """`schedule` times `factor`: what an optimizer has, and saves, in the place of a schedule that was reduced."""

    # The factor as a part of the step that is being traced.
    traced = None

    def __init__(self, schedule, factor):
        self.schedule = schedule
        self.factor = factor

    def __call__(self, step):
        # Keras gives the step to a schedule, not to any other function.
        rate = self.schedule(step) if isinstance(self.schedule, Schedule) else self.schedule()
        rate = ops.convert_to_tensor(rate)
        return rate * ops.cast(self.factor if self.traced is None else self.traced, rate.dtype)

    def get_config(self):
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "factor": self.factor}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["factor"])


class RateFactor(Observer):
    """Keeps a factor on the schedule of `optimizer`; a step reads it anew each time, and is compiled once.

    A schedule is a part of the compiled step, and on JAX all that changes must come to the step as its state. The
    optimizer's state is what is saved with the model, where another number would not be expected; so the factor is the
    state of a metric that shows nothing, and the schedule finds it while the step is traced.
    """

    def __init__(self, optimizer):
        super().__init__()
        *_, self._core = chain(optimizer)
        rate = self._core._learning_rate
        self._reduced = rate if isinstance(rate, Reduced) else Reduced(rate, 1.0)

    @property
    def factor(self) -> float:
        return self._reduced.factor

    @factor.setter
    def factor(self, factor):
        self._reduced.factor = factor
        if self.metric is not None:
            self.metric.factor.assign(factor)

    def on_train_begin(self, logs=None):
        self._core.learning_rate = self._reduced
        super().on_train_begin(logs)

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        if self._reduced.factor == 1.0:
            self._core.learning_rate = self._reduced.schedule

    def metric_for(self, variables):
        return _Factor(self._reduced.factor)

    def before(self, step):
        self._reduced.traced = self.metric.factor.value

    def after(self, step):
        self._reduced.traced = None
        return ()

    def _warn(self, reason):
        raise ValueError(f"ReduceLearningRate: the schedule of {self._model.name!r} cannot be reduced: {reason}.")


class _Factor(keras.metrics.Metric):
    def __init__(self, factor):
        super().__init__(name="rate_factor")
        self.muted = True
        self.factor = self.add_variable((), keras.initializers.Constant(factor), name="factor")

    def update_state(self):
        pass

    def result(self):
        return {}

    def reset_state(self):
        pass
