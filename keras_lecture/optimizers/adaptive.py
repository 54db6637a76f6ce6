"""Adaptive rules: each weight has a step size of its own."""

import math
from typing import Any

from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.optimizers.rule import Rule
from keras_lecture.optimizers.schedules import Scheduled


@register
class AdaGrad(Rule):
    """Divides each weight's step by the root of the sum of its squared gradients.

    Use it for sparse features: the weights of rare features keep large steps. The steps only shrink, so long runs
    stall; one slot per weight.

        G ← G + g²
        w ← w − η g/√G

    w weights, g gradient, G sum of squares (ε at first), η `learning_rate`, ε `epsilon`.
    The first step is η in every weight, whatever the size of its gradient.

    Args:
        learning_rate: η, a number or a schedule. Defaults to `0.01`.
        epsilon: ε > 0, keeps the root off zero. Defaults to `1e-8`.
        kwargs: `weight_decay`, `l1`, `penalize` and Keras's own, see `Rule`.

    Example:
        >>> w = keras.Variable([1.0, 1.0])
        >>> keras_lecture.optimizers.AdaGrad(0.5).apply([keras.ops.convert_to_tensor([100.0, 0.01])], [w])
        >>> [round(float(value), 3) for value in w.numpy()]
        [0.5, 0.5]

    Reference:
        Duchi et al., 2011; decks A, B, E. `keras.optimizers.Adagrad` starts its sum at 0.1 (unless
        `initial_accumulator_value=0`), so its first steps are much smaller for small gradients, and has η = 0.001 and
        ε = 1e-7.
        The decks write √(G + ε) with G = 0 at first, the same sum; PyTorch puts ε outside the root.
    """

    slots: tuple[str, ...] = ("accumulator",)
    kernel: str | None = "adagrad"

    def __init__(self, learning_rate: Scheduled = 0.01, *, epsilon: float = 1e-8, **kwargs: Any) -> None:
        checks.number("AdaGrad", "epsilon", epsilon, "(0, ∞)")
        super().__init__(learning_rate, **kwargs)
        self.epsilon = epsilon

    def initial(self, slot: str) -> float:
        return self.epsilon

    def step(self, w: Tensor, g: Tensor, rate: Tensor, k: Tensor, G: Tensor) -> tuple[Tensor, ...]:
        G = G + g * g
        return w - rate * g / ops.sqrt(G), G

    def step_size(self, rate: Tensor, k: Tensor, G: Tensor) -> Tensor:
        return rate / ops.sqrt(G)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}


@register
class RMSProp(Rule):
    """Divides each weight's step by the root of a running mean of its squared gradients.

    Use it where AdaGrad stalls: the mean forgets old gradients. One slot per weight.

        G ← γG + (1 − γ)g²
        w ← w − η g/√(G + ε)

    w weights, g gradient, G running mean of g² (0 at first), η `learning_rate`, γ `rho`, ε `epsilon`.
    For a constant gradient the step approaches η in every weight.

    Args:
        learning_rate: η, a number or a schedule. Defaults to `0.001`.
        rho: γ in [0, 1), the decay rate of the mean. Defaults to `0.9`.
        epsilon: ε > 0, keeps the root off zero. Defaults to `1e-8`.
        kwargs: `weight_decay`, `l1`, `penalize` and Keras's own, see `Rule`.

    Example:
        >>> w = keras.Variable(1.0)
        >>> optimizer = keras_lecture.optimizers.RMSProp(0.5, rho=0.75)
        >>> optimizer.apply([keras.ops.convert_to_tensor(8.0)], [w])
        >>> round(float(w.numpy()), 4)
        0.0

    Reference:
        Hinton, 2012, lecture 6; decks B, E. The same as `keras.optimizers.RMSprop`, whose ε is 1e-7, without its
        momentum and centering, which the decks do not have. PyTorch puts ε outside the root.
    """

    slots: tuple[str, ...] = ("accumulator",)
    kernel: str | None = "rmsprop"

    def __init__(
        self,
        learning_rate: Scheduled = 0.001,
        rho: float = 0.9,
        *,
        epsilon: float = 1e-8,
        **kwargs: Any,
    ) -> None:
        checks.number("RMSProp", "rho", rho, "[0, 1)")
        checks.number("RMSProp", "epsilon", epsilon, "(0, ∞)")
        super().__init__(learning_rate, **kwargs)
        self.rho = rho
        self.epsilon = epsilon

    def step(self, w: Tensor, g: Tensor, rate: Tensor, k: Tensor, G: Tensor) -> tuple[Tensor, ...]:
        G = self.rho * G + (1.0 - self.rho) * g * g
        return w - rate * g / ops.sqrt(G + self.epsilon), G

    def step_size(self, rate: Tensor, k: Tensor, G: Tensor) -> Tensor:
        return rate / ops.sqrt(G + self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}


