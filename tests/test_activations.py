"""Activations against their formula in float64 NumPy, gradients against the analytic derivative, also at kinks."""

import keras
import ml_dtypes
import numpy as np
import pytest
from keras import ops
from oracles import basic as oracles
from support.harness import assert_close, numpy, precision

from keras_lecture import _backend, activations
from keras_lecture.layers import PReLU

X = np.array([-1e4, -30.0, -2.5, -1.0, -1e-3, 0.0, 1e-3, 0.7, 1.0, 3.0, 30.0, 1e4])


def _sigmoid(x):
    return np.exp(-oracles.softplus(-x))


# name → (formula, derivative); at x = 0 it is PyTorch's derivative.
CASES = {
    "sigmoid": (_sigmoid, lambda x: _sigmoid(x) * _sigmoid(-x)),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "relu": (lambda x: np.maximum(0, x), lambda x: (x > 0).astype(float)),
    "leaky_relu": (lambda x: np.maximum(0.1 * x, x), lambda x: np.where(x > 0, 1, 0.1)),
    "elu": (
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        lambda x: np.where(x > 0, 1, np.exp(np.minimum(x, 0))),
    ),
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
}


def value_and_gradient(f, x, dtype):
    def total(weights):
        y = f(weights[0])
        return ops.sum(y), y

    evaluate = _backend.compile(_backend.value_and_grad(total))
    (_, value), (gradient,) = evaluate([ops.convert_to_tensor(x, dtype=dtype)])
    return value, gradient


@pytest.mark.parametrize("name", sorted(CASES))
def test_matches_its_formula_and_derivative(dtype, name):
    formula, derivative = CASES[name]
    value, gradient = value_and_gradient(getattr(activations, name), X, dtype)
    assert_close(value, formula(X), dtype)
    assert_close(gradient, derivative(X), dtype)


@pytest.mark.parametrize("name", [*sorted(CASES), "maxout"])
def test_nan_is_propagated(name):
    for x in ([np.nan, 1.0], [1.0, np.nan]):
        assert np.isnan(numpy(getattr(activations, name)(ops.convert_to_tensor(np.array(x, "float32"))))).any()


@pytest.mark.parametrize("name", [*sorted(CASES), "maxout"])
@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_keeps_half_precision(name, half):
    x = np.clip(X, -30, 30)
    result = getattr(activations, name)(ops.cast(ops.convert_to_tensor(x, dtype="float32"), half))
    assert keras.backend.standardize_dtype(result.dtype) == half
    if name in CASES:
        assert_close(result, CASES[name][0](x), half)


def test_identities_of_the_docstrings(float64):
    x = ops.convert_to_tensor(X, dtype="float64")
    assert_close(activations.sigmoid(-x), 1 - numpy(activations.sigmoid(x)), "float64")
    assert_close(activations.tanh(x), numpy(2 * activations.sigmoid(2 * x) - 1), "float64")
    assert_close(activations.leaky_relu(x, negative_slope=0.0), numpy(activations.relu(x)), "float64")
    assert_close(activations.leaky_relu(x, negative_slope=1.0), X, "float64")
    assert_close(activations.elu(x, alpha=0.5)[0], -0.5, "float64")
    assert_close(activations.softsign(-x), -numpy(activations.softsign(x)), "float64")
    assert_close(activations.maxout(x, pieces=1), X, "float64")


@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_elu_has_slope_alpha_at_zero(alpha, dtype):
    _, gradient = value_and_gradient(lambda x: activations.elu(x, alpha=alpha), [0.0, -1.0], dtype)
    assert_close(gradient, alpha * np.exp([0.0, -1.0]), dtype)


@pytest.mark.parametrize(
    ("shape", "axis"), [((6,), -1), ((2, 6), -1), ((2, 6), 1), ((2, 6, 4, 3), 1), ((2, 6, 4, 3), -3)]
)
@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_maxout_takes_the_maximum_over_blocks(shape, axis, pieces, dtype):
    x = np.random.default_rng(3).normal(size=shape)
    blocks = np.stack(np.split(x, pieces, axis=axis))
    value, gradient = value_and_gradient(lambda t: activations.maxout(t, pieces=pieces, axis=axis), x, dtype)
    assert_close(value, blocks.max(axis=0), dtype)
    winner = (blocks == blocks.max(axis=0)).astype(float)
    assert_close(gradient, np.concatenate(list(winner), axis=axis), dtype)


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("x", [3, [0, 1, 2]])
def test_integers_are_treated_as_numbers(name, x):
    """`elu(3)` was an error on PyTorch, `sigmoid(3)` on TensorFlow and JAX."""
    y = getattr(activations, name)(ops.convert_to_tensor(x))
    assert_close(ops.cast(y, "float32"), numpy(getattr(activations, name)(ops.convert_to_tensor(x, "float32"))))


