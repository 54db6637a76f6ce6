"""Backtracking line search: the largest step of a geometric sequence with sufficient decrease."""

from typing import Any

import keras
from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core import checks
from keras_lecture._core.objective import Objective
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.optimizers._search import vectors
from keras_lecture.optimizers._search.closure import LEARNING_RATES, Closure, Found, Tensors
from keras_lecture.optimizers._search.line_search import backtrack, first_trial

# β₁ and β₂ of the two directions with running means, and ε of Adam's.
BETAS, EPSILON = (0.9, 0.999), 1e-8
_MEMORIES = {"gradient": (), "momentum": ("mean",), "adam": ("mean", "square")}
_GAMMAS = {"gradient": 0.1, "momentum": 0.3, "adam": 0.3}


@register
class Armijo(Closure):
    """Gradient descent without a learning rate to tune: it tries a step and halves it until the loss falls enough.

    Use it where no good learning rate is known. Mostly the first step tried is accepted, at the cost of one forward
    pass more than `SGD`; `logs` hold the last `step_size` (0: none) and the `evaluations` of the loss in the step.

        f(w + ηd) ≤ f(w) + γη·∇f(w)ᵀd,   d = −∇f(w),   η = η₀, βη₀, β²η₀, …

    f the loss of the batch, w weights, γ `gamma`, β `backtrack`, η₀ the first step tried: `learning_rate` at first,
    then `reset` times the last accepted step, but never more than `learning_rate`.

    The other directions are d = −q with q from the running mean m of the gradients. The slope of a single batch along
    q is mostly noise, so the condition is that of a loss with the gradient m, f + (m − g)ᵀ(· − w) with g = ∇f(w): the
    slope comes from many batches, the curvature from this one.

        f(w − ηq) + η(g − m)ᵀq ≤ f(w) − γη·mᵀq

    A loss that is not finite counts as too large. If no step down to 1e-10 of the first is accepted, the weights stay.

    Args:
        learning_rate: The first and the largest step that is tried. Defaults to `1.0`.
        gamma: γ in (0, ½], the required fraction of the decrease that the slope predicts. Defaults to `None`: 0.1, and
            0.3 for the directions with a mean.
        backtrack: β in (0, 1). Defaults to `0.5`.
        direction: `"gradient"`; `"momentum"`: q = m; `"adam"`: q is m divided by the root of the running mean of g².
            The decay rates are 0.9 and 0.999, as in Adam. Defaults to `"gradient"`.
        reset: The first step of a search: a number, at least 1, times the last accepted step (1: steps only shrink), or
            `"full"` for `learning_rate` every time, which takes more evaluations. Defaults to `1.1`.
        kwargs: `name`, `use_ema`, `ema_momentum` and `loss_scale_factor` of `keras.optimizers.Optimizer`.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        >>> model.compile(keras_lecture.optimizers.Armijo().bind(model), "mse")
        >>> history = model.fit(np.array([[1.0], [3.0]]), np.array([2.0, 6.0]), epochs=30, verbose=0)
        >>> round(float(model.layers[0].kernel.numpy()[0, 0]), 3)
        2.0

    Reference:
        Armijo, 1966; deck B. Vaswani et al., 2019, arXiv:1905.09997, algorithms 1 and 2: `reset=1` is their option 0,
        `"full"` option 1, a factor option 2 (theirs doubles once per epoch; an optimizer sees no epochs). Kenneweg et
        al., 2024, arXiv:2403.18519, for the direction with momentum. Deviation: their condition has γη·gᵀPg on the
        right (P the division by the root) and the loss of one batch on the left, which a batch whose gradient opposes
        the mean cannot satisfy; ours has m in place of g on both sides, and a short enough step always satisfies it.
    """

    def __init__(
        self,
        learning_rate: float = 1.0,
        *,
        gamma: float | None = None,
        backtrack: float = 0.5,
        direction: str = "gradient",
        reset: float | str = 1.1,
        **kwargs: Any,
    ) -> None:
        checks.number("Armijo", "learning_rate", learning_rate, LEARNING_RATES)
        checks.one_of("Armijo", "direction", direction, _MEMORIES)
        gamma = _GAMMAS[direction] if gamma is None else gamma
        checks.number("Armijo", "gamma", gamma, "(0, 0.5]")
        checks.number("Armijo", "backtrack", backtrack, "(0, 1)")
        if isinstance(reset, str):
            checks.one_of("Armijo", "reset", reset, ("full",), "Or pass a number, at least 1.")
        else:
            checks.number("Armijo", "reset", reset, "[1, ∞)", 'Or pass "full".')
        super().__init__(learning_rate, **kwargs)
        self.gamma = gamma
        self.backtrack = backtrack
        self.direction = direction
        self.reset = reset

    def slots_for(self, variables: list[keras.Variable]) -> list[keras.Variable]:
        accepted = self.add_variable((), dtype=self.dtype, name="accepted")
        memories = [self.add_optimizer_variables(variables, name) for name in _MEMORIES[self.direction]]
        return [accepted, *(slot for memory in memories for slot in memory)]

    def search(self, objective: Objective, loss: Tensor, gradients: Tensors, weights: Tensors, slots: Tensors) -> Found:
        last, *memory = slots
        k = ops.cast(self._iterations + 1, self.dtype)
        direction, promised, updated = _DIRECTIONS[self.direction](gradients, memory, k, self.dtype)
        decrease = self.gamma * promised
        if memory:
            # The second condition, solved for the decrease of f per η.
            decrease += vectors.inner_product(gradients, direction, self.dtype) - promised

        longest = ops.cast(self.learning_rate, self.dtype)
        t = first_trial(last, longest, self.reset)
        found = backtrack(objective, weights, direction, loss, decrease, t, factor=self.backtrack)
        t, candidate, _, accepted, evaluations = found
        # A rejected step changes no state: a gradient that is not finite would stay in the means forever.
        new = vectors.choose(accepted, [*candidate, t, *updated], [*weights, *slots])
        return new[: len(weights)], new[len(weights) :], t * ops.cast(accepted, t.dtype), evaluations + 1

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("gamma", "backtrack", "direction", "reset")}
        return {**super().get_config(), **own}


