"""Nesterov's accelerated gradient: the gradient at the look-ahead point, the iterate for everybody else."""

import contextlib

import keras
from keras import ops

from keras_lecture import checks
from keras_lecture.backend import accelerate
from keras_lecture.optimizers.looking_ahead import LookingAhead, building_model, looks_ahead
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
    model that it is compiled into builds it, it puts itself there by itself, as `bind(model)` does (which on
    TensorFlow saves compiling the step twice). In a training loop of your own call `look_ahead()` before you compute
    the gradients.

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

    # How many training steps of bound models are running, whether a loop of the user's looks ahead by itself, and
    # whether a step under way has just built the optimizer: it has no velocity to look along yet.
    _steps = 0
    _by_hand = False
    _newborn = False

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        # 1 while the variables hold w + ρv. A step that is skipped (loss scaling, accumulation) leaves it at 1.
        self._ahead = self.add_variable((), dtype="float32", aggregation="only_first_replica", name="ahead")
        model = building_model(self)
        if model is None or looks_ahead(model, self):
            return
        if model.train_function is not None and model.steps_per_execution > 1:
            raise ValueError("Nesterov: with `steps_per_execution` > 1 call `optimizer.bind(model)` before `fit`.")
        # On TensorFlow, Keras builds an optimizer while it traces the first step (and then traces that once more).
        self._newborn = model.train_function is not None
        self.bind(model)

    def bind(self, model):
        """Makes every training step of `model` look ahead first; returns the optimizer, for `compile`.

        A model that builds the optimizer it is compiled with does this by itself.
        """
        checks.instance("Nesterov", "model", model, keras.Model, "a Keras model")
        if not looks_ahead(model, self):
            model.train_step = LookingAhead(model, self)
            if model.train_function is not None:
                model.make_train_function(force=True)
        return self

    @contextlib.contextmanager
    def within_step(self):
        """While a training step of a bound model runs."""
        self._steps += 1
        self._newborn = False
        try:
            yield
        finally:
            self._steps -= 1

    def look_ahead(self):
        """Moves the variables from w to w + ρv, where the gradient for the next `apply` is due."""
        self._by_hand = self._by_hand or not self._steps
        if self.built:
            self._shift(self._moving(), 1.0 - self._ahead.value)
            self._ahead.assign(1.0)

    def look_back(self):
        """Moves the variables from w + ρv to w where no `apply` has done so."""
        self._shift(self._moving(), -self._ahead.value)
        self._ahead.assign(0.0)

    def step(self, w, g, rate, k, v):
        # w is at the look-ahead point here, and w + ρv − ηg is the lecture's w + v.
        return w - rate * g, scheduled(self.momentum, k) * v - rate * g

    def decayed(self, w, rate, k, v):
        return w - rate * self.weight_decay * (w - scheduled(self.momentum, k) * v)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        if not (self._steps or self._by_hand or self._newborn):
            raise ValueError(
                "Nesterov takes its gradients at the look-ahead point and is not bound to the model that it should "
                "train. Call `optimizer.bind(model)` before `fit`, or, in your own training loop, "
                "`optimizer.look_ahead()` before you compute the gradients."
            )
        updated = {id(variable) for variable in trainable_variables}
        self._shift([v for v in self._moving() if id(v) not in updated], -self._ahead.value)
        super()._backend_update_step(grads, trainable_variables, learning_rate)
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
