"""One step of an optimizer, as those see it who look at it or change it."""

from typing import Any

import keras
from keras import ops

from keras_lecture.optimizers.rule import dense

Tensor = Any


class Step:
    """The gradients that a step is made of, whatever Keras wraps around the optimizer.

    `gradients` are unscaled and plain; with gradient accumulation they are the mean that moves the weights, if the
    step is `due` to move them. Whoever sets them changes the step. `batch` is what this batch alone contributes.
    `taken` is `True`, or a tensor that says whether the step is taken at all. `variables` go with the gradients.
    """

    def __init__(self, optimizer, gradients, variables):
        *outer, core = chain(optimizer)
        # Such a step is skipped if the gradient overflowed, and the scale lowered.
        self.is_dynamically_scaled = any(isinstance(o, keras.optimizers.LossScaleOptimizer) for o in outer)
        self._received = list(gradients)
        # Layers may leave weights without a gradient, and float8 layers hand on new scales as gradients.
        self._chosen = [
            index
            for index, (g, v) in enumerate(zip(gradients, variables, strict=True))
            if g is not None and not getattr(v, "overwrite_with_gradient", False)
        ]
        self.variables = [variables[index] for index in self._chosen]
        self.scale = optimizer.scale_loss(1.0)
        self._accumulated = self._period = None
        self.due = self.taken = True
        if core.gradient_accumulation_steps:
            self._period = core.gradient_accumulation_steps
            self._accumulated = [core._accumulated_gradients[core._get_variable_index(v)] for v in self.variables]
            self.due = ops.equal((core._iterations + 1) % self._period, 0)
        batch = dense([self._received[index] for index in self._chosen])
        self.amend([g / self._scale_in(g) for g in batch] if self.is_scaled else list(batch))
        self._seen = self.gradients

    def amend(self, batch):
        """Replaces what this batch contributes."""
        self.batch = batch
        if self._period:
            batch = [(g + a) / self._period for g, a in zip(batch, self._accumulated, strict=True)]
        self.gradients = batch

    @property
    def weights(self) -> list[Tensor]:
        """The weights as they are now."""
        return [ops.convert_to_tensor(v) for v in self.variables]

    def outgoing(self):
        """The gradients for Keras's own step, such that it arrives at `gradients`."""
        if self.gradients is self._seen:
            return self._received
        gradients = self.gradients
        if self._period:
            # The mean is ready: what Keras would add to it is taken away.
            pairs = zip(gradients, self.batch, strict=True)
            gradients = [ops.where(self.due, g * self._period, own) for g, own in pairs]
            for a in self._accumulated:
                a.assign(ops.where(ops.logical_and(self.due, self.taken), 0.0, a.value))
        if self.is_scaled:
            gradients = [g * self._scale_in(g) for g in gradients]
        outgoing = list(self._received)
        for index, g in zip(self._chosen, gradients, strict=True):
            outgoing[index] = g
        return outgoing

    @property
    def is_scaled(self):
        return not (isinstance(self.scale, float) and self.scale == 1.0)

    def _scale_in(self, gradient):
        return ops.cast(self.scale, gradient.dtype)


def chain(optimizer):
    """The optimizer and those inside of it, one in the other (loss scaling, averages)."""
    yield optimizer
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
        yield optimizer


def is_fixed(optimizer):
    """Whether the learning rate is a number, which can be set, and no schedule."""
    *_, core = chain(optimizer)
    return isinstance(core._learning_rate, keras.Variable)