# The three directions: q, the slope mᵀq of the condition, and the running means after step k.


def _gradient(gradients, memory, k, dtype):
    return list(gradients), vectors.inner_product(gradients, gradients, dtype), []


def _momentum(gradients, memory, k, dtype):
    means = [BETAS[0] * m + (1 - BETAS[0]) * g for m, g in zip(memory, gradients, strict=True)]
    correction = 1 - BETAS[0] ** k
    unbiased = [m / ops.cast(correction, m.dtype) for m in means]
    return unbiased, vectors.inner_product(unbiased, unbiased, dtype), means


def _adam(gradients, memory, k, dtype):
    direction, memory = adam_direction(gradients, memory, k, BETAS, EPSILON)
    means = memory[: len(gradients)]
    return direction, vectors.inner_product(means, direction, dtype) / (1 - BETAS[0] ** k), memory


@accelerate
def adam_direction(
    gradients: Tensors, memory: Tensors, k: Tensor, betas: tuple[float, float], epsilon: float
) -> tuple[Tensors, Tensors]:
    """m̂/(√v̂ + ε) for each gradient, and the new `memory`: all means m, then all squares v."""
    means, squares = memory[: len(gradients)], memory[len(gradients) :]
    means = [betas[0] * m + (1 - betas[0]) * g for m, g in zip(means, gradients, strict=True)]
    squares = [betas[1] * v + (1 - betas[1]) * ops.square(g) for v, g in zip(squares, gradients, strict=True)]
    corrections = 1 - betas[0] ** k, 1 - betas[1] ** k
    roots = [ops.sqrt(v / ops.cast(corrections[1], v.dtype)) + epsilon for v in squares]
    direction = [m / ops.cast(corrections[0], m.dtype) / r for m, r in zip(means, roots, strict=True)]
    return direction, [*means, *squares]


_DIRECTIONS = {"gradient": _gradient, "momentum": _momentum, "adam": _adam}
