"""Newton's method: quadratic convergence, few products, saddles left behind, matrices against NumPy's."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers, ops
from oracles import searches
from scipy.optimize import rosen, rosen_der, rosen_hess
from support.harness import numpy
from support.smooth_problems import Flat, rosenbrock

from keras_lecture import _backend
from keras_lecture._core.objective import Objective, loss_on
from keras_lecture.optimizers import LBFGS, Armijo, Newton, NewtonCG
from keras_lecture.optimizers.newton import conjugate_gradients

X, Y = np.zeros((1, 1)), np.zeros((1, 1))
RNG = np.random.default_rng(2)
MIXING = RNG.normal(size=(5, 5)) + 2.0 * np.eye(5)
TARGET = RNG.uniform(0.5, 2.0, size=5)
# Σ exp(zᵢ) − aᵢzᵢ with z = Mw is least where exp(z) = a.
OPTIMUM = np.linalg.solve(MIXING, np.log(TARGET))


def exponentials(w):
    z = ops.sum(ops.convert_to_tensor(MIXING, dtype="float64") * w, axis=1)
    return ops.sum(ops.exp(z) - ops.convert_to_tensor(TARGET, dtype="float64") * z)


def errors(optimizer, steps):
    model = Flat(exponentials, OPTIMUM + 0.1)
    model.compile(optimizer.bind(model))
    for _ in range(steps):
        model.train_on_batch(X, Y)
        yield np.linalg.norm(numpy(model.w) - OPTIMUM)


@pytest.mark.parametrize("optimizer", [Newton(), NewtonCG(damping=0.0, tolerance=1e-12)], ids=lambda o: o.name)
def test_convergence_is_quadratic(float64, optimizer):
    """The exponent log(eₖ₊₁/eₖ)/log(eₖ/eₖ₋₁) of the errors tends to 2, until rounding: 1e-13."""
    e = [error for error in errors(type(optimizer).from_config(optimizer.get_config()), 6) if error > 1e-11]
    exponents = np.diff(np.log(e))[1:] / np.diff(np.log(e))[:-1]
    assert len(e) >= 3
    assert (exponents > 1.7).all() and (exponents < 2.6).all(), exponents


def test_conjugate_gradients_solve_a_badly_scaled_quadratic_in_n_and_five_products(float64):
    """κ = 10⁶, n = 20: one step, the error in the energy down by 10⁻¹²; NumPy solves the same system."""
    n = 20
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))
    matrix = rotation @ np.diag(np.logspace(0, 6, n)) @ rotation.T
    shift = np.random.default_rng(1).normal(size=n)
    a, b = (ops.convert_to_tensor(array, dtype="float64") for array in (matrix, shift))
    model = Flat(lambda w: 0.5 * ops.sum(w * ops.sum(a * w, axis=1)) - ops.sum(w * b), np.zeros(n))
    settings = {"damping": 0.0, "iterations": n + 5, "orthogonalize": True}
    model.compile(NewtonCG(tolerance=1e-12, **settings).bind(model))
    logs = model.train_on_batch(X, Y, return_dict=True)
    solution = np.linalg.solve(matrix, shift)
    off = numpy(model.w) - solution
    assert int(logs["products"]) <= n + 5
    assert off @ matrix @ off <= 1e-12 * (solution @ matrix @ solution)


def test_a_direction_of_negative_curvature_ends_the_iteration_and_is_used(float64):
    """On x² − y² from (1, 0.01): conjugate gradients find the second direction and the step leaves the saddle."""
    matrix = np.diag([2.0, -2.0])
    g = matrix @ np.array([1.0, 0.01])
    a, start, tolerance = (ops.convert_to_tensor(v, dtype="float64") for v in (matrix, g, 1e-10))
    p, residual, products = conjugate_gradients(lambda v: ops.sum(a * v, axis=1), start, tolerance, 50)
    assert int(products) == 2
    np.testing.assert_allclose(numpy(residual), g + matrix @ numpy(p), atol=1e-12)
    assert abs(0.01 + numpy(p)[1]) > 0.019 and g @ numpy(p) < 0


@pytest.mark.parametrize("make", [Newton, lambda: NewtonCG(damping=0.0)], ids=["Newton", "NewtonCG"])
def test_saddles_are_left_behind(float64, make):
    """x²+ (y²−1)² from near its saddle at 0, to which plain Newton steps converge; the minima are at y = ±1."""
    model = Flat(lambda w: w[0] ** 2 + (w[1] ** 2 - 1.0) ** 2, np.array([0.5, 0.05]))
    model.compile(make().bind(model))
    for _ in range(12):
        model.train_on_batch(X, Y)
    np.testing.assert_allclose(numpy(model.w), [0.0, 1.0], atol=1e-6)


# The Hessian there has a negative eigenvalue.
VALLEY = np.array([2.0, -1.0, 0.5, 1.5])


def each_step(optimizer, start, steps):
    """The weights and the logs after each step on the Rosenbrock function."""
    model = Flat(rosenbrock(len(start))[0], start)
    model.compile(optimizer.bind(model))
    for _ in range(steps):
        logs = model.train_on_batch(X, Y, return_dict=True)
        yield numpy(model.w), {name: float(value) for name, value in logs.items()}


SETTINGS = [
    {},
    {"rate": 0.7, "damping": 3.0, "tolerance": 0.1},
    {"damping": 0.0, "iterations": 3, "tolerance": 1e-3},
    {"damping": 1000.0, "tolerance": 0.9},
]


def ours(settings):
    """The settings of an oracle with the argument names of Keras."""
    return {{"rate": "learning_rate"}.get(name, name): value for name, value in settings.items()}


NEAR = np.ones(4) + [1e-4, -2e-4, 5e-5, 1e-4]


@pytest.mark.parametrize(
    ("start", "settings"), [*((VALLEY, settings) for settings in SETTINGS), (NEAR, {"tolerance": 0.9})]
)
def test_newton_cg_is_its_formula_step_by_step(float64, start, settings):
    """Oracle: the formulas of the docstring in NumPy, on SciPy's Rosenbrock function, to 1e-7 of each weight.

    From the second start √‖g‖ is below the tolerance and takes its place.
    """
    count = 15 if start is VALLEY else 2
    expected = list(searches.newton_cg(rosen, rosen_der, rosen_hess, start, count, **settings))
    steps = list(each_step(NewtonCG(**ours(settings)), start, count))
    for (w, logs), (weights, t, evaluations, products, damping, _) in zip(steps, expected, strict=True):
        np.testing.assert_allclose(w, weights, rtol=1e-7)
        assert (logs["step_size"], logs["evaluations"], logs["products"]) == (t, evaluations, products)
        np.testing.assert_allclose(logs["damping"], damping, rtol=1e-12)


def test_the_steps_of_that_oracle_meet_every_branch():
    """Negative curvature, shortened steps, damping that rises, falls and stays."""
    rows = list(searches.newton_cg(rosen, rosen_der, rosen_hess, VALLEY, 15))
    changes = {after / before for (*_, before, _), (*_, after, _) in itertools.pairwise(rows)}
    assert changes == {0.25, 1.0, 4.0}
    assert {bent for *_, bent in rows} == {True, False} and min(t for _, t, *_ in rows) < 1


@pytest.mark.parametrize("settings", [{}, {"rate": 5.0, "floor": 0.2}])
def test_newton_is_its_formula_step_by_step(float64, settings):
    """Oracle: the formula in NumPy on SciPy's Rosenbrock function, to 1e-7, from a start with a negative eigenvalue."""
    expected = list(searches.newton(rosen, rosen_der, rosen_hess, VALLEY, 10, **settings))
    assert expected[0][3] < 0 and min(t for _, t, *_ in expected) < settings.get("rate", 1.0)
    for (w, logs), (weights, t, evaluations, _) in zip(
        each_step(Newton(**ours(settings)), VALLEY, 10), expected, strict=True
    ):
        np.testing.assert_allclose(w, weights, rtol=1e-7)
        assert (logs["step_size"], logs["evaluations"]) == (t, evaluations)


