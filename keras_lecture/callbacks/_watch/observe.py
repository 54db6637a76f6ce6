"""Base class of callbacks that observe or change the gradients of a `fit`."""

import operator
import warnings
import weakref
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_lecture._training.pipeline import pipeline_of
from keras_lecture._training.readings import Readings
from keras_lecture._training.running_fit import callback_list
from keras_lecture._training.stage import Stage


class Observer(keras.callbacks.Callback, Stage):
    """A callback that is a stage of the train step; subclasses define `readings_for`, `before` and `after`.

    The observers of a `fit` run in the order of its `callbacks`, so that each receives the gradients as changed by the
    previous ones. If the train step cannot be observed, an observer warns, and one that `protects` raises an error.
    """

    # The consequence of a train step that cannot be observed, for the warning or error.
    unseen_effect = "nothing is logged"
    protects = False
    _run = None
    # Weak references to the trainable variables of the readings; the state that `restore` was given.
    _known = ()
    _restored = None
    _has_warned = False

    def readings_for(self, variables: list[keras.Variable]) -> Readings:
        """New `Readings` for a model with these trainable variables."""
        raise NotImplementedError(f"{type(self).__name__} must define `readings_for`.")

    def prepare(self, variables: list[keras.Variable]) -> None:
        """Creates the readings for these variables; in a further `fit` only their `lasting` values are kept."""
        known = [ref() for ref in self._known]
        same = len(known) == len(variables) and all(map(operator.is_, known, variables))
        if self.readings is None or not same:
            before, self.readings = self.readings, self.readings_for(variables)
            self._known = [weakref.ref(variable) for variable in variables]
            if before is not None:
                self.readings.take_over(before)
        if self._restored is not None:
            for name, variable in self.readings.lasting.items():
                if name in self._restored:
                    variable.assign(self._restored[name])
            self._restored = None
        self.readings.reset_state()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._has_warned = False
        self._run = None
        reason = _obstacle(self._model)
        if reason:
            self.unseen(reason)
            return
        run = pipeline_of(self._model).open(callback_list())
        run.add(self)
        self._run = run

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._run is not None and self.readings is not None:
            self.readings.reset_state()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._run is not None and not self._run.has_stepped:
            self.unseen("this `fit` does not call the model's train function")

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._run is not None:
            self._run.remove(self)
            self._run = None

    def unseen(self, reason: str) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        name = type(self).__name__
        cause = f"the gradients of {self._model.name!r} cannot be observed because {reason}"
        message = f"{name}: {self.unseen_effect}: {cause}."
        if self.protects:
            raise ValueError(f"{message} Remove {name} from the callbacks to train without it.")
        warnings.warn(message, stacklevel=2)

    def state(self) -> dict[str, np.ndarray]:
        """Arrays from which `restore` continues in another process."""
        if self._restored is not None or self.readings is None:
            return dict(self._restored or {})
        # On JAX, reading `self.model` makes Keras write the state of the running epoch back to the variables.
        if not self.model:
            return {}
        return {name: np.array(ops.convert_to_numpy(v)) for name, v in self.readings.lasting.items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continues from `state` in the next `fit`."""
        self._restored = dict(state)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config)


def _obstacle(model):
    """Why the gradients of `model` cannot be observed; `None` if they can."""
    if not isinstance(getattr(model, "optimizer", None), keras.optimizers.Optimizer):
        return "it has no Keras optimizer"
    return None
