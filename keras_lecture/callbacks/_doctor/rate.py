"""The learning rate of a running `fit`, as a number that can be set, whether it is fixed or follows a schedule."""

import keras
from keras import ops

from keras_lecture._training.chain import innermost, is_fixed
from keras_lecture.callbacks._rates.reduced_rate import RateFactor, Reduced
from keras_lecture.optimizers._search.closure import Closure


class Rate:
    """The learning rate of a model's optimizer: `level` is the rate itself, or the factor of a schedule.

    A schedule that is scaled stays scaled after `fit`, as with `ReduceLearningRate`.
    """

    def __init__(self, model: keras.Model, run) -> None:
        self._model, self._run = model, run
        self._stage: RateFactor | None = None

    @property
    def obstacle(self) -> str | None:
        """Why the rate cannot be set; `None` if it can."""
        core = innermost(self._model.optimizer)
        strategy = getattr(self._model, "distribute_strategy", None)
        if isinstance(core, Closure):
            return f"{type(core).__name__} finds the length of each step itself"
        if isinstance(core, keras.optimizers.MultiOptimizer):
            return "MultiOptimizer has a rate for each of its optimizers"
        if not is_fixed(core) and strategy is not None and strategy.num_replicas_in_sync > 1:
            return "a schedule cannot be scaled under `tf.distribute` with several replicas"
        return None

    @property
    def is_fixed(self) -> bool:
        """Whether the rate is a number and no schedule."""
        return is_fixed(self._model.optimizer)

    @property
    def value(self) -> float:
        """The rate of the next step."""
        return float(ops.convert_to_numpy(innermost(self._model.optimizer).learning_rate))

    @property
    def level(self) -> float:
        """The rate, or the factor of the schedule."""
        if self.is_fixed:
            return self.value
        rate = innermost(self._model.optimizer)._learning_rate
        return rate.factor if isinstance(rate, Reduced) else 1.0

    @level.setter
    def level(self, level):
        optimizer = innermost(self._model.optimizer)
        if self.is_fixed:
            optimizer.learning_rate = level
            return
        reduced = optimizer._learning_rate
        # `ReduceLearningRate` may already scale the schedule.
        if not isinstance(reduced, Reduced) or reduced.live is None:
            self._stage = RateFactor(optimizer)
            self._stage.begin()
            self._run.add(self._stage)
            reduced = optimizer._learning_rate
        reduced.factor = level

    def end(self) -> None:
        """Ends the stage that scales the schedule."""
        if self._stage is not None:
            self._stage.end()
            self._run.remove(self._stage)
            self._stage = None