@register
class Adam(Rule):
    """Follows a running mean of the gradient, divided by the root of a running mean of its square.

    Use it first: it tolerates a badly chosen learning rate. Two slots per weight.

        m ← β₁m + (1 − β₁)g,   v ← β₂v + (1 − β₂)g²
        m̂ = m/(1 − β₁ᵏ),   v̂ = v/(1 − β₂ᵏ)
        w ← w − η m̂/(√v̂ + ε)

    w weights, g gradient, m and v running means (0 at first), k the step from 1, η `learning_rate`, β₁ `beta_1`,
    β₂ `beta_2`, ε `epsilon`.
    With `beta_1=0`, without bias correction and with vanishing ε, it is `RMSProp`.

    Args:
        learning_rate: η, a number or a schedule. Defaults to `0.001`.
        beta_1: β₁ in [0, 1). Defaults to `0.9`.
        beta_2: β₂ in [0, 1). Defaults to `0.999`.
        epsilon: ε > 0. Defaults to `1e-8`.
        bias_correction: Whether m̂ and v̂ correct for the start of m and v at 0; without it, m̂ = m and v̂ = v.
            Defaults to `True`.
        kwargs: `weight_decay`, `l1`, `penalize` and Keras's own, see `Rule`.

    Example:
        >>> w = keras.Variable([1.0, 1.0])
        >>> keras_lecture.optimizers.Adam(0.5).apply([keras.ops.convert_to_tensor([100.0, 0.01])], [w])
        >>> [round(float(value), 3) for value in w.numpy()]
        [0.5, 0.5]

    Reference:
        Kingma and Ba, 2015, arXiv:1412.6980, algorithm 1; decks B, E; deck A omits the correction.
        `keras.optimizers.Adam` adds its ε (1e-7) before the correction of v̂ ("epsilon hat"), which makes early steps
        of weights with tiny gradients smaller; PyTorch and optax compute the formula above.
    """

    slots: tuple[str, ...] = ("mean", "square")
    kernel: str | None = "adam"

    def __init__(
        self,
        learning_rate: Scheduled = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        *,
        bias_correction: bool = True,
        **kwargs: Any,
    ) -> None:
        checks.number("Adam", "beta_1", beta_1, "[0, 1)")
        checks.number("Adam", "beta_2", beta_2, "[0, 1)")
        checks.number("Adam", "epsilon", epsilon, "(0, ∞)")
        checks.boolean("Adam", "bias_correction", bias_correction)
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.bias_correction = bias_correction

    def step(self, w: Tensor, g: Tensor, rate: Tensor, k: Tensor, m: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        m = self.beta_1 * m + (1.0 - self.beta_1) * g
        v = self.beta_2 * v + (1.0 - self.beta_2) * g * g
        correction_1, correction_2 = self.corrections(k)
        m_hat, v_hat = m * (1.0 / correction_1), v * (1.0 / correction_2)
        return w - rate * m_hat / (ops.sqrt(v_hat) + self.epsilon), m, v

    def step_size(self, rate: Tensor, k: Tensor, m: Tensor, v: Tensor) -> Tensor:
        _, correction_2 = self.corrections(k)
        return rate / (ops.sqrt(v * (1.0 / correction_2)) + self.epsilon)

    def corrections(self, k: Tensor) -> tuple[Tensor, Tensor]:
        """1 − β₁ᵏ and 1 − β₂ᵏ."""
        if not self.bias_correction:
            return 1.0, 1.0
        return one_minus_power(self.beta_1, k), one_minus_power(self.beta_2, k)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "bias_correction": self.bias_correction,
        }


def one_minus_power(beta: float, k: Tensor) -> Tensor:
    """1 − βᵏ."""
    # In float32, 1 − 0.999 loses three of seven digits; expm1 keeps them.
    return -ops.expm1(k * math.log(beta)) if beta else 1.0
