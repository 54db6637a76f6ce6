"""Nesterov's accelerated gradient: the gradient at the look-ahead point, the iterate for everybody else."""

import sys
import weakref

import keras
from keras import ops

from keras_lecture.backend import accelerate
from keras_lecture.optimizers.rule import scheduled
from keras_lecture.optimizers.sgd import Inertial
from keras_lecture.saving import register


@register
class Nesterov(Inertial):
    """Nesterov's momentum: looks ahead along the velocity and takes the gradient there.

    Use it like `Momentum`, of which it is the provably faster form on smooth convex losses; one slot per weight.

        v ← ρv − η∇f(w + ρv)
        w ← w + v

    w weights, f loss, v velocity (0 at first), η `learning_rate`, ρ `momentum`.
    `momentum=0` is `SGD`.

    The model holds w + ρv while a training step computes its gradient, and w at all other times: in validation, in
    callbacks and checkpoints, after `fit`. So the optimizer must come before the forward pass of the step: when the
    model that it is compiled into builds it, it puts itself there by itself, as `bind(model)` does. In a training loop
    of your own call `look_ahead()` before you compute the gradients.

    Args:
        learning_rate: η, a number or a schedule. Defaults to `0.01`.
        momentum: ρ in [0, 1), a number or a schedule of the step. Defaults to `0.9`.
        kwargs: `weight_decay`, `l1`, `penalize` and Keras's own, see `Rule`.

    Example:
        >>> w = keras.Variable(1.0)
        >>> optimizer = keras_lecture.optimizers.Nesterov(0.25, momentum=0.5)
        >>> optimizer.build([w])
        >>> for _ in range(2):
        ...     optimizer.look_ahead()
        ...     optimizer.apply([2.0 * keras.ops.convert_to_tensor(w)], [w])
        >>> float(w.numpy())
        0.125

    Reference:
        Nesterov, 1983; Sutskever et al., 2013, eq. 3 and 4; decks A, B, E. `keras.optimizers.SGD(nesterov=True)` is the
        same recursion in the coordinate u = w + ρv, exact while ρ is constant: its model holds u always, so validation
        and saved models see the look-ahead point, not the iterate.
    """

    kernel = "nesterov"
    elementwise = True

    # A weak reference to the model whose training steps look ahead, and whether anybody ever did.
    _model = None
    _looks_ahead = False

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        # 1 while the variables hold w + ρv. A step that is skipped (loss scaling, accumulation) leaves it at 1.
        self._ahead = self.add_variable((), dtype="float32", name="ahead")
        model = _compiled_caller(self)
        if model is not None:
            self.bind(model)

    def bind(self, model):
        """Makes every training step of `model` look ahead first; returns the optimizer."""
        if self._model is not None and self._model() is model:
            return self
        if model.train_function is not None and model.steps_per_execution > 1:
            raise ValueError("Nesterov: with `steps_per_execution` > 1 call `optimizer.bind(model)` before `fit`.")
        self._model = weakref.ref(model)
        self._looks_ahead = True
        plain = model.train_step

        # On JAX, Keras's train step takes a state and returns it; elsewhere it has neither.
        def train_step(*args):
            if not _trains(self, model):
                return plain(*args)
            *state, data = args
            if not state:
                self.look_ahead()
                logs = plain(data)
                self._settle(model)
                return logs
            logs, state = plain(_within(model, state[0], self.look_ahead), data)
            return logs, _within(model, state, lambda: self._settle(model))

        model.train_step = train_step
        if model.train_function is not None:
            # TensorFlow builds the optimizer while it traces the first step, which has no velocity to look along yet.
            model.make_train_function(force=True)
        return self

    def look_ahead(self):
        """Moves the variables from w to w + ρv, where the gradient for the next `apply` is due."""
        self._looks_ahead = True
        if self.built:
            self._shift(self._moving(), 1.0 - self._ahead.value)
            self._ahead.assign(1.0)

    def step(self, w, g, rate, k, v):
        # w is at the look-ahead point here, and w + ρv − ηg is the lecture's w + v.
        return w - rate * g, scheduled(self.momentum, k) * v - rate * g

    def decayed(self, w, rate, k, v):
        return w - rate * self.weight_decay * (w - scheduled(self.momentum, k) * v)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        if not self._looks_ahead:
            raise ValueError(
                "Nesterov takes its gradients at the look-ahead point and is not bound to a model. Call "
                "`optimizer.bind(model)` before `fit`, or, in your own training loop, `optimizer.look_ahead()` before "
                "you compute the gradients."
            )
        updated = {id(variable) for variable in trainable_variables}
        self._shift([v for v in self._moving() if id(v) not in updated], -self._ahead.value)
        super()._backend_update_step(grads, trainable_variables, learning_rate)
        self._ahead.assign(0.0)

    def _settle(self, model):
        """Back to w where the step was skipped, which only a wrapper or an accumulation does."""
        if model.optimizer is not self or self.gradient_accumulation_steps:
            self._shift(self._moving(), -self._ahead.value)
            self._ahead.assign(0.0)

    def _moving(self):
        return [v for v in self._trainable_variables if v.trainable and not self._overwrite_variable_with_gradient(v)]

    def _shift(self, variables, sign):
        if variables:
            (velocities,), _ = self.state_of(variables)
            along_velocity(self, variables, velocities, sign)


@accelerate
def along_velocity(rule, variables, velocities, sign):
    """w ← w ± ρv, or w where `sign` is 0."""
    for w, v in zip(variables, velocities, strict=True):
        rho = scheduled(rule.momentum, ops.cast(rule.iterations + 1, v.dtype))
        rule.assign_add(w, ops.cast(ops.cast(sign, v.dtype) * rho * v.value, w.dtype))


def _trains(optimizer, model):
    """Whether `model` trains with `optimizer`, directly or inside a wrapper such as Keras's loss scaling."""
    return any(variable is optimizer._iterations for variable in model.optimizer.variables)


def _compiled_caller(optimizer):
    """The model that is building `optimizer`: nothing else connects the two before the first step.

    Keras hands an optimizer variables, never a model, and asks it for nothing before the forward pass; the trainer's
    own call is the one place where both meet.
    """
    frame = sys._getframe(1)
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.Model) and getattr(caller, "optimizer", None) and _trains(optimizer, caller):
            return caller
        frame = frame.f_back
    return None


def _within(model, state, move):
    """The JAX trainer's `state` after `move()` has assigned to variables."""
    groups = (model.trainable_variables, model.optimizer.variables)
    trainable, others, slots, metrics = state
    mapping = [*zip(groups[0], trainable, strict=True), *zip(groups[1], slots, strict=True)]
    with keras.StatelessScope(state_mapping=mapping) as scope:
        move()
    trainable, slots = ([scope.get_current_value(v) for v in group] for group in groups)
    return trainable, others, slots, metrics