def test_on_a_tie_the_first_piece_gets_the_gradient(dtype):
    """All pieces equal, as with zero weights: JAX and PyTorch would share the gradient, TensorFlow would not."""
    _, gradient = value_and_gradient(lambda t: activations.maxout(t, pieces=3), np.ones(6), dtype)
    assert numpy(gradient).tolist() == [1, 1, 0, 0, 0, 0]


def test_works_in_a_functional_model_of_unknown_size():
    inputs = keras.Input((None, 6))
    model = keras.Model(inputs, activations.maxout(activations.leaky_relu(inputs), pieces=2))
    assert model.output_shape == (None, None, 3)
    assert model.predict(np.ones((2, 4, 6), "float32"), verbose=0).shape == (2, 4, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: activations.leaky_relu(x, negative_slope=-0.1), "leaky_relu: `negative_slope` must be in"),
        (lambda x: activations.leaky_relu(x, negative_slope=2), "leaky_relu: `negative_slope` must be in"),
        (lambda x: activations.elu(x, alpha=0), "elu: `alpha` must be in"),
        (lambda x: activations.maxout(x, pieces=0), "maxout: `pieces` must be a whole number in"),
        (lambda x: activations.maxout(x, pieces=4), "maxout: `x` must be divisible into pieces=4 blocks"),
        (lambda x: activations.maxout(x, axis=2), "maxout: `axis` must be a whole number in"),
        (lambda x: activations.maxout(x, axis=-3), "maxout: `axis` must be a whole number in"),
    ],
)
def test_rejects(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.ones((2, 6), "float32"))


def test_float64_is_kept():
    with precision("float64"):
        for name in CASES:
            result = getattr(activations, name)(ops.convert_to_tensor(X, dtype="float64"))
            assert keras.backend.standardize_dtype(result.dtype) == "float64"


# Whether the error of the slope is absolute.
ENDS = [("sigmoid", True), ("tanh", True), ("elu", False), ("relu", False), ("leaky_relu", False), ("softsign", False)]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("name", "absolute"), ENDS)
def test_extreme_values_of_a_dtype(name, absolute, dtype):
    """Infinities, the largest and the smallest numbers. Oracle: float64 on the rounded inputs.

    Tolerance: 4 ulp of the oracle's value; for the slopes of sigmoid and tanh 4 ulp of 1, as the frameworks compute
    them from the output (1 − y²). Subnormal numbers may be rounded to zero. softsign was NaN at ±∞, and its slope had a
    relative error of 10⁻³ at 10⁴; elu(−0.001) was 0 in bfloat16 on TensorFlow, because of eˣ − 1.
    """
    info = ml_dtypes.finfo(dtype)
    points = [float(info.max), 1e4, 30.0, 3.0, 0.7, 1e-3, float(info.tiny), float(info.tiny) / 4, np.inf]
    x = np.array([*points, *[-p for p in points]]).astype(dtype)
    wide = x.astype("float64")
    finite = np.where(np.isinf(wide), np.sign(wide) * 1e300, wide)
    formula, derivative = CASES[name]
    with np.errstate(over="ignore", invalid="ignore"):
        value_oracle = np.where(np.isinf(formula(finite)) | (np.abs(formula(finite)) > 1e250), wide, formula(finite))
        if name == "leaky_relu":
            value_oracle = np.maximum(np.array(0.1).astype(dtype).astype("float64") * wide, wide)
        slope_oracle = derivative(finite)
    value, slope = value_and_gradient(getattr(activations, name), x.astype("float32"), dtype)
    value, slope = (numpy(ops.cast(t, "float32")).astype("float64") for t in (value, slope))
    same = value == value_oracle
    with np.errstate(invalid="ignore"):
        near = np.abs(value - value_oracle) <= 4 * float(info.eps) * np.abs(value_oracle) + float(info.tiny)
    assert (same | near).all(), list(zip(wide[~(same | near)], value[~(same | near)], strict=True))
    unit = 1.0 if absolute else np.abs(slope_oracle)
    normal = np.abs(wide) >= float(info.tiny)
    right = np.abs(slope - slope_oracle) <= 4 * float(info.eps) * unit + float(info.tiny)
    assert right[normal].all(), list(zip(wide[normal & ~right], slope[normal & ~right], strict=True))


@pytest.mark.parametrize("number", [0.2, 1, np.float32(0.2), np.float64(0.2), np.int64(1)], ids=repr)
def test_slopes_are_given_by_any_number(number):
    """NumPy's float32 was taken for the values of the weight: building failed, and the config could not be read."""
    layer = PReLU(number)
    loaded = PReLU.from_config(layer.get_config())
    for each in (layer, loaded):
        assert_close(each(np.array([[-1.0, 2.0]], "float32")), [[-float(number), 2.0]])
