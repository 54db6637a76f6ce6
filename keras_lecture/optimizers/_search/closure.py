"""The base class of the optimizers that evaluate the loss more than once in a step."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, NoReturn, Self

import keras
from keras import ops

from keras_lecture import _backend
from keras_lecture._core import checks
from keras_lecture._core.objective import Objective, loss_on
from keras_lecture._core.types import Tensor
from keras_lecture._training.chain import innermost
from keras_lecture._training.pipeline import pipeline_of
from keras_lecture._training.stage import Rank
from keras_lecture.optimizers._binding import Bindable, BoundStage
from keras_lecture.optimizers._own_averages import OwnAverages
from keras_lecture.optimizers._search import vectors

# Keras keeps a learning rate in float32.
LEARNING_RATES = "[1e-30, 1e30]"
_LIMITED = "The search itself limits the length of a step."
# Arguments of Keras's optimizers that contradict a search, and what to use instead.
_CONTRADICTIONS = {
    "weight_decay": "The loss must contain it: `regularizers.penalize(model, regularizers.L2(…))`.",
    "clipnorm": _LIMITED,
    "clipvalue": _LIMITED,
    "global_clipnorm": _LIMITED,
    "gradient_accumulation_steps": "The loss and its gradient must be of the same samples: use larger batches.",
    "ema_overwrite_frequency": "A search continues from the weights that it found.",
}
Tensors = list[Tensor]
# The result of a search: new weights, new slots, the accepted step size and the number of evaluations.
Found = tuple[Tensors, Tensors, Tensor, Tensor]


class Search(BoundStage):
    """The stage of a `Closure`: replaces Keras's train step."""

    rank = Rank.SEARCH

    @property
    def logged(self) -> tuple[str, ...]:
        return tuple(self.optimizer._logged)

    def acts_on(self, model: keras.Model) -> bool:
        return super().acts_on(model) and innermost(model.optimizer) is self.optimizer

    def check(self, model: keras.Model) -> None:
        ours, theirs = self.optimizer._trainable_variables, model.trainable_variables
        if self.optimizer.built and [id(v) for v in ours] != [id(v) for v in theirs]:
            name = type(self.optimizer).__name__
            raise ValueError(
                f"{name} was built for other variables than {model.name!r} trains now. After freezing or "
                f"unfreezing layers compile with a new one: `model.compile({name}(…).bind(model), …)`."
            )

    def train_step(self, step, *args):
        """Keras's train step with a search in place of the gradient step."""
        return _backend.train_step(step.model, functools.partial(self._searched, step))(*args)

    def _searched(self, step, state, data):
        """One training step as a pure function, in the order of Keras's own."""
        weights, non_trainable, slots, metrics = state
        model, outer, optimizer = step.model, step.model.optimizer, self.optimizer
        scale = None
        if outer is not optimizer or optimizer.loss_scale_factor:
            with _backend.scope([outer.variables], [slots]):
                scale = outer.scale_loss(ops.ones((), optimizer.dtype))
            # The logs of a step that loss scaling skips because a gradient overflowed.
            skipped = {id(optimizer._step_size): 0.0, id(optimizer._evaluations): 1}
            slots = [ops.cast(skipped.get(id(v), s), v.dtype) for v, s in zip(outer.variables, slots, strict=True)]
        loss_of = loss_on(model, data, non_trainable, metrics)
        objective = Objective(loss_of, optimizer.dtype, scale, _backend.mean_over_ranks(model))
        loss, (y_pred, non_trainable, metrics), gradients = objective.start(weights)
        step.loss = loss
        with optimizer.on(objective, loss):
            weights, slots = outer.stateless_apply(slots, gradients, list(weights))

        logs, metrics = _measured(model, metrics, loss, data, y_pred)
        named = dict(zip(map(id, outer.variables), slots, strict=True))
        logs |= {name: named[id(variable)] for name, variable in optimizer._logged.items()}
        return logs, (list(weights), non_trainable, list(slots), metrics)


