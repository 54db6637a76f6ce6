"""Clipping that begins in the middle of a `fit`."""

import keras
import numpy as np
from keras import ops

from keras_lecture._training.readings import Readings
from keras_lecture._training.stage import Stage
from keras_lecture._training.step import Step
from keras_lecture.callbacks._watch import clipping_rules as rules
from keras_lecture.callbacks._watch.norms import square_sum

OFF = float(np.finfo("float32").max)


class Clip(Stage):
    """Clips the norm of all gradients together at `limit`, which may change between compiled steps."""

    def __init__(self, run) -> None:
        self._run = run
        self._is_added = False
        self.readings = _Limit()

    @property
    def limit(self) -> float:
        """The largest norm that passes."""
        return float(ops.convert_to_numpy(self.readings.limit))

    @limit.setter
    def limit(self, limit):
        self.readings.limit.assign(limit)
        if not self._is_added:
            # Added late: the step of a `fit` that needs no clipping stays as it is.
            self._is_added = True
            self._run.add(self)

    def end(self) -> None:
        """Leaves the train step."""
        if self._is_added:
            self._run.remove(self)
            self._is_added = False

    def before(self, step: Step) -> None:
        norm = ops.sqrt(square_sum(step.gradients))
        step.gradients, _ = rules.by_global_norm(step.gradients, norm, self.readings.limit.value)

    def after(self, step: Step, memo: None) -> None:
        return None


class _Limit(Readings):
    def __init__(self):
        super().__init__((), "doctor_clipping")
        self.limit = self.add_variable((), keras.initializers.Constant(OFF), name="limit")

    def reset_state(self):
        pass
