"""Learning-rate schedules over steps or, with `per_epoch`, over epochs."""

import math
from collections.abc import Callable
from typing import Any, Self

import keras
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor

__all__ = ["Cyclical", "Exponential", "InverseTime", "WarmRestarts", "Warmup"]

# A hyperparameter that may change with the step: a number, a schedule or another callable.
Scheduled = float | Callable[..., Tensor]


def checked_rate(owner: str, learning_rate: Scheduled) -> Scheduled:
    """A learning rate as Keras takes it: a float, a schedule or a callable."""
    if callable(learning_rate):
        return learning_rate
    checks.number(owner, "learning_rate", learning_rate, "[0, ∞)", "Or pass a schedule.")
    return float(learning_rate)


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Base class of the schedules: the names of its arguments, and of those among them that count steps."""

    arguments: tuple[str, ...] = ()
    lengths: tuple[str, ...] = ()

    def per_epoch(self, steps: int) -> Self:
        """The same schedule with its lengths read as epochs of `steps` steps each."""
        checks.whole(type(self).__name__, "steps", steps, "[1, ∞)", "Pass the number of batches of an epoch.")
        config = self.get_config()
        return type(self).from_config({**config, **{name: config[name] * steps for name in self.lengths}})

    def get_config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.arguments}


def _check_minimum(owner, minimum, learning_rate):
    """The lowest rate: with exchanged bounds, a schedule would start where it should end."""
    checks.number(owner, "minimum", minimum, "[0, ∞)")
    if minimum > learning_rate:
        checks.reject(owner, "minimum", f"at most `learning_rate`={learning_rate}", minimum)


def _tensors(step, *values):
    """The step and some numbers as tensors of Keras's float dtype, so that comparing them is exact."""
    dtype = keras.config.floatx()
    return [ops.cast(value, dtype) for value in (step, *values)]


@register
class Cyclical(Schedule):
    """Raises and lowers the learning rate linearly between two bounds, again and again.

    Use it when one run should try a whole range of rates: take the bounds from `find_learning_rate`, and end the run
    with a cycle, where the rate is lowest.

        η(k) = η₁ + (η₀ − η₁)·s·(1 − |2t/T − 1|)       "triangular": s = 1,   "triangular2": s = ½ⁱ
        η(k) = cᵏᐟᵀ·(η₁ + (η₀ − η₁)(1 − |2t/T − 1|))   "exp_range"

    η₀ `learning_rate`, η₁ `minimum`, T `period`, i the number of cycles before step k, t = k − iT, c `factor`.
    In the middle of the first cycle of "triangular" the rate is η₀, at its ends η₁.

    Args:
        learning_rate: η₀, the upper bound.
        period: Steps (or epochs, see `per_epoch`) of a cycle, up and down.
        minimum: η₁, the lower bound. Defaults to `None`, a quarter of `learning_rate`.
        policy: `"triangular"`, `"triangular2"`, which halves the difference of the bounds after each cycle, or
            `"exp_range"`, which lowers both bounds all the time. Defaults to `"triangular"`.
        factor: c in (0, 1], for `"exp_range"` only: the factor of the bounds in one cycle.

    Example:
        >>> rate = keras_lecture.optimizers.schedules.Cyclical(0.4, period=100, minimum=0.1)
        >>> [round(float(rate(step)), 4) for step in (0, 25, 50, 75, 100, 150)]
        [0.1, 0.25, 0.4, 0.25, 0.1, 0.4]

    Reference:
        Smith, 2017, arXiv:1506.01186, section 3. The paper's stepsize is T/2, and its γ of one step is c^(1/T). PyTorch
        and TensorFlow Addons lower only the difference of the bounds in "exp_range", the paper lowers both bounds; with
        `minimum=0` there is no difference. Keras has no such class.
    """

    arguments: tuple[str, ...] = ("learning_rate", "period", "minimum", "policy", "factor")
    lengths: tuple[str, ...] = ("period",)

    def __init__(
        self,
        learning_rate: float,
        *,
        period: float,
        minimum: float | None = None,
        policy: str = "triangular",
        factor: float | None = None,
    ) -> None:
        checks.number("Cyclical", "learning_rate", learning_rate, "[0, ∞)")
        checks.number("Cyclical", "period", period, "(0, ∞)")
        if minimum is not None:
            _check_minimum("Cyclical", minimum, learning_rate)
        checks.one_of("Cyclical", "policy", policy, ("triangular", "triangular2", "exp_range"))
        if policy == "exp_range":
            checks.number("Cyclical", "factor", factor, "(0, 1]", "It is the factor of the bounds in one cycle.")
        elif factor is not None:
            checks.reject("Cyclical", "factor", f"None with policy={policy!r}", factor, 'Or pass policy="exp_range".')
        self.learning_rate = learning_rate
        self.period = period
        self.minimum = minimum
        self.policy = policy
        self.factor = factor

    def __call__(self, step: Tensor) -> Tensor:
        k, period = _tensors(step, self.period)
        cycle = ops.floor(k / period)
        minimum = self.learning_rate / 4 if self.minimum is None else self.minimum
        height = (self.learning_rate - minimum) * (1.0 - ops.abs(2.0 * (k - cycle * period) / period - 1.0))
        if self.policy == "triangular2":
            height = height * 0.5**cycle
        rate = minimum + height
        return rate * self.factor ** (k / period) if self.policy == "exp_range" else rate