class Closure(Bindable, OwnAverages):
    """Base class of the searches, which work under `fit`: a subclass writes `slots_for` and `search`.

    Keras passes an optimizer only gradients. After `bind(model)` the model's training steps also pass it the loss as a
    function of the weights, as long as the model is compiled with it. A step is a pure function, compiled as Keras
    compiles its own. All evaluations in a step use the same batch, dropout masks and moving statistics, which advance
    once. Metrics are computed with the weights before the step, as in Keras.
    """

    stage: type[BoundStage] = Search
    reason: str = "evaluates the loss of the model"
    advice: str = "Other wrappers, and training loops that call `apply`, pass on only gradients and do not work."
    # During a step: the loss of the batch, as a function and as a value.
    _batch = None
    # The variables that are added to the logs of each step, by name.
    _logged = {}

    def __init__(self, learning_rate: float = 1.0, **kwargs: Any) -> None:
        owner = type(self).__name__
        for argument, remedy in _CONTRADICTIONS.items():
            if kwargs.get(argument) is not None:
                checks.reject(owner, argument, "left out", kwargs[argument], remedy)
        super().__init__(learning_rate=float(learning_rate), **kwargs)

    def slots_for(self, variables: list[keras.Variable]) -> list[keras.Variable]:
        """Creates the variables that the search keeps between steps, and returns them."""
        return []

    def search(self, objective: Objective, loss: Tensor, gradients: Tensors, weights: Tensors, slots: Tensors) -> Found:
        """The step: new weights, new slots, the accepted step size (0: none) and the number of evaluations.

        `objective` is the loss of the batch (see `Objective`), `loss` and `gradients` are its value and its gradients
        at `weights`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `search`.")

    def bind(self, model: keras.Model) -> Self:
        """Makes the training steps of `model` pass the loss to the optimizer, and returns it, for `compile`."""
        remedy = ""
        if isinstance(model, keras.Model):
            assigned = vars(model).get("train_step")
            if assigned is not None and not pipeline_of(model).has_made(assigned):
                remedy = "Remove the `train_step` that was assigned to the model: a search replaces it."
            elif type(model).train_step is not keras.Model.train_step:
                remedy = "A search replaces the `train_step`; override `compute_loss` instead."
        if remedy:
            checks.reject(type(self).__name__, "model", "a model with Keras's own `train_step`", model.name, remedy)
        return super().bind(model)

    def create(self, variables: list[keras.Variable]) -> None:
        super().create(variables)
        if any(map(self._overwrite_variable_with_gradient, variables)):
            raise ValueError(f"{type(self).__name__} cannot train float8 layers: their scales are not weights.")
        self.dtype: str = vectors.wide(variables)
        self._step_size = self.add_variable((), dtype=self.dtype, name="step_size")
        self._evaluations = self.add_variable((), dtype="int32", name="evaluations")
        self._logged = {"step_size": self._step_size, "evaluations": self._evaluations}
        self._slots = self.slots_for(variables)

    def apply(self, grads: Tensors, trainable_variables: list[keras.Variable] | None = None) -> NoReturn:
        self.raise_unbound()

    def stateless_apply(
        self, optimizer_variables: Tensors, grads: Tensors, trainable_variables: Tensors
    ) -> list[Tensors]:
        if self._batch is None:
            self.raise_unbound()
        objective, loss = self._batch
        # Keras's loss scaling passes variables, whose values are in its own scope.
        with _backend.scope([self.variables], [optimizer_variables]) as scope:
            scale, slots = self.loss_scale_factor, [slot.value for slot in self._slots]
            gradients = [g / scale for g in grads] if scale else grads
            found = self.search(objective, loss, gradients, trainable_variables, slots)
            weights, slots, step_size, evaluations = found
            targets = [*self._trainable_variables, *self._slots, self._step_size, self._evaluations]
            for target, value in zip(targets, [*weights, *slots, step_size, evaluations], strict=True):
                target.assign(value if target.constraint is None else target.constraint(value))
            if self.use_ema:
                self._update_model_variables_moving_average(self._trainable_variables)
            self._iterations.assign_add(1)
        return [[scope.get_current_value(v) for v in group] for group in (self._trainable_variables, self.variables)]

    @contextlib.contextmanager
    def on(self, objective: Objective, loss: Tensor) -> Iterator[None]:
        """Makes the loss of the batch available to the search, during a step."""
        self._batch = objective, loss
        try:
            yield
        finally:
            self._batch = None


def _measured(model, metrics, loss, data, y_pred):
    """The logs of the step and the metric variables after it."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    size = next(ops.shape(leaf)[0] for leaf in keras.tree.flatten(x) if leaf is not None)
    with _backend.scope([model.metrics_variables], [metrics]) as scope:
        model._loss_tracker.update_state(loss, sample_weight=size)
        logs = model.compute_metrics(x, y, y_pred, sample_weight)
    return dict(logs), [scope.get_current_value(v) for v in model.metrics_variables]