@pytest.mark.parametrize("make", [Newton, lambda: NewtonCG(damping=0.0)], ids=["Newton", "NewtonCG"])
def test_without_any_curvature_the_step_is_the_gradient(float64, make):
    """A linear loss: w ← w − g, exactly."""
    slopes = ops.convert_to_tensor(np.array([1.0, -2.0, 0.5]), dtype="float64")
    model = Flat(lambda w: ops.sum(slopes * w), np.array([3.0, 1.0, 2.0]))
    model.compile(make().bind(model))
    model.train_on_batch(X, Y)
    np.testing.assert_array_equal(numpy(model.w), [2.0, 3.0, 1.5])


def test_newton_with_positive_eigenvalues_is_the_step_with_the_inverse(float64):
    model = Flat(exponentials, OPTIMUM + 0.1)
    model.compile(Newton().bind(model))
    z = MIXING @ (OPTIMUM + 0.1)
    gradient = MIXING.T @ (np.exp(z) - TARGET)
    hessian = MIXING.T @ np.diag(np.exp(z)) @ MIXING
    model.train_on_batch(X, Y)
    np.testing.assert_allclose(numpy(model.w), OPTIMUM + 0.1 - np.linalg.solve(hessian, gradient), rtol=1e-9)


def tanh_network():
    """A model, its data, and in NumPy gradient and Gauss-Newton matrix, from Jacobians by finite differences."""
    keras.utils.set_random_seed(0)
    dense = layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.05))
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, "tanh"), dense])
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))

    def predictions(w):
        parts = zip(np.split(w, [6, 8, 12]), model.trainable_variables, strict=True)
        kernel, bias, head, shift = (part.reshape(v.shape) for part, v in parts)
        return (np.tanh(x @ kernel + bias) @ head + shift).ravel()

    w = np.concatenate([numpy(v).ravel() for v in model.trainable_variables])
    jacobian = np.stack([(predictions(w + e) - predictions(w - e)) / 2e-6 for e in 1e-6 * np.eye(14)], axis=1)
    regularizer = np.diag([0.0] * 8 + [0.1] * 4 + [0.0] * 2)
    gradient = jacobian.T @ (predictions(w) - y.ravel()) * (2 / 8) + regularizer @ w
    return model, x, y, w, gradient, jacobian.T @ jacobian * (2 / 8) + regularizer