@register
class Exponential(Schedule):
    """Multiplies the learning rate by a constant factor every period, or every epoch with `per_epoch`.

    Use it for a first run whose length is known: after n periods the rate is η₀·factorⁿ.

        η(k) = η₀ · factor^⌊k / period⌋

    η₀ `learning_rate`, factor `factor`, period `period`, k the step from 0.
    `factor=1` is a constant learning rate.

    Args:
        learning_rate: η₀, the rate of the first period.
        factor: The factor of one period, in (0, 1]. Defaults to `0.95`.
        period: Steps (or epochs, see `per_epoch`) between two multiplications. Defaults to `1`.

    Example:
        >>> rate = keras_lecture.optimizers.schedules.Exponential(0.1, factor=0.5).per_epoch(100)
        >>> [round(float(rate(step)), 4) for step in (0, 99, 100, 250)]
        [0.1, 0.1, 0.05, 0.025]

    Reference:
        Deck E. `keras.optimizers.schedules.ExponentialDecay(staircase=True)` with `decay_steps=period`.
    """

    arguments: tuple[str, ...] = ("learning_rate", "factor", "period")
    lengths: tuple[str, ...] = ("period",)

    def __init__(self, learning_rate: float, *, factor: float = 0.95, period: float = 1) -> None:
        checks.number("Exponential", "learning_rate", learning_rate, "[0, ∞)")
        checks.number("Exponential", "factor", factor, "(0, 1]")
        checks.number("Exponential", "period", period, "(0, ∞)")
        self.learning_rate = learning_rate
        self.factor = factor
        self.period = period

    def __call__(self, step: Tensor) -> Tensor:
        k, period, factor = _tensors(step, self.period, self.factor)
        return self.learning_rate * ops.power(factor, ops.floor(k / period))


@register
class InverseTime(Schedule):
    """Lowers the learning rate like 1/k: the sum of the rates diverges, the sum of their squares does not.

    Use it where a convergence guarantee matters: stochastic gradient descent then converges on convex losses. It is
    slow at the end of a long run.

        η(k) = η₀ / (1 + k / period)

    η₀ `learning_rate`, period `period`, k the step from 0.
    After one period the rate is half the first one.

    Args:
        learning_rate: η₀, the first rate.
        period: Steps (or epochs, see `per_epoch`) after which the rate is halved. Defaults to `1`.

    Example:
        >>> rate = keras_lecture.optimizers.schedules.InverseTime(0.1, period=100)
        >>> [round(float(rate(step)), 4) for step in (0, 100, 900)]
        [0.1, 0.05, 0.01]

    Reference:
        Robbins and Monro, 1951; deck B. `keras.optimizers.schedules.InverseTimeDecay(decay_rate=1)` with
        `decay_steps=period`.
    """

    arguments: tuple[str, ...] = ("learning_rate", "period")
    lengths: tuple[str, ...] = ("period",)

    def __init__(self, learning_rate: float, *, period: float = 1) -> None:
        checks.number("InverseTime", "learning_rate", learning_rate, "[0, ∞)")
        checks.number("InverseTime", "period", period, "(0, ∞)")
        self.learning_rate = learning_rate
        self.period = period

    def __call__(self, step: Tensor) -> Tensor:
        k, period = _tensors(step, self.period)
        return self.learning_rate / (1.0 + k / period)


