"""`RectifiedAdam`: Adam whose first steps are as small as its estimate of the gradient's square is uncertain."""

import math
from typing import Any

from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.optimizers.adaptive import one_minus_power
from keras_lecture.optimizers.rule import Rule
from keras_lecture.optimizers.schedules import Scheduled


@register
class RectifiedAdam(Rule):
    """Adam with a built-in warm-up: its first steps are as small as its running mean of g² is uncertain.

    Use it in place of Adam with a `Warmup`: there is no length to choose. Two slots per weight.

        ρ∞ = 2/(1 − β₂) − 1,   ρ = ρ∞ − 2kβ₂ᵏ/(1 − β₂ᵏ)
        r = √((ρ − 4)(ρ − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρ))
        w ← w − η r m̂/(√v̂ + ε)   if ρ > τ,   w ← w − η m̂   else

    w weights, m̂ and v̂ as in `Adam`, ρ the number of gradients that v̂ averages over, k the step from 1,
    η `learning_rate`, β₁ `beta_1`, β₂ `beta_2`, ε `epsilon`, τ `threshold`.
    After many steps r = 1, and the step is that of `Adam`.

    Args:
        learning_rate: η, a number or a schedule. Defaults to `0.001`.
        beta_1: β₁ in [0, 1). Defaults to `0.9`.
        beta_2: β₂ in [0, 1). Up to 0.6, ρ never exceeds 4, and every step is one of momentum. Defaults to `0.999`.
        epsilon: ε > 0. Defaults to `1e-8`.
        threshold: τ ≥ 4, the ρ above which the step is divided by √v̂. Defaults to `4.0`.
        kwargs: `weight_decay`, `l1`, `penalize` and Keras's own, see `Rule`.

    Example:
        >>> w = keras.Variable([1.0, 1.0])
        >>> optimizer = keras_lecture.optimizers.RectifiedAdam(0.5)
        >>> optimizer.apply([keras.ops.convert_to_tensor([1.0, -0.5])], [w])
        >>> [round(float(value), 6) for value in w.numpy()]
        [0.5, 1.25]

    Reference:
        Liu et al., 2020, arXiv:1908.03265, algorithm 2, which has no ε; the bias correction is that of decks B and E.
        PyTorch, optax, TensorFlow Addons and the authors' program have τ = 5, one more step of momentum. PyTorch adds ε
        before the correction of v̂. Keras has no such class.
    """

    slots: tuple[str, ...] = ("mean", "square")
    kernel: str | None = "rectified_adam"

    def __init__(
        self,
        learning_rate: Scheduled = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        *,
        threshold: float = 4.0,
        **kwargs: Any,
    ) -> None:
        checks.number("RectifiedAdam", "beta_1", beta_1, "[0, 1)")
        checks.number("RectifiedAdam", "beta_2", beta_2, "[0, 1)")
        checks.number("RectifiedAdam", "epsilon", epsilon, "(0, ∞)")
        checks.number("RectifiedAdam", "threshold", threshold, "[4, ∞)")
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.threshold = threshold

    def step(self, w: Tensor, g: Tensor, rate: Tensor, k: Tensor, m: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        m = self.beta_1 * m + (1.0 - self.beta_1) * g
        v = self.beta_2 * v + (1.0 - self.beta_2) * g * g
        m_hat = m * (1.0 / one_minus_power(self.beta_1, k))
        return w - self.step_size(rate, k, m, v) * m_hat, m, v

    def step_size(self, rate: Tensor, k: Tensor, m: Tensor, v: Tensor) -> Tensor:
        limit = 2.0 / (1.0 - self.beta_2) - 1.0
        # ρ < ρ∞: the step is never divided, and with ρ∞ = 4 the formula of r divides by zero.
        if limit <= self.threshold:
            return rate
        length = averaging_length(self.beta_2, k)
        # At least 4, or the root below would be NaN in the first steps, which do not use it.
        rho = ops.maximum(length, 4.0)
        r = ops.sqrt((rho - 4.0) * (rho - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * rho))
        v_hat = v * (1.0 / one_minus_power(self.beta_2, k))
        return ops.where(length > self.threshold, rate * r / (ops.sqrt(v_hat) + self.epsilon), rate)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "threshold": self.threshold,
        }


def averaging_length(beta: float, k: Tensor) -> Tensor:
    """ρ = ρ∞ − 2kβᵏ/(1 − βᵏ), the number of values that a bias-corrected running mean averages over.

    As written, float32 subtracts 1998 from 1999 in the first step, and with β = 0.9999 it gives 4.02 for 3.99975, the
    other side of 4. With x = −k·log β, ρ = ρ∞ − 2/(−log β) − 2k·(1/(eˣ − 1) − 1/x), and the last bracket has a series.
    """
    decay = -math.log1p(beta - 1.0)
    x = k * decay
    near = ops.minimum(x, 0.5)
    square = near * near
    series = near * (1 / 12 - square * (1 / 720 - square * (1 / 30240 - square * (1 / 1209600 - square / 47900160))))
    far = ops.maximum(x, 0.5)
    bracket = ops.where(x < 0.5, series - 0.5, 1.0 / ops.expm1(far) - 1.0 / far)
    return (2.0 / (1.0 - beta) - 1.0 - 2.0 / decay) - 2.0 * k * bracket
