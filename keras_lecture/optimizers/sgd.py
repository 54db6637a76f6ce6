"""Gradient descent, without and with momentum."""

from typing import Any

import keras

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.optimizers.rule import Rule, scheduled
from keras_lecture.optimizers.schedules import Scheduled


@register
class SGD(Rule):
    """Gradient descent: stochastic with mini-batches, plain with the full batch.

    Use it as a baseline, and where memory is short: it has no slots.

        w ← w − ηg

    w weights, g gradient, η `learning_rate`.
    With `batch_size=len(x)` it is gradient descent.

    Args:
        learning_rate: η, a number or a schedule. Defaults to `0.01`.
        weight_decay, l1, penalize: Decay and shrinkage, see `Rule`.
        kwargs: Arguments of `keras.optimizers.Optimizer`.

    Example:
        >>> w = keras.Variable(1.0)
        >>> keras_lecture.optimizers.SGD(0.5).apply([keras.ops.convert_to_tensor(1.0)], [w])
        >>> float(w.numpy())
        0.5

    Reference:
        Robbins and Monro, 1951; decks A, B, D, E. The same as `keras.optimizers.SGD` without momentum; here momentum
        is a class of its own.
    """

    kernel: str | None = "sgd"

    def step(self, w: Tensor, g: Tensor, rate: Tensor, k: Tensor) -> Tensor:
        return w - rate * g


class Inertial(Rule):
    """Base class of the two rules with a velocity."""

    slots: tuple[str, ...] = ("velocity",)

    def __init__(self, learning_rate: Scheduled = 0.01, momentum: Scheduled = 0.9, **kwargs: Any) -> None:
        if not callable(momentum):
            checks.number(type(self).__name__, "momentum", momentum, "[0, 1)", "Or pass a schedule.")
        super().__init__(learning_rate, **kwargs)
        self.momentum = momentum

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": keras.saving.serialize_keras_object(self.momentum)}


@register
class Momentum(Inertial):
    """Heavy ball: the velocity sums past gradients, which damps zig-zag and speeds up along valleys.

    Use it wherever SGD works too slowly; one slot per weight.

        v ← ρv − ηg
        w ← w + v

    w weights, g gradient, v velocity (0 at first), η `learning_rate`, ρ `momentum`.
    `momentum=0` is `SGD`.

    Args:
        learning_rate: η, a number or a schedule. Defaults to `0.01`.
        momentum: ρ in [0, 1), a number or a schedule of the step. Defaults to `0.9`.
        kwargs: `weight_decay`, `l1`, `penalize` and Keras's own, see `Rule`.

    Example:
        >>> w = keras.Variable(1.0)
        >>> optimizer = keras_lecture.optimizers.Momentum(0.5, momentum=0.5)
        >>> for _ in range(2):
        ...     optimizer.apply([keras.ops.convert_to_tensor(1.0)], [w])
        >>> float(w.numpy())
        -0.25

    Reference:
        Polyak, 1964; decks A (ρ = 0.95), B and E (ρ = 0.9, the default here). The same as
        `keras.optimizers.SGD(momentum=ρ)`. PyTorch and optax keep η outside the velocity, which differs while η
        changes.
    """

    kernel: str | None = "momentum"

    def step(self, w: Tensor, g: Tensor, rate: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        v = scheduled(self.momentum, k) * v - rate * g
        return w + v, v
