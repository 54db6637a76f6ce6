"""Gradient descent, with and without memory of where it was going."""

import keras

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture.optimizers.rule import Rule, scheduled


@register
class SGD(Rule):
    """Gradient descent: stochastic with mini-batches, plain with the full batch.

    Use it as the yardstick, and where memory is short: it keeps nothing.

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
        Robbins and Monro, 1951; decks A, B, D, E. The same as `keras.optimizers.SGD` without momentum, which has its
        own class here.
    """

    kernel = "sgd"

    def step(self, w, g, rate, k):
        return w - rate * g


class Inertial(Rule):
    """What the two rules with a velocity share: its name and how fast it fades."""

    slots = ("velocity",)

    def __init__(self, learning_rate=0.01, momentum=0.9, **kwargs):
        if not callable(momentum):
            checks.number(type(self).__name__, "momentum", momentum, "[0, 1)", "Or pass a schedule.")
        super().__init__(learning_rate, **kwargs)
        self.momentum = momentum

    def get_config(self):
        momentum = self.momentum
        if callable(momentum):
            momentum = keras.saving.serialize_keras_object(momentum)
        return {**super().get_config(), "momentum": momentum}


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

    kernel = "momentum"

    def step(self, w, g, rate, k, v):
        v = scheduled(self.momentum, k) * v - rate * g
        return w + v, v