def test_the_gauss_newton_matrix_is_that_of_its_definition(float64):
    """Σ JᵀℓJ over the batch of a tanh network; plus the regularizer's Hessian."""
    model, x, y, _, _, expected = tanh_network()
    model.compile("sgd", "mse")
    weights = [ops.convert_to_tensor(v) for v in model.trainable_variables]
    objective = Objective(loss_on(model, (ops.convert_to_tensor(x), ops.convert_to_tensor(y)), []), "float64")
    v = np.random.default_rng(4).normal(size=14)
    vectors = [ops.convert_to_tensor(p.reshape(t.shape)) for p, t in zip(np.split(v, [6, 8, 12]), weights, strict=True)]
    product = np.concatenate([numpy(p).ravel() for p in objective.gauss_newton(weights)(vectors)])
    np.testing.assert_allclose(product, expected @ v, rtol=1e-6, atol=1e-8)


def test_a_step_with_the_gauss_newton_matrix_solves_its_system(float64):
    """−(G + λI)⁻¹g by NumPy, which the Hessian's step is not."""
    model, x, y, w, gradient, matrix = tanh_network()
    settings = {"tolerance": 1e-10, "orthogonalize": True, "damping": 0.5}
    model.compile(NewtonCG(curvature="gauss_newton", **settings).bind(model), "mse")
    logs = model.train_on_batch(x, y, return_dict=True)
    moved = np.concatenate([numpy(v).ravel() for v in model.trainable_variables]) - w
    step = -np.linalg.solve(matrix + 0.5 * np.eye(14), gradient)
    np.testing.assert_allclose(moved, float(logs["step_size"]) * step, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("compiled", [False, True])
def test_masked_time_steps_have_no_curvature(compiled):
    """On JAX a mask is kept beside its tensor: uncompiled that raised an AttributeError, compiled the padding counted.

    Oracle: the unmasked time steps alone, each as a sequence of its own, without any mask; float32.
    """
    rng = np.random.default_rng(0)
    tokens, labels = np.array([[1, 2, 0, 0], [3, 1, 2, 0]]), rng.integers(0, 3, size=(2, 4))
    start = [rng.normal(size=shape).astype("float32") for shape in ((4, 2), (2, 3), (3,))]
    vectors = [rng.normal(size=w.shape).astype("float32") for w in start]

    def measured(x, y, masks, wrap=lambda f: f):
        model = keras.Sequential([layers.Embedding(4, 2, mask_zero=masks), layers.Dense(3)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.build(x.shape)
        batch = ops.convert_to_tensor(x), ops.convert_to_tensor(y)

        def values(weights, vectors):
            objective = Objective(loss_on(model, batch, []), "float32")
            value, gradients = objective.value_and_gradients(weights)
            return [
                value,
                *gradients,
                *objective.curvature(weights, vectors),
                *objective.gauss_newton(weights)(vectors),
            ]

        return wrap(values)(*([ops.convert_to_tensor(a) for a in arrays] for arrays in (start, vectors)))

    kept = tokens != 0
    expected = measured(tokens[kept][:, None], labels[kept][:, None], masks=False)
    for a, e in zip(measured(tokens, labels, True, *[_backend.compile] * compiled), expected, strict=True):
        np.testing.assert_allclose(numpy(a), numpy(e), rtol=1e-4, atol=1e-6)


def test_both_curvatures_train_a_network_under_fit_and_adapt_the_damping():
    keras.utils.set_random_seed(1)
    x = np.random.default_rng(5).normal(size=(64, 4)).astype("float32")
    y = (x[:, :1] * x[:, 1:2]).astype("float32")
    for settings in ({"curvature": "hessian"}, {"curvature": "gauss_newton"}):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(6, "tanh"), layers.Dense(1)])
        model.compile(NewtonCG(iterations=20, **settings).bind(model), "mse")
        history = model.fit(x, y, batch_size=64, epochs=15, verbose=0).history
        assert (np.diff(history["loss"]) <= 1e-6).all() and history["loss"][-1] < 0.3 * history["loss"][0]
        assert history["damping"][-1] < 1 and len(set(history["damping"])) > 3
        assert all(0 < products <= 20 for products in history["products"])


# NaN and infinity take the same path in all of them; both for Newton, whose eigenvalue solver failed.
NONFINITE = [(Newton, np.nan), (Newton, np.inf), (NewtonCG, np.nan), (LBFGS, np.nan), (Armijo, np.nan)]


@pytest.mark.parametrize(("search", "target"), NONFINITE)
def test_a_batch_with_a_target_that_is_not_finite_is_skipped_and_the_next_one_trains(search, target):
    """Newton crashed in the eigenvalues of a NaN Hessian on PyTorch and TensorFlow. Oracle: the weights before."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(6).normal(size=(8, 3)).astype("float32")
    good = x[:, :1]
    bad = np.where(np.arange(8)[:, None] == 3, target, good).astype("float32")
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.compile(search().bind(model), "mse")
    before = model.get_weights()
    logs = model.train_on_batch(x, bad, return_dict=True)
    assert float(logs["step_size"]) == 0.0
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    logs = model.train_on_batch(x, good, return_dict=True)
    assert float(logs["step_size"]) > 0.0
    assert model.evaluate(x, good, verbose=0) < float(logs["loss"])


def test_newton_skips_a_batch_with_finite_loss_and_gradient_but_a_hessian_that_is_not_finite(float64):
    """|w|^1.5 at 0 has slope 0 and no second derivative; in the other weight the step would be good."""
    model = Flat(lambda w: ops.abs(w[0]) ** 1.5 + w[1] ** 2, np.array([0.0, 1.0]))
    model.compile(Newton().bind(model))
    logs = model.train_on_batch(X, Y, return_dict=True)
    assert float(logs["step_size"]) == 0.0
    np.testing.assert_array_equal(numpy(model.w), [0.0, 1.0])


def test_the_error_of_a_matrix_beyond_the_limit_says_how_much_memory_it_needs(float64):
    model = Flat(lambda w: ops.sum(w * w), np.zeros(3000))
    model.compile(Newton(memory_limit=0.1).bind(model))
    with pytest.raises(ValueError, match=r"3,000 weights.*0.22 GB, more than `memory_limit`=0.1.*NewtonCG"):
        model.train_on_batch(X, Y)


@pytest.mark.parametrize(
    ("owner", "argument", "value"),
    [
        (NewtonCG, "damping", -1),
        (NewtonCG, "iterations", 0),
        (NewtonCG, "curvature", "full"),
        (NewtonCG, "tolerance", 1),
        (Newton, "floor", 0),
        (Newton, "memory_limit", 0),
    ],
)
def test_rejects(owner, argument, value):
    with pytest.raises(
        (ValueError, TypeError), match=f"{owner.__name__}: `{argument}` must be .*Received: {argument}="
    ):
        owner(**{argument: value})
