"""One optimizer step, as stages read and modify it."""

from collections.abc import Callable

import keras
from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core.types import Tensor
from keras_lecture._training.chain import chain
from keras_lecture._training.condition import Condition


class Step:
    """The gradients of one optimizer step, free of Keras's loss scaling and gradient accumulation.

    `gradients` are unscaled and dense; with gradient accumulation they are the mean that moves the weights if the step
    is `due`. Setting them changes the step. `batch` is the contribution of this batch, `loss` its loss if the train
    step has computed it (in a search). `taken` says whether the step is taken at all; `due` and `taken` are
    `Condition`s. `variables` are those of the gradients, in the same order.
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        gradients: list[Tensor | None],
        variables: list[keras.Variable],
        weights: Callable[[list[keras.Variable]], list[Tensor]],
        loss: Tensor | None = None,
    ) -> None:
        *outer, core = chain(optimizer)
        # Dynamic loss scaling skips the step if a gradient overflows, and lowers the scale.
        self.is_dynamically_scaled: bool = any(isinstance(o, keras.optimizers.LossScaleOptimizer) for o in outer)
        self._received = list(gradients)
        # Some weights may have no gradient, and float8 layers pass new scales as gradients.
        self._chosen = [
            index
            for index, (g, v) in enumerate(zip(gradients, variables, strict=True))
            if g is not None and not getattr(v, "overwrite_with_gradient", False)
        ]
        self.variables: list[keras.Variable] = [variables[index] for index in self._chosen]
        self._weights = weights
        self.loss = loss
        self.scale: float | Tensor = optimizer.scale_loss(1.0)
        self._accumulated = self._period = None
        self.due: Condition = Condition(True)
        self.taken: Condition = Condition(True)
        if core.gradient_accumulation_steps:
            self._period = core.gradient_accumulation_steps
            self._accumulated = [core._accumulated_gradients[core._get_variable_index(v)] for v in self.variables]
            self.due = Condition(ops.equal((core._iterations + 1) % self._period, 0))
        batch = dense([self._received[index] for index in self._chosen])
        self.amend([g / self._scale_in(g) for g in batch] if self.is_scaled else list(batch))
        self._seen = self.gradients

    def amend(self, batch: list[Tensor]) -> None:
        """Replaces the contribution of this batch."""
        self.batch = batch
        if self._period:
            batch = [(g + a) / self._period for g, a in zip(batch, self._accumulated, strict=True)]
        self.gradients = batch

    @property
    def weights(self) -> list[Tensor]:
        """The weights from which the step starts; with `Nesterov` not the look-ahead point of the gradients."""
        return self._weights(self.variables)

    def snapshot(self, needed: Condition) -> list[Tensor]:
        """The weights before the step, copied only if `needed`, to be compared with those after it."""
        weights = self.weights
        in_place = [v.value for v in self.variables]
        # Computed weights (look-ahead) do not share a variable's memory: no copy.
        computed = any(w is not v for w, v in zip(weights, in_place, strict=True))
        return weights if computed else snapshot(weights, needed.value)

    def outgoing(self) -> list[Tensor | None]:
        """The gradients to pass to Keras's optimizer, so that its step uses `gradients`."""
        if self.gradients is self._seen:
            return self._received
        gradients = self.gradients
        if self._period:
            # `gradients` already are the mean: scale by the period, and clear the sum that Keras would add.
            pairs = zip(gradients, self.batch, strict=True)
            gradients = [self.due.where(g * self._period, own) for g, own in pairs]
            emptied = self.due & self.taken
            for a in self._accumulated:
                a.assign(emptied.where(ops.zeros_like(a.value), a.value))
        if self.is_scaled:
            gradients = [g * self._scale_in(g) for g in gradients]
        outgoing = list(self._received)
        for index, g in zip(self._chosen, gradients, strict=True):
            outgoing[index] = g
        return outgoing

    @property
    def is_scaled(self) -> bool:
        """Whether the optimizer receives gradients times a loss scale."""
        return not (isinstance(self.scale, float) and self.scale == 1.0)

    def _scale_in(self, gradient):
        return ops.cast(self.scale, gradient.dtype)


@accelerate
def snapshot(weights, needed):
    """A copy of the weights if `needed`: on PyTorch and TensorFlow the step changes them in place."""
    return weights


@accelerate
def over_replicas(gradients):
    """The gradients of the global batch: on TensorFlow the sum over the replicas of a strategy, else unchanged."""
    return gradients


@accelerate
def per_replica(gradients):
    """The inverse of `over_replicas`: equal parts, which Keras's optimizer sums over the replicas again."""
    return gradients


@accelerate
def dense(gradients):
    """The gradients as dense tensors: the formulas update all weights, also those outside of TensorFlow's slices."""
    return gradients
