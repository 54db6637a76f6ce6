"""Optimizers that are bound to the train step of a model, because Keras passes an optimizer only gradients."""

import weakref
from typing import NoReturn, Self

import keras

from keras_lecture._core import checks
from keras_lecture._training import running_fit
from keras_lecture._training.chain import holds
from keras_lecture._training.pipeline import pipeline_of
from keras_lecture._training.stage import Stage


class BoundStage(Stage):
    """The stage of an optimizer in the train step of the model that it is bound to."""

    needs_build = True

    def __init__(self, optimizer: keras.optimizers.Optimizer, model: keras.Model) -> None:
        # Weak references: the pipeline of a model must not keep an unused optimizer alive.
        self._optimizer, self._model = weakref.ref(optimizer), weakref.ref(model)

    @property
    def optimizer(self) -> keras.optimizers.Optimizer | None:
        """The optimizer, as long as it is used."""
        return self._optimizer()

    @property
    def title(self) -> str:
        return type(self.optimizer).__name__

    def acts_on(self, model: keras.Model) -> bool:
        """Whether `model` is compiled with this optimizer, directly or inside another such as Keras's loss scaling."""
        return model is self._model() and holds(getattr(model, "optimizer", None), self._optimizer())

    def owns(self, variables: list[keras.Variable]) -> bool:
        """Whether any of the variables is the model's; true for a model that has no variables yet."""
        model = self._model()
        own = () if model is None else {id(variable) for variable in model.trainable_variables}
        return model is not None and (not own or any(id(variable) in own for variable in variables))


class BuiltWhenReady:
    """Mixin of the optimizers that need more than variables before they train: `build` raises before anything is lost.

    Keras builds an unbuilt optimizer before it takes the state out of the model. A loaded optimizer already has its
    variables, so it counts as built only when it is ready as well.
    """

    _has_variables = False

    @property
    def built(self) -> bool:
        """Whether it has its variables and is ready."""
        return self._has_variables and self.is_ready

    @built.setter
    def built(self, built: bool) -> None:
        self._has_variables = built

    def build(self, variables: list[keras.Variable]) -> None:
        self.prepare(variables)
        if not self._has_variables:
            self.create(variables)

    def create(self, variables: list[keras.Variable]) -> None:
        """Creates the optimizer's variables, as `build` does in Keras."""
        super().build(variables)


class Bindable(BuiltWhenReady):
    """Mixin of the optimizers that must be bound to a model, whose train step gets a stage of the class `stage`.

    A loaded model can be evaluated before its optimizer is bound.
    """

    stage: type[BoundStage]
    # Parts of the error of an unbound optimizer: why it must be bound, and what to do outside `fit`.
    reason: str
    advice: str
    _stage = None

    @property
    def is_ready(self) -> bool:
        """Whether it is bound, and may train."""
        return self._stage is not None

    def bind(self, model: keras.Model) -> Self:
        """Binds the optimizer to every training step of `model`; returns the optimizer, for `compile`."""
        checks.instance(type(self).__name__, "model", model, keras.Model, "a Keras model")
        self._stage = self.stage(self, model)
        pipeline_of(model).bind(self._stage)
        return self

    def prepare(self, variables: list[keras.Variable]) -> None:
        """Raises if it is built for training while unbound, or bound to another model."""
        is_elsewhere = self._stage is not None and not self._stage.owns(variables)
        if running_fit.is_training() and (is_elsewhere or not self.is_ready):
            self.raise_unbound()

    def raise_unbound(self) -> NoReturn:
        """Raises the error that shows the line to write."""
        name = type(self).__name__
        bound = "bound to another model than the one" if self._stage else "not bound to the model"
        raise ValueError(
            f"{name} {self.reason} and is {bound} that it should train. Compile it bound: "
            f"`model.compile({name}(…).bind(model), …)`; bind a loaded model's: `model.optimizer.bind(model)`, or "
            "`model.optimizer.inner_optimizer.bind(model)` where it is inside another, as under mixed_float16. "
            f"{self.advice}"
        )