@register
class WarmRestarts(Schedule):
    """Lowers the learning rate along a cosine and restarts it, each time with a longer period.

    Use it when one run should give several good models: just before each restart the rate is lowest.

        η(k) = η₁ + ½(η₀ − η₁)(1 + cos(π·t/T)),   T = period · t_mulⁱ

    η₀ `learning_rate`, η₁ `minimum`, t the steps since restart i, T the length of the period after it.
    `t_mul=1` makes all periods equally long.

    Args:
        learning_rate: η₀, the rate just after a restart.
        period: Steps (or epochs, see `per_epoch`) to the first restart.
        t_mul: The length of a period relative to the one before, at least 1. Defaults to `2`.
        minimum: η₁, the rate that a period approaches at its end. Defaults to `0.0`.

    Example:
        >>> rate = keras_lecture.optimizers.schedules.WarmRestarts(0.1, period=100, t_mul=2)
        >>> [round(float(rate(step)), 4) for step in (0, 50, 100, 200, 300)]
        [0.1, 0.05, 0.1, 0.05, 0.1]

    Reference:
        Loshchilov and Hutter, 2017, arXiv:1608.03983, eq. 5; deck A. `keras.optimizers.schedules.CosineDecayRestarts`
        is the same curve; its `alpha` is `minimum / learning_rate`.
    """

    arguments: tuple[str, ...] = ("learning_rate", "period", "t_mul", "minimum")
    lengths: tuple[str, ...] = ("period",)

    def __init__(self, learning_rate: float, *, period: float, t_mul: float = 2, minimum: float = 0.0) -> None:
        checks.number("WarmRestarts", "learning_rate", learning_rate, "[0, ∞)")
        checks.number("WarmRestarts", "period", period, "(0, ∞)")
        checks.number("WarmRestarts", "t_mul", t_mul, "[1, ∞)")
        _check_minimum("WarmRestarts", minimum, learning_rate)
        self.learning_rate = learning_rate
        self.period = period
        self.t_mul = t_mul
        self.minimum = minimum

    def __call__(self, step: Tensor) -> Tensor:
        k, period = _tensors(step, self.period)
        length, start = self._period(k, period)
        wave = 0.5 * (1.0 + ops.cos(math.pi * (k - start) / length))
        return self.minimum + (self.learning_rate - self.minimum) * wave

    def _period(self, k, period):
        """Length and first step of the period that contains step k."""
        if self.t_mul == 1:
            return period, period * ops.floor(k / period)
        ratio = ops.cast(self.t_mul, k.dtype)

        def start(i):
            return period * (ratio**i - 1.0) / (ratio - 1.0)

        # The logarithm's rounding can miss a restart by one step: look at the periods on both sides.
        guess = ops.floor(ops.log(k / period * (ratio - 1.0) + 1.0) / ops.log(ratio))
        i = ops.where(start(guess + 1.0) <= k, guess + 1.0, ops.where(start(guess) > k, guess - 1.0, guess))
        return period * ratio**i, start(i)


@register
class Warmup(Schedule):
    """Raises the learning rate linearly to the first rate of another schedule, then follows that schedule.

    Use it with large batches, with Adam, and with deep networks whose first steps diverge.

        η(k) = s(0) · (k + 1) / length   for k < length,   s(k − length)   after

    s `schedule`, length `length`, k the step from 0.
    The last step of the warm-up already has the schedule's first rate, so the rate does not jump.

    Args:
        schedule: A schedule, or a number for a constant rate after the warm-up.
        length: Steps (or epochs, see `per_epoch`) to warm up.

    Example:
        >>> rate = keras_lecture.optimizers.schedules.Warmup(0.1, length=4)
        >>> [round(float(rate(step)), 4) for step in (0, 1, 3, 4, 100)]
        [0.025, 0.05, 0.1, 0.1, 0.1]

    Reference:
        Goyal et al., 2017, arXiv:1706.02677, section 2.2. Keras has warm-up only inside `CosineDecay`.
    """

    arguments: tuple[str, ...] = ("schedule", "length")

    def __init__(self, schedule: Scheduled, *, length: float) -> None:
        checked_rate("Warmup", schedule)
        checks.number("Warmup", "length", length, "(0, ∞)")
        self.schedule = schedule
        self.length = length

    def per_epoch(self, steps: int) -> "Warmup":
        schedule = self.schedule.per_epoch(steps) if isinstance(self.schedule, Schedule) else self.schedule
        checks.whole("Warmup", "steps", steps, "[1, ∞)")
        return Warmup(schedule, length=self.length * steps)

    def __call__(self, step: Tensor) -> Tensor:
        k, length = _tensors(step, self.length)
        follow = self.schedule if callable(self.schedule) else lambda step: self.schedule
        after = ops.maximum(k - length, 0.0)
        return ops.where(k < length, follow(ops.zeros_like(k)) * (k + 1.0) / length, follow(after))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "schedule": keras.saving.serialize_keras_object(self.schedule)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**{**config, "schedule": keras.saving.deserialize_keras_object(config["schedule"])})
