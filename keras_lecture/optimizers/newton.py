"""Newton's method: steps to the minimum of the quadratic model of the loss."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.objective import Objective
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.optimizers._search.closure import LEARNING_RATES, Closure, Found, Tensors
from keras_lecture.optimizers._search.line_search import backtrack
from keras_lecture.optimizers._search.vectors import choose, epsilon, flat, repeated, unflat

# Backtracking halves the step until the loss falls by this fraction of the decrease that the slope predicts.
DECREASE, FACTOR = 1e-4, 0.5
# The damping changes by this factor if the loss falls by less than a quarter, or more than three quarters, of what the
# quadratic model predicts.
ADAPTATION, LITTLE, MUCH = 4.0, 0.25, 0.75


@register
class NewtonCG(Closure):
    """Newton's method without a matrix: conjugate gradients on Hessian-vector products.

    Use it with large batches on badly scaled problems of any size. A step costs up to `iterations` products, each about
    three times a gradient (six with `curvature="gauss_newton"`), and the memory of a handful of vectors.

        (C + λI)p = −g,   w ← w + tp

    w weights, g gradient, C the Hessian or the Gauss-Newton matrix, λ the damping, t the first of 1, ½, ¼, … with which
    the loss falls. Conjugate gradients stop at the residual min(`tolerance`, √‖g‖)·‖g‖, or at a direction d of negative
    curvature, dᵀ(C + λI)d ≤ 0, whose step is the last, with the largest absolute curvature so far in place of its own.
    λ is divided by 4 if the loss falls by more than ¾ of the predicted decrease, and multiplied by 4 below ¼.
    On a quadratic loss of n weights one step of n products is exact, with `damping=0` and `orthogonalize=True`.

    `logs` hold `step_size` t (0: none), `evaluations`, `products` and the `damping` of the next step.

    Args:
        learning_rate: The first t that is tried, 1 in theory. Defaults to `1.0`.
        damping: λ of the first step; 0 stays 0. Defaults to `1.0`.
        iterations: The maximum number of products in a step. Defaults to `50`.
        curvature: `"hessian"`, or `"gauss_newton"`, which has no negative eigenvalues where the loss is convex in the
            model's outputs. Defaults to `"hessian"`.
        tolerance: The largest relative residual at which conjugate gradients stop. Defaults to `0.5`.
        orthogonalize: Whether to keep the residuals and reorthogonalize them against rounding, which costs many
            products on badly scaled problems. Takes the memory of `iterations` vectors. Defaults to `False`.
        kwargs: `name`, `use_ema`, `ema_momentum` and `loss_scale_factor` of `keras.optimizers.Optimizer`.

    Example:
        >>> x = np.array([[0.0], [1.0], [2.0]])
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> optimizer = keras_lecture.optimizers.NewtonCG(damping=0.0, tolerance=1e-6)
        >>> model.compile(optimizer.bind(model), "mse")
        >>> history = model.fit(x, 3.0 * x[:, 0] + 1.0, batch_size=3, epochs=3, verbose=0)
        >>> [round(float(w.numpy().sum()), 3) for w in model.trainable_variables]
        [3.0, 1.0]

    Reference:
        Martens, 2010, "Deep learning via Hessian-free optimization"; Nocedal and Wright, 2006, algorithm 7.1; deck B.
        Deviations: no preconditioner; Martens multiplies λ by 3/2 and 2/3; algorithm 7.1 discards the direction of
        negative curvature unless it is the first.
    """

    def __init__(
        self,
        learning_rate: float = 1.0,
        *,
        damping: float = 1.0,
        iterations: int = 50,
        curvature: str = "hessian",
        tolerance: float = 0.5,
        orthogonalize: bool = False,
        **kwargs: Any,
    ) -> None:
        checks.number("NewtonCG", "learning_rate", learning_rate, LEARNING_RATES)
        checks.number("NewtonCG", "damping", damping, "[0, 1e30]")
        checks.whole("NewtonCG", "iterations", iterations, "[1, ∞)")
        checks.one_of("NewtonCG", "curvature", curvature, ("hessian", "gauss_newton"))
        checks.number("NewtonCG", "tolerance", tolerance, "(0, 1)")
        checks.boolean("NewtonCG", "orthogonalize", orthogonalize)
        super().__init__(learning_rate, **kwargs)
        self.damping = damping
        self.inner_iterations = iterations
        self.curvature = curvature
        self.tolerance = tolerance
        self.orthogonalize = orthogonalize

    def slots_for(self, variables: list[keras.Variable]) -> list[keras.Variable]:
        self._logged["damping"] = self.add_variable(
            (), lambda shape, dtype: ops.full(shape, self.damping, dtype), self.dtype, name="damping"
        )
        self._logged["products"] = self.add_variable((), dtype="int32", name="products")
        return [self._logged["damping"], self._logged["products"]]

    def search(self, objective: Objective, loss: Tensor, gradients: Tensors, weights: Tensors, slots: Tensors) -> Found:
        damping, _ = slots
        bend = objective.gauss_newton(weights) if self.curvature == "gauss_newton" else None
        g = flat(gradients, self.dtype)

        def product(v):
            vectors = unflat(v, weights)
            bent = objective.curvature(weights, vectors) if bend is None else bend(vectors)
            return flat(bent, self.dtype) + damping * v

        size = ops.sum(g * g) ** 0.5
        forcing = choose(size**0.5 < self.tolerance, size**0.5, self.tolerance + 0.0 * size)
        settings = self.inner_iterations, self.orthogonalize
        p, residual, products = conjugate_gradients(product, g, forcing * size, *settings)
        first = ops.cast(self.learning_rate, self.dtype)
        direction, slope = unflat(-p, weights), -ops.sum(g * p)
        found = backtrack(objective, weights, direction, loss, DECREASE * slope, first, factor=FACTOR)
        t, candidate, value, accepted, evaluations = found

        # The quadratic model at p: gᵀp + ½pᵀ(C + λI)p, from the residual g + (C + λI)p. A shortened step counts as 0.
        predicted = (ops.sum(residual * p) - slope) / 2
        ratio = choose(t < first, 0.0 * t, (value - loss) / predicted)
        well, badly = ops.logical_and(accepted, ratio > MUCH), ops.logical_or(t < first, ratio < LITTLE)
        adapted = choose(well, damping / ADAPTATION, choose(badly, damping * ADAPTATION, damping))
        weights = choose(accepted, candidate, list(weights))
        return weights, [adapted, products], choose(accepted, t, 0.0 * t), evaluations + 1

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("damping", "curvature", "tolerance", "orthogonalize")}
        return {**super().get_config(), **own, "iterations": self.inner_iterations}


def conjugate_gradients(
    product: Callable[[Tensor], Tensor], g: Tensor, tolerance: Tensor, limit: int, orthogonalize: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """p with Cp ≈ −g for `product(v)` = Cv, the residual g + Cp, and the number of products."""

    def goes_on(j, bent, p, r, d, squares, strongest, kept):
        return ops.logical_and(j < limit, ops.logical_and(squares**0.5 > tolerance, ops.logical_not(bent)))

    def iterate(j, bent, p, r, d, squares, strongest, kept):
        image, length = product(d), ops.sum(d * d)
        along = ops.sum(d * image)
        bent = along <= 0
        strongest = choose(abs(along) / length > strongest, abs(along) / length, strongest)
        least = choose(strongest > 0, strongest, strongest + 1) * length
        alpha = squares / choose(bent, least, along)
        if orthogonalize:
            row = ops.cast(ops.arange(limit, dtype="int32") == j, g.dtype)
            kept = kept + row[:, None] * (r / squares**0.5)
        p, r = p + alpha * d, r + alpha * image
        # Twice: the first pass leaves rounding errors of the large components.
        for _ in range(2 if orthogonalize else 0):
            r = r - ops.sum(kept * ops.sum(kept * r, axis=1)[:, None], axis=0)
        previous, squares = squares, ops.sum(r * r)
        return j + 1, bent, p, r, (squares / previous) * d - r, squares, strongest, kept

    zero, squares = ops.zeros((), "int32"), ops.sum(g * g)
    kept = ops.zeros((limit if orthogonalize else 0, g.shape[0]), g.dtype)
    state = (zero, zero > 0, 0.0 * g, g, -g, squares, 0.0 * squares, kept)
    j, _, p, r, *_ = repeated(iterate, goes_on, state)
    return p, r, j


@register
class Newton(Closure):
    """Newton's method with the full Hessian: near a minimum the number of correct digits doubles with each step.

    Use it for a few hundred weights at most: n weights need n Hessian-vector products in each step, n³ operations for
    the eigenvalues, and memory for three n × n matrices.

        w ← w − t·V diag(1/max(|λ|, ε·max|λ|)) Vᵀg,   H = V diag(λ) Vᵀ

    w weights, g gradient, H Hessian, λ its eigenvalues, ε `floor`, t the first of 1, ½, ¼, … with which the loss falls.
    With their absolute values, negative eigenvalues lead away from saddles and maxima. If all eigenvalues are positive,
    the step is `w − H⁻¹g`. If the loss or the Hessian is not finite, the weights stay. `logs` hold `step_size` t
    (0: none) and the `evaluations` of the loss.

    Args:
        learning_rate: The first t that is tried, 1 in theory. Defaults to `1.0`.
        floor: ε in (0, 1), the smallest eigenvalue relative to the largest. Defaults to `None`: the machine epsilon of
            the weights.
        memory_limit: Gigabytes that the matrices may take; the error for a larger model says how much it needs.
            Defaults to `1.0`.
        kwargs: `name`, `use_ema`, `ema_momentum` and `loss_scale_factor` of `keras.optimizers.Optimizer`.

    Example:
        >>> x = np.array([[0.0], [1.0], [2.0]])
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(keras_lecture.optimizers.Newton().bind(model), "mse")
        >>> history = model.fit(x, 3.0 * x[:, 0] + 1.0, batch_size=3, epochs=2, verbose=0)
        >>> [round(float(w.numpy().sum()), 3) for w in model.trainable_variables]
        [3.0, 1.0]

    Reference:
        Nocedal and Wright, 2006, section 3.4; Dauphin et al., 2014, arXiv:1406.2572, for the absolute values; decks A
        and B.
    """

    def __init__(
        self, learning_rate: float = 1.0, *, floor: float | None = None, memory_limit: float = 1.0, **kwargs: Any
    ) -> None:
        checks.number("Newton", "learning_rate", learning_rate, LEARNING_RATES)
        if floor is not None:
            checks.number("Newton", "floor", floor, "(0, 1)")
        checks.number("Newton", "memory_limit", memory_limit, "(0, ∞)")
        super().__init__(learning_rate, **kwargs)
        self.floor = floor
        self.memory_limit = memory_limit

    def slots_for(self, variables: list[keras.Variable]) -> list[keras.Variable]:
        size = sum(math.prod(v.shape) for v in variables)
        needed = 3 * size**2 * (8 if self.dtype == "float64" else 4) / 1e9
        if needed > self.memory_limit:
            raise ValueError(
                f"Newton: the Hessian of {size:,} weights and its eigenvectors need {needed:.2g} GB, more than "
                f"`memory_limit`={self.memory_limit:g}. Raise it, or use `NewtonCG`, which needs no matrix."
            )
        return []

    def search(self, objective: Objective, loss: Tensor, gradients: Tensors, weights: Tensors, slots: Tensors) -> Found:
        g = flat(gradients, self.dtype)

        def row(v):
            return flat(objective.curvature(weights, unflat(v, weights)), self.dtype)

        hessian = ops.map(row, ops.eye(g.shape[0], dtype=self.dtype))
        # The eigenvalue solvers of PyTorch and TensorFlow stop the program at a matrix that is not finite.
        finite = ops.all(ops.isfinite(hessian))
        hessian = choose(finite, hessian, ops.zeros_like(hessian))
        values, vectors = ops.eigh((hessian + ops.transpose(hessian)) / 2)
        bends = abs(values)
        floor = epsilon(self.dtype) if self.floor is None else self.floor
        lowest = floor * ops.max(bends)
        # Without any curvature the step is the gradient.
        safe = ops.maximum(bends, choose(lowest > 0, lowest, lowest + 1))
        p = ops.sum(vectors * (ops.sum(vectors * g[:, None], axis=0) / safe), axis=1)
        first = ops.cast(self.learning_rate, self.dtype)
        direction, slope = unflat(p, weights), ops.sum(g * p)
        found = backtrack(objective, weights, direction, loss, DECREASE * slope, first, factor=FACTOR)
        t, candidate, _, accepted, evaluations = found
        accepted = ops.logical_and(accepted, finite)
        return choose(accepted, candidate, list(weights)), slots, choose(accepted, t, 0.0 * t), evaluations + 1

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "floor": self.floor, "memory_limit": self.memory_limit}
