"""Rules with a step of its own for every weight."""

import math

from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture.optimizers.rule import Rule


@register
class AdaGrad(Rule):
    """Divides each weight's step by the root of all its squared gradients so far.

    Use it for sparse features: what is rarely seen keeps a large step. The steps only shrink, so long runs stall;
    one slot per weight.

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
        Duchi et al., 2011; decks A, B, E. `keras.optimizers.Adagrad` starts its sum at 0.1 (unless told
        `initial_accumulator_value=0`), so its first steps are much smaller for small gradients, and has η = 0.001 and
        ε = 1e-7.
        The decks write √(G + ε) with G = 0 at first, the same sum; PyTorch puts ε outside the root.
    """

    slots = ("accumulator",)
    kernel = "adagrad"

    def __init__(self, learning_rate=0.01, *, epsilon=1e-8, **kwargs):
        checks.number("AdaGrad", "epsilon", epsilon, "(0, ∞)")
        super().__init__(learning_rate, **kwargs)
        self.epsilon = epsilon

    def initial(self, slot):
        return self.epsilon

    def step(self, w, g, rate, k, G):
        G = G + g * g
        return w - rate * g / ops.sqrt(G), G

    def step_size(self, rate, k, G):
        return rate / ops.sqrt(G)

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


@register
class RMSProp(Rule):
    """Divides each weight's step by the root of a fading average of its squared gradients.

    Use it where AdaGrad stalls: the average forgets. One slot per weight.

        G ← γG + (1 − γ)g²
        w ← w − η g/√(G + ε)

    w weights, g gradient, G average of squares (0 at first), η `learning_rate`, γ `rho`, ε `epsilon`.
    For a constant gradient the step approaches η in every weight.

    Args:
        learning_rate: η, a number or a schedule. Defaults to `0.001`.
        rho: γ in [0, 1), how slowly the average forgets. Defaults to `0.9`.
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

    slots = ("accumulator",)
    kernel = "rmsprop"

    def __init__(self, learning_rate=0.001, rho=0.9, *, epsilon=1e-8, **kwargs):
        checks.number("RMSProp", "rho", rho, "[0, 1)")
        checks.number("RMSProp", "epsilon", epsilon, "(0, ∞)")
        super().__init__(learning_rate, **kwargs)
        self.rho = rho
        self.epsilon = epsilon

    def step(self, w, g, rate, k, G):
        G = self.rho * G + (1.0 - self.rho) * g * g
        return w - rate * g / ops.sqrt(G + self.epsilon), G

    def step_size(self, rate, k, G):
        return rate / ops.sqrt(G + self.epsilon)

    def get_config(self):
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}


@register
class Adam(Rule):
    """Follows a fading average of the gradient, divided by the root of a fading average of its square.

    Use it first: it forgives a badly chosen learning rate. Two slots per weight.

        m ← β₁m + (1 − β₁)g,   v ← β₂v + (1 − β₂)g²
        m̂ = m/(1 − β₁ᵏ),   v̂ = v/(1 − β₂ᵏ)
        w ← w − η m̂/(√v̂ + ε)

    w weights, g gradient, m and v averages (0 at first), k the step from 1, η `learning_rate`, β₁ `beta_1`,
    β₂ `beta_2`, ε `epsilon`.
    `beta_1=0` without bias correction and with ε = 0 would be `RMSProp` with ε = 0.

    Args:
        learning_rate: η, a number or a schedule. Defaults to `0.001`.
        beta_1: β₁ in [0, 1). Defaults to `0.9`.
        beta_2: β₂ in [0, 1). Defaults to `0.999`.
        epsilon: ε > 0. Defaults to `1e-8`.
        bias_correction: Whether m̂ and v̂ make up for the averages' start at 0; without it, m̂ = m and v̂ = v.
            Defaults to `True`.
        kwargs: `weight_decay`, `l1`, `penalize` and Keras's own, see `Rule`.

    Example:
        >>> w = keras.Variable([1.0, 1.0])
        >>> keras_lecture.optimizers.Adam(0.5).apply([keras.ops.convert_to_tensor([100.0, 0.01])], [w])
        >>> [round(float(value), 3) for value in w.numpy()]
        [0.5, 0.5]

    Reference:
        Kingma and Ba, 2015, arXiv:1412.6980, algorithm 1; decks B, E; A shows it without the correction.
        `keras.optimizers.Adam` adds its ε (1e-7) before the correction of v̂ ("epsilon hat"), which makes early steps
        of weights with tiny gradients smaller; PyTorch and optax compute what is written here.
    """

    slots = ("mean", "square")
    kernel = "adam"

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8, *, bias_correction=True, **kwargs):
        checks.number("Adam", "beta_1", beta_1, "[0, 1)")
        checks.number("Adam", "beta_2", beta_2, "[0, 1)")
        checks.number("Adam", "epsilon", epsilon, "(0, ∞)")
        checks.boolean("Adam", "bias_correction", bias_correction)
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.bias_correction = bias_correction

    def step(self, w, g, rate, k, m, v):
        m = self.beta_1 * m + (1.0 - self.beta_1) * g
        v = self.beta_2 * v + (1.0 - self.beta_2) * g * g
        correction_1, correction_2 = self.corrections(k)
        m_hat, v_hat = m * (1.0 / correction_1), v * (1.0 / correction_2)
        return w - rate * m_hat / (ops.sqrt(v_hat) + self.epsilon), m, v

    def step_size(self, rate, k, m, v):
        _, correction_2 = self.corrections(k)
        return rate / (ops.sqrt(v * (1.0 / correction_2)) + self.epsilon)

    def corrections(self, k):
        """1 − β₁ᵏ and 1 − β₂ᵏ."""
        if not self.bias_correction:
            return 1.0, 1.0
        return _one_minus_power(self.beta_1, k), _one_minus_power(self.beta_2, k)

    def get_config(self):
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "bias_correction": self.bias_correction,
        }


def _one_minus_power(beta, k):
    # In float32, 1 − 0.999 has lost three of its seven digits; expm1 keeps them.
    return -ops.expm1(k * math.log(beta)) if beta else 1.0
