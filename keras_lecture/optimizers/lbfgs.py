"""Limited-memory BFGS: quasi-Newton steps with the curvature seen in the last gradients."""

import math
from typing import Any

import keras
from keras import ops

from keras_lecture._backend import accelerate, fuse
from keras_lecture._core import checks
from keras_lecture._core.objective import Objective
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.optimizers._search import vectors
from keras_lecture.optimizers._search.closure import LEARNING_RATES, Closure, Found, Tensors
from keras_lecture.optimizers._search.line_search import strong_wolfe
from keras_lecture.optimizers._search.vectors import choose, dot, repeated

_LINE_SEARCHES = ("wolfe", "armijo")


@register
class LBFGS(Closure):
    """Quasi-Newton method: far fewer evaluations of the loss than gradient descent, where the loss has no noise.

    Use it with the full batch, `batch_size=len(x)`: physics-informed networks, regression, the last digits of any fit.
    A training step takes up to `iterations` steps of the method on its batch. It keeps 2·`memory` numbers per weight.

        d = −H∇f,   w ← w + td
        H ← (I − ρsyᵀ)H(I − ρysᵀ) + ρssᵀ,   s = td, y = ∇f(w + td) − ∇f(w), ρ = 1/yᵀs

    w weights, f loss, t the step found by the line search; H starts from (yᵀs/yᵀy)·I in each iteration and is
    applied without being formed (two loops over the last `memory` pairs s, y). With `line_search="wolfe"`

        f(w + td) ≤ f(w) + 10⁻⁴·t·∇f(w)ᵀd   and   |∇f(w + td)ᵀd| ≤ 0.9·|∇f(w)ᵀd|

    A pair whose yᵀs is not clearly positive is left out, so that H stays positive definite. Both gradients of a pair
    are from the same batch, so that noise between batches is not taken for curvature; but each step sees only its own
    batch. `memory=0` is steepest descent with a line search. A loss that is not finite counts as too large; if the
    search fails, the pairs are dropped and the weights stay. `logs` hold the last `step_size` t (0: none) and the
    `evaluations` of the step.

    Args:
        learning_rate: The first t that is tried, 1 in theory. Defaults to `1.0`.
        memory: Number of pairs that are kept. Defaults to `10`.
        line_search: `"wolfe"`, or `"armijo"`: without the second condition. Defaults to `"wolfe"`.
        iterations: Steps of the method in each training step; 1 to 5 for mini-batches. Defaults to `20`.
        max_evaluations: Evaluations after which a line search takes the best point so far. Defaults to `25`.
        tolerance: Iterations end when no element of the gradient is larger. Defaults to `1e-7`.
        kwargs: `name`, `use_ema`, `ema_momentum` and `loss_scale_factor` of `keras.optimizers.Optimizer`.

    Example:
        >>> x = np.array([[0.0], [1.0], [2.0]])
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(keras_lecture.optimizers.LBFGS().bind(model), "mse")
        >>> history = model.fit(x, 3.0 * x[:, 0] + 1.0, batch_size=3, epochs=2, verbose=0)
        >>> [round(float(w.numpy().sum()), 3) for w in model.trainable_variables]
        [3.0, 1.0]

    Reference:
        Nocedal and Wright, Numerical Optimization, 2006, algorithms 7.4 (two loops), 7.5, 3.5 and 3.6 (line search,
        written as one loop with cubic interpolation); deck B. `torch.optim.LBFGS` and SciPy's L-BFGS-B are the same
        method. Keras has none.
    """

    def __init__(
        self,
        learning_rate: float = 1.0,
        *,
        memory: int = 10,
        line_search: str = "wolfe",
        iterations: int = 20,
        max_evaluations: int = 25,
        tolerance: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        checks.number("LBFGS", "learning_rate", learning_rate, LEARNING_RATES)
        checks.whole("LBFGS", "memory", memory, "[0, ∞)")
        checks.one_of("LBFGS", "line_search", line_search, _LINE_SEARCHES)
        checks.whole("LBFGS", "iterations", iterations, "[1, ∞)")
        checks.whole("LBFGS", "max_evaluations", max_evaluations, "[1, ∞)")
        checks.number("LBFGS", "tolerance", tolerance, "[0, ∞)")
        super().__init__(learning_rate, **kwargs)
        self.memory = memory
        self.line_search = line_search
        self.inner_iterations = iterations
        self.max_evaluations = max_evaluations
        self.tolerance = tolerance

    def slots_for(self, variables: list[keras.Variable]) -> list[keras.Variable]:
        size = sum(math.prod(v.shape) for v in variables)
        shapes = {"steps": (self.memory, size), "changes": (self.memory, size), "products": (self.memory,)}
        pairs = [self.add_variable(shape, dtype=self.dtype, name=name) for name, shape in shapes.items()]
        return [*pairs, self.add_variable((), dtype="int32", name="count")]

    def search(self, objective: Objective, loss: Tensor, gradients: Tensors, weights: Tensors, slots: Tensors) -> Found:
        def evaluate_at(w):
            value, gradients = objective.value_and_gradients(vectors.unflat(w, weights))
            return value, vectors.flat(gradients, self.dtype)

        def goes_on(k, alive, t, evaluations, w, f, g, *pairs):
            unfinished = ops.logical_and(ops.max(abs(g)) > self.tolerance, ops.isfinite(f))
            return ops.logical_and(ops.logical_and(k < self.inner_iterations, alive), unfinished)

        def iterate(k, alive, last, evaluations, w, f, g, *pairs):
            d, remembers = quasi_newton_direction(g, *pairs)
            slope = dot(g, d)

            def evaluate(t):
                value, gradient = evaluate_at(w + t * d)
                return value, dot(gradient, d), gradient

            # Without pairs the scale is unknown: the first step is at most 1 long, in the sum of its absolute values.
            scale = ops.cond(remembers, lambda: one, lambda: 1.0 / ops.maximum(ops.sum(abs(g)), one))
            first = scale * ops.cast(self.learning_rate, self.dtype)
            t, value, _, gradient, count = strong_wolfe(
                evaluate, (f, slope, g), first, self.max_evaluations, curvature=self.line_search == "wolfe"
            )
            found = t > 0
            s = t * d
            pairs = self._remember(*pairs, s, gradient - g, found)
            state = choose(found, (t, w + s, value, gradient), (last, w, f, g))
            # After a failure with pairs the next iteration is steepest descent.
            alive = ops.logical_or(found, remembers)
            return k + 1, alive, state[0], evaluations + count, *state[1:], *pairs

        w, g = (vectors.flat(tensors, self.dtype) for tensors in (weights, gradients))
        zero, one = ops.zeros((), "int32"), ops.ones((), self.dtype)
        state = (zero, zero == 0, 0.0 * one, zero + 1, w, loss, g, *map(writable, slots[:2]), *slots[2:])
        _, _, t, evaluations, w, _, _, *slots = repeated(iterate, goes_on, state)
        return vectors.unflat(w, weights), slots, t, evaluations

    def _remember(self, steps, changes, products, count, s, y, found):
        """The pairs with (s, y) in place of the oldest, unless yᵀs may be positive only through rounding.

        The rows are a ring buffer, so that a single one is written, in place. If no step was found, all are dropped.
        """
        if self.memory:
            row, product = count % self.memory, dot(s, y)
            least = vectors.epsilon(self.dtype) * (dot(s, s) * dot(y, y)) ** 0.5
            clear = ops.logical_and(found, product > least)
            new = choose(clear, (s, y), (row_of(steps, row), row_of(changes, row)))
            steps, changes = (with_row(r, row, v) for r, v in zip((steps, changes), new, strict=True))
            here = ops.cast(ops.logical_and(ops.arange(self.memory, dtype="int32") == row, clear), self.dtype)
            products = (1.0 - here) * products + here * choose(clear, product, ops.zeros((), self.dtype))
            count = count + ops.cast(clear, "int32")
        return steps, changes, products, choose(found, count, 0 * count)

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("memory", "line_search", "max_evaluations", "tolerance")}
        return {**super().get_config(), **own, "iterations": self.inner_iterations}


