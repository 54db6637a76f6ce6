"""The curvature of a loss, and the learning rates that it allows."""

import math
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_lecture import _backend
from keras_lecture._core import checks
from keras_lecture._core.objective import build_for, loss_on
from keras_lecture._core.types import Tensor
from keras_lecture.optimizers._search.vectors import flat, wide


class Curvature(NamedTuple):
    """The largest and, on request, the smallest eigenvalue of the Hessian, each with an error bar."""

    largest: float
    largest_error: float
    smallest: float | None
    smallest_error: float | None
    products: int

    @property
    def learning_rates(self) -> tuple[float, float]:
        """The open interval (0, 2/L), or (0, ∞) if no eigenvalue is positive."""
        return 0.0, 2.0 / self.largest if self.largest > 0 else math.inf


def curvature(
    model: keras.Model,
    x: Tensor,
    y: Tensor | None = None,
    sample_weight: Tensor | None = None,
    *,
    smallest: bool = False,
    tolerance: float = 1e-3,
    iterations: int = 100,
    training: bool = False,
    seed: int = 0,
) -> Curvature:
    """The largest Hessian eigenvalue L of a compiled model's loss on a batch, which bounds the learning rate.

    Use it to choose a learning rate, or to see the loss become sharper during training. It takes some ten to fifty
    Hessian-vector products, each at about three times the cost of a gradient, and keeps as many vectors on the host.

        H v = λ v,   L = max λ,   0 < η < 2/L

    H the Hessian of the loss that `fit` minimizes, regularizers included, at the present weights. Gradient descent with
    η in that interval lowers a quadratic loss at every step; η = 1/L converges fastest in the direction of the largest
    curvature. For ½wᵀAw, L is the largest eigenvalue of A. No weight, metric or statistic of the model changes.

    Args:
        model: A built and compiled Keras model.
        x, y, sample_weight: One batch, as for `model.train_on_batch`.
        smallest: Whether to find the smallest eigenvalue, too; a negative one means that the loss is not convex here.
            Defaults to `False`.
        tolerance: Largest error bar, relative to the largest absolute eigenvalue. Defaults to `1e-3`.
        iterations: Largest number of Hessian-vector products. Defaults to `100`.
        training: Whether the model runs in training mode, with dropout and batch statistics. Defaults to `False`.
        seed: Seed of the random start vector. Defaults to `0`.

    Returns:
        A `Curvature`: `largest`, `largest_error` (an eigenvalue lies within this distance), `smallest` and
        `smallest_error` (or `None`), `products`, and `learning_rates`, the interval (0, 2/L).

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        >>> model.compile("sgd", "mse")
        >>> bend = keras_lecture.diagnosis.curvature(model, np.array([[1.0], [3.0]]), np.array([[0.0], [0.0]]))
        >>> round(bend.largest, 3), [round(rate, 3) for rate in bend.learning_rates]
        (10.0, [0.0, 0.2])

    Reference:
        Lanczos, 1950, with full orthogonalization (Golub and Van Loan, section 10.3); deck B. The error bar is the
        residual ‖Hv − λv‖: an eigenvalue lies within this distance. That it is the largest one is not guaranteed but,
        from a random start, almost certain.
    """
    checks.instance("curvature", "model", model, keras.Model, "a Keras model")
    checks.boolean("curvature", "smallest", smallest)
    checks.number("curvature", "tolerance", tolerance, "(0, ∞)")
    checks.whole("curvature", "iterations", iterations)
    checks.boolean("curvature", "training", training)
    checks.whole("curvature", "seed", seed, "[0, ∞)")
    if not model.compiled:
        checks.reject("curvature", "model", "compiled", model.name, "Call `model.compile(…)`: the loss is part of it.")
    batch = keras.tree.map_structure(_tensor, (x, y, sample_weight))
    build_for(model, batch)
    if not model.trainable_variables:
        checks.reject("curvature", "model", "a model with trainable weights", model.name)
    product = _hessian_of(model, batch, training)
    size = sum(math.prod(v.shape) for v in model.trainable_variables)
    return _lanczos(product, size, smallest, tolerance, iterations, np.random.default_rng(seed))


def _hessian_of(model, batch, training):
    """`product(v) → Hv` on NumPy vectors, compiled."""
    variables = model.trainable_variables
    shapes = [tuple(v.shape) for v in variables]
    cuts = np.cumsum([math.prod(shape) for shape in shapes])[:-1]

    def loss(weights, batch, non_trainable):
        return loss_on(model, batch, non_trainable, training=training)(weights)

    compiled = _backend.compile(_backend.hessian_vector_product(loss))
    state = [[ops.convert_to_tensor(v) for v in group] for group in (variables, model.non_trainable_variables)]

    def product(vector):
        pieces = zip(np.split(vector, cuts), shapes, variables, strict=True)
        vectors = [ops.convert_to_tensor(piece.reshape(shape), dtype=v.dtype) for piece, shape, v in pieces]
        result = compiled(state[0], vectors, batch, state[1])
        return ops.convert_to_numpy(flat(result, wide(variables))).astype("float64")

    return product


def _lanczos(product, size, smallest, tolerance, iterations, rng):
    """The extreme eigenvalues by Lanczos's method, from a tridiagonal matrix that grows by a row per product."""
    basis, diagonal, off_diagonal = [], [], []
    v = rng.normal(size=size)
    for _ in range(min(iterations, size)):
        basis.append(v / np.linalg.norm(v))
        image = product(basis[-1])
        diagonal.append(basis[-1] @ image)
        # Orthogonalized twice against the whole basis, as rounding brings back components of it.
        for _ in range(2):
            image -= np.stack(basis).T @ (np.stack(basis) @ image)
        off_diagonal.append(np.linalg.norm(image))
        inner = off_diagonal[:-1]
        values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(inner, 1) + np.diag(inner, -1))
        errors = np.abs(off_diagonal[-1] * vectors[-1])
        ends = [-1, 0] if smallest else [-1]
        scale = np.max(np.abs(values))
        if all(errors[end] <= tolerance * scale for end in ends) or not np.isfinite(scale):
            break
        v = image
    low = (float(values[0]), float(errors[0])) if smallest else (None, None)
    return Curvature(float(values[-1]), float(errors[-1]), *low, len(basis))


def _tensor(value):
    """A tensor as in `fit`: floats are cast to Keras's float type."""
    if value is None:
        return None
    value = value if ops.is_tensor(value) else np.asarray(value)
    is_float = keras.backend.is_float_dtype(value.dtype)
    return ops.convert_to_tensor(value, dtype=keras.config.floatx() if is_float else None)
