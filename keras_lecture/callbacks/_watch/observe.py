"""The base of the callbacks that see, and may change, the gradients of a `fit`."""

import operator
import warnings
import weakref

import keras
import numpy as np
from keras import ops

from keras_lecture._training.pipeline import pipeline_of
from keras_lecture._training.running_fit import callback_list
from keras_lecture._training.stage import Stage


class Observer(keras.callbacks.Callback, Stage):
    """A callback that is a stage of the train step; a subclass writes `readings_for`, `before` and `after`.

    Several observers of one `fit` act in the order of its `callbacks`, so that each sees the gradients as those before
    it left them. Where it cannot see the step, `unseen` says so: an observer that only looks warns, one that protects
    raises an error.
    """

    # What is not done where the step cannot be seen: the rest of a sentence that says so.
    loss_of_sight = "nothing of it is logged"
    protects = False
    _run = None
    # The trainable variables that the readings are made for, weakly, and what resumed training goes on from.
    _known = ()
    _restored = None
    _has_spoken = False

    def readings_for(self, variables):
        """New `Readings` for a model with these trainable variables."""
        raise NotImplementedError(f"{type(self).__name__} must define `readings_for`.")

    def prepare(self, variables):
        """Makes the readings for these variables, unless it has them: a further `fit` goes on with what lasts."""
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

    def on_train_begin(self, logs=None):
        self._has_spoken = False
        self._run = None
        reason = _obstacle(self._model)
        if reason:
            self.unseen(reason)
            return
        run = pipeline_of(self._model).open(callback_list())
        run.add(self)
        self._run = run

    def on_epoch_begin(self, epoch, logs=None):
        if self._run is not None and self.readings is not None:
            self.readings.reset_state()

    def on_epoch_end(self, epoch, logs=None):
        if self._run is not None and not self._run.has_stepped:
            self.unseen("this `fit` does not call the model's train function")

    def on_train_end(self, logs=None):
        if self._run is not None:
            self._run.remove(self)
            self._run = None

    def unseen(self, reason):
        if self._has_spoken:
            return
        self._has_spoken = True
        name = type(self).__name__
        message = f"{name}: {self.loss_of_sight}: the gradients of {self._model.name!r} cannot be seen, {reason}."
        if self.protects:
            raise ValueError(f"{message} Take {name} out of the callbacks to train without it.")
        warnings.warn(message, stacklevel=2)

    def state(self) -> dict[str, np.ndarray]:
        """What a resumed training needs, see `keras_lecture._core.stateful`."""
        if self._restored is not None or self.readings is None:
            return dict(self._restored or {})
        # Looking at `model` makes Keras hand back the state of a running epoch on JAX.
        if not self.model:
            return {}
        return {name: np.array(ops.convert_to_numpy(v)) for name, v in self.readings.lasting.items()}

    def restore(self, state: dict[str, np.ndarray]):
        """Goes on from `state`, from the next `fit` on."""
        self._restored = dict(state)

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _obstacle(model):
    """Why the gradients of `model` cannot be seen, or `None`."""
    if not isinstance(getattr(model, "optimizer", None), keras.optimizers.Optimizer):
        return "it has no optimizer of Keras"
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is not None and strategy.num_replicas_in_sync > 1:
        return "under `tf.distribute` each replica has gradients of its own"
    return None