@accelerate
def writable(tensor: Tensor) -> Tensor:
    """`tensor`, in memory that `with_row` may overwrite."""
    return tensor


@accelerate
def with_row(matrix: Tensor, row: Tensor, vector: Tensor) -> Tensor:
    """`matrix` with `vector` in one row; may overwrite `matrix`."""
    return ops.slice_update(matrix, ops.stack([row, 0 * row]), vector[None])


@accelerate
def row_of(rows: Tensor, row: Tensor) -> Tensor:
    return rows[row]


@accelerate
@fuse
def quasi_newton_direction(
    g: Tensor, steps: Tensor, changes: Tensor, products: Tensor, count: Tensor
) -> tuple[Tensor, Tensor]:
    """−H∇f by the two loops, and whether there are any pairs.

    The rows are a ring buffer of the last of the `count` pairs so far; `products` are their yᵀs.
    """
    memory = steps.shape[0]
    if not memory:
        return -g, ops.zeros((), "bool")
    pairs = ops.minimum(count, memory)
    newest = (count - 1) % memory

    # Not unrolled: XLA would recompute the whole chain of sums for each inner product in it.
    def from_newest(age, state):
        d, alphas = state
        row = (count - 1 - age) % memory
        alpha = dot(row_of(steps, row), d) / row_of(products, row)
        here = ops.cast(ops.arange(memory, dtype="int32") == row, g.dtype)
        return d - alpha * row_of(changes, row), alphas + alpha * here

    def from_oldest(k, d):
        row = (count - pairs + k) % memory
        return d + row_of(steps, row) * (row_of(alphas, row) - dot(row_of(changes, row), d) / row_of(products, row))

    d, alphas = ops.fori_loop(0, pairs, from_newest, (-g, ops.zeros_like(products)))
    latest = row_of(changes, newest)
    size = dot(latest, latest)
    d = d * choose(count > 0, row_of(products, newest) / size, ops.ones((), g.dtype))
    return ops.fori_loop(0, pairs, from_oldest, d), count > 0
