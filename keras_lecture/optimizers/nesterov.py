"""Nesterov's accelerated gradient: the gradient at the look-ahead point, the iterate everywhere else."""

import keras
from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture._training.stage import Rank
from keras_lecture._training.training_step import TrainingStep
from keras_lecture.optimizers._binding import Bindable, BoundStage
from keras_lecture.optimizers.rule import scheduled
from keras_lecture.optimizers.sgd import Inertial


class LookAhead(BoundStage):
    """The stage of `Nesterov`: the forward pass is at the look-ahead point."""

    rank = Rank.LOOK_AHEAD
    once = True

    def open(self, step: TrainingStep) -> None:
        self.optimizer.in_step = True
        self.optimizer.look_ahead()

    def weights_of(self, variables: list[keras.Variable]) -> list[Tensor]:
        return self.optimizer.iterates(variables)

    def close(self, step: TrainingStep) -> None:
        # Only a wrapper (loss scaling), gradient accumulation or a stage of the pipeline can skip a step.
        optimizer = self.optimizer
        wrapped = step.optimizer is not optimizer or optimizer.gradient_accumulation_steps
        if wrapped or not step.taken.is_true or not step.reached:
            optimizer.look_back()

    def reset(self) -> None:
        self.optimizer.in_step = self.optimizer._has_looked = False


@register
class Nesterov(Bindable, Inertial):
    """Nesterov's momentum: looks ahead along the velocity and takes the gradient there.

    Use it like `Momentum`: on smooth convex losses it is provably faster. One slot per weight.

        v ← ρv − η∇f(w + ρv)
        w ← w + v

    w weights, f loss, v velocity (0 at first), η `learning_rate`, ρ `momentum`.
    `momentum=0` is `SGD`.

    The model holds w + ρv while a training step computes its gradient, and w at all other times: in validation, in
    callbacks and checkpoints, after `fit`. So the optimizer acts before the forward pass of the step, and must be bound
    to the model: `model.compile(Nesterov(…).bind(model), …)`, and `model.optimizer.bind(model)` after loading. In a
    training loop of your own call `look_ahead(variables)` before you compute the gradients.

    Args:
        learning_rate: η, a number or a schedule. Defaults to `0.01`.
        momentum: ρ in [0, 1), a number or a schedule of the step. Defaults to `0.9`.
        kwargs: `weight_decay`, `l1`, `penalize` and Keras's own, see `Rule`.

    Example:
        >>> w = keras.Variable(1.0)
        >>> optimizer = keras_lecture.optimizers.Nesterov(0.25, momentum=0.5)
        >>> for _ in range(2):
        ...     optimizer.look_ahead([w])
        ...     optimizer.apply([2.0 * keras.ops.convert_to_tensor(w)], [w])
        >>> float(w.numpy())
        0.125

    Reference:
        Nesterov, 1983; Sutskever et al., 2013, eq. 3 and 4; decks A, B, E. `keras.optimizers.SGD(nesterov=True)` is the
        same recursion in the coordinate u = w + ρv, exact while ρ is constant: its model always holds u, so validation
        and saved models see the look-ahead point, not the iterate.
    """

    kernel: str | None = "nesterov"
    stage: type[BoundStage] = LookAhead
    reason: str = "takes its gradients at the look-ahead point"
    advice: str = "In your own training loop call `optimizer.look_ahead(variables)` before you compute the gradients."
    # Whether a training step of the bound model is running.
    in_step: bool = False
    # In the user's own training loop: whether it has called `look_ahead` ever, and since the last step.
    _by_hand = False
    _has_looked = False

    @property
    def is_ready(self) -> bool:
        """Whether it is bound, or the user's own training loop calls `look_ahead`."""
        return self._by_hand or super().is_ready

    def create(self, variables: list[keras.Variable]) -> None:
        super().create(variables)
        # 1 while the variables hold w + ρv. A step that is skipped (loss scaling, accumulation) leaves it at 1.
        self._ahead = self.add_variable((), dtype="float32", aggregation="only_first_replica", name="ahead")

    def look_ahead(self, variables: list[keras.Variable] | None = None) -> None:
        """Moves the variables from w to w + ρv, the point of the gradient for the next `apply`.

        Args:
            variables: The variables to train, needed in the first call of your own training loop.
        """
        if not self.in_step:
            self._by_hand = True
        self._has_looked = True
        if variables is not None and not self.built:
            self.build(list(variables))
        if self.built:
            self._shift(self._moving(), 1.0 - self._ahead.value)
            self._ahead.assign(1.0)

    def look_back(self) -> None:
        """Moves the variables from w + ρv back to w, unless `apply` has done so."""
        self._has_looked = False
        self._shift(self._moving(), -self._ahead.value)
        self._ahead.assign(0.0)

    def step(self, w: Tensor, g: Tensor, rate: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        # w is the look-ahead point here, already w + ρv, so the formula's w + v is w − ηg.
        return w - rate * g, scheduled(self.momentum, k) * v - rate * g

    def decayed(self, w: Tensor, rate: Tensor, k: Tensor, v: Tensor) -> Tensor:
        # The iterate w − ρv decays, not the look-ahead point.
        return w - rate * self.weight_decay * (w - scheduled(self.momentum, k) * v)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        if not (self.in_step or self._has_looked):
            self.raise_unbound()
        self._has_looked = False
        updated = {id(variable) for variable in trainable_variables}
        self._shift([v for v in self._moving() if id(v) not in updated], -self._ahead.value)
        super()._backend_update_step(grads, trainable_variables, learning_rate)
        self._ahead.assign(0.0)

    def iterates(self, variables: list[keras.Variable]) -> list[Tensor]:
        """The values w of variables that may hold w + ρv now."""
        (velocities,), _ = self.state_of(variables)
        k = self.iterations + 1
        pairs = zip(variables, velocities, strict=True)
        return [w.value - ops.cast(self._ahead.value * _along(self, v, k), w.dtype) for w, v in pairs]

    def _moving(self):
        return [v for v in self._trainable_variables if v.trainable and not self._overwrite_variable_with_gradient(v)]

    def _shift(self, variables, sign):
        if variables:
            (velocities,), _ = self.state_of(variables)
            along_velocity(self, variables, velocities, sign)


@accelerate
def along_velocity(
    rule: Nesterov, variables: list[keras.Variable], velocities: list[keras.Variable], sign: Tensor
) -> None:
    """w ← w ± ρv, or w where `sign` is 0."""
    for w, v in zip(variables, velocities, strict=True):
        rule.assign_add(w, ops.cast(ops.cast(sign, v.dtype) * _along(rule, v, rule.iterations + 1), w.dtype))


def _along(rule, velocity, k):
    """ρv at step k."""
    return scheduled(rule.momentum, ops.cast(k, velocity.dtype)) * velocity.value
