"""Optimizers that take part in the train step of one model: Keras hands an optimizer gradients, and nothing else."""

import weakref

import keras

from keras_lecture._core import checks
from keras_lecture._training import running_fit
from keras_lecture._training.chain import holds
from keras_lecture._training.pipeline import pipeline_of
from keras_lecture._training.stage import Stage


class BoundStage(Stage):
    """The place of an optimizer in the train step of the model that it is bound to."""

    needs_build = True

    def __init__(self, optimizer, model):
        # Weakly: the pipeline of a model knows of an optimizer as long as that is used.
        self._optimizer, self._model = weakref.ref(optimizer), weakref.ref(model)

    @property
    def optimizer(self):
        """The optimizer."""
        return self._optimizer()

    @property
    def title(self) -> str:
        return type(self.optimizer).__name__

    def acts_on(self, model) -> bool:
        """Whether `model` is compiled with this optimizer, perhaps inside others such as Keras's loss scaling."""
        return model is self._model() and holds(getattr(model, "optimizer", None), self._optimizer())

    def owns(self, variables) -> bool:
        """Whether any of the variables is the model's, as far as it has been built."""
        model = self._model()
        own = () if model is None else {id(variable) for variable in model.trainable_variables}
        return model is not None and (not own or any(id(variable) in own for variable in variables))


class BuiltWhenReady:
    """Mixin of the optimizers that need more than variables before they train: `build` says so while nothing is lost.

    Keras builds an optimizer that is not built before it takes the state out of the model. One that is loaded has its
    variables already; so it counts as built only when it is ready as well.
    """

    _has_variables = False

    @property
    def built(self) -> bool:
        """Whether it has its variables and is ready."""
        return self._has_variables and self.is_ready

    @built.setter
    def built(self, built):
        self._has_variables = built

    def build(self, variables):
        self.prepare(variables)
        if not self._has_variables:
            self.create(variables)

    def create(self, variables):
        """Makes the optimizer's variables: what `build` is in Keras."""
        super().build(variables)


class Bindable(BuiltWhenReady):
    """Mixin of the optimizers that must be bound: `stage` is the class of their place in the train step.

    A file is loaded, and evaluated, first and bound then.
    """

    stage = BoundStage
    _stage = None

    @property
    def is_ready(self) -> bool:
        """Whether it may train: it is bound."""
        return self._stage is not None

    def bind(self, model):
        """Gives it a place in every training step of `model`; returns the optimizer, for `compile`."""
        checks.instance(type(self).__name__, "model", model, keras.Model, "a Keras model")
        self._stage = self.stage(self, model)
        pipeline_of(model).bind(self._stage)
        return self

    def prepare(self, variables):
        """Refuses to be built for training if it is not bound, or to another model."""
        is_elsewhere = self._stage is not None and not self._stage.owns(variables)
        if running_fit.is_training() and (is_elsewhere or not self.is_ready):
            self.refuse()

    @property
    def fault(self) -> str:
        """Why it is refused, for the error that shows the line to write."""
        return "is bound to another model than the one" if self._stage else "is not bound to the model"

    def refuse(self):
        """Raises that error."""
        raise ValueError(f"{type(self).__name__} {self.fault} that it should train.")
