"""The rules against the NumPy oracle, PyTorch, optax and each other."""

import jax
import keras
import numpy as np
import optax
import pytest
import torch
from oracles import optimizers as oracle
from support.harness import TOLERANCES, bound, double_jax, numpy, precision
from support.noisy_quadratic import RULES, expected, gradient, run, start, variables

from keras_lecture import optimizers
from keras_lecture.optimizers import schedules
from keras_lecture.optimizers.rectified_adam import averaging_length

# Rates at which 200 steps make progress on the shared problem.
RATES = {
    "SGD": 0.1,
    "Momentum": 0.05,
    "Nesterov": 0.05,
    "AdaGrad": 0.1,
    "RMSProp": 0.01,
    "Adam": 0.01,
    "RectifiedAdam": 0.01,
}
# Our arguments, and the oracle's.
CASES = {
    "plain": ({}, {}),
    "scheduled_with_decay_l1_and_clipping": (
        {"weight_decay": 0.1, "l1": 0.01, "global_clipnorm": 0.5},
        {"decay": 0.1, "l1": 0.01, "norm": 0.5},
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("rule", RULES)
def test_200_steps_match_the_numpy_oracle_to_1e10(rule, case, float64):
    ours, theirs = CASES[case]
    rate = their_rate = RATES[rule]
    if ours:
        rate, their_rate = schedules.InverseTime(rate, period=50), lambda k: RATES[rule] / (1 + k / 50)
    actual = run(getattr(optimizers, rule)(rate, **ours), variables("float64"), 200)
    for a, w in zip(actual, expected(rule, 200, their_rate, **theirs), strict=True):
        np.testing.assert_allclose(a, w, **TOLERANCES["float64"])


def test_adam_without_bias_correction_is_the_slide_of_deck_a(float64):
    actual = run(optimizers.Adam(0.01, bias_correction=False), variables("float64"), 200)
    for a, w in zip(actual, expected("Adam", 200, 0.01, bias_correction=False), strict=True):
        np.testing.assert_allclose(a, w, **TOLERANCES["float64"])


@pytest.mark.parametrize("rule", ["Momentum", "Nesterov"])
def test_the_momentum_may_follow_a_schedule(rule, float64):
    momentum = schedules.Exponential(0.95, factor=0.5, period=50)
    actual = run(getattr(optimizers, rule)(0.05, momentum=momentum), variables("float64"), 200)
    want = expected(rule, 200, 0.05, rho=lambda k: 0.95 * 0.5 ** ((k - 1) // 50))
    for a, w in zip(actual, want, strict=True):
        np.testing.assert_allclose(a, w, **TOLERANCES["float64"])


def _torch(cls, **settings):
    parameters = [torch.nn.Parameter(torch.tensor(w)) for w in start()]
    optimizer = cls(parameters, **settings)
    for k in range(200):
        for p, g in zip(parameters, gradient([p.detach().numpy() for p in parameters], k), strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()
    return [p.detach().numpy() for p in parameters]


TORCH = {
    "SGD": (optimizers.SGD, {}, torch.optim.SGD, {}),
    # PyTorch's velocity leaves η out; with a constant η the weights are the same.
    "Momentum": (optimizers.Momentum, {}, torch.optim.SGD, {"momentum": 0.9}),
    "Adam": (optimizers.Adam, {}, torch.optim.Adam, {"eps": 1e-8}),
    "AdamW": (
        optimizers.Adam,
        {"weight_decay": 0.1, "penalize": "all"},
        torch.optim.AdamW,
        {"weight_decay": 0.1, "eps": 1e-8},
    ),
    # PyTorch adds ε before the correction of v̂; where it vanishes, the formula is the same.
    "RAdam": (optimizers.RectifiedAdam, {"threshold": 5.0, "epsilon": 1e-200}, torch.optim.RAdam, {"eps": 1e-200}),
}


@pytest.mark.parametrize("case", TORCH)
def test_200_steps_match_pytorch_where_the_formula_is_the_same(case, float64):
    ours, our_settings, theirs, their_settings = TORCH[case]
    actual = run(ours(0.01, **our_settings), variables("float64"), 200)
    for a, w in zip(actual, _torch(theirs, lr=0.01, **their_settings), strict=True):
        np.testing.assert_allclose(a, w, **TOLERANCES["float64"])


def _optax(transformation):
    with double_jax():
        weights = start()
        state = transformation.init(weights)
        update = jax.jit(transformation.update)
        for k in range(200):
            updates, state = update(gradient(weights, k), state, weights)
            weights = [w + np.asarray(change) for w, change in zip(weights, updates, strict=True)]
    return weights


OPTAX = {
    "RectifiedAdam": (lambda rate: optimizers.RectifiedAdam(rate, threshold=5.0), optax.radam(0.01, eps=1e-8)),
    "SGD": (optimizers.SGD, optax.sgd(0.01)),
    "Momentum": (optimizers.Momentum, optax.sgd(0.01, momentum=0.9)),
    "AdaGrad": (optimizers.AdaGrad, optax.adagrad(0.01, initial_accumulator_value=0.0, eps=1e-8)),
    "RMSProp": (optimizers.RMSProp, optax.rmsprop(0.01, decay=0.9, eps=1e-8, eps_in_sqrt=True)),
    "Adam": (optimizers.Adam, optax.adam(0.01, eps=1e-8)),
}


@pytest.mark.parametrize("rule", OPTAX)
def test_200_steps_match_optax(rule, float64):
    """In float64 on both sides: in float32 the roundings of 200 steps differ between machines."""
    cls, transformation = OPTAX[rule]
    actual = run(cls(0.01), variables("float64"), 200)
    for a, w in zip(actual, _optax(transformation), strict=True):
        np.testing.assert_allclose(a, w, **TOLERANCES["float64"])


@pytest.mark.parametrize("rule", RULES)
def test_fit_in_float32_matches_the_oracle_to_1e5(rule):
    x, y, layer, model = _regression()
    w = layer.kernel.numpy().astype("float64")
    b = layer.bias.numpy().astype("float64")
    # Few and slow steps: where a gradient passes zero, adaptive rules turn its rounding into a whole step.
    rate = float(np.float32(RATES[rule] / 5))
    model.compile(bound(getattr(optimizers, rule)(rate), model), "mse")
    model.fit(x, y, batch_size=len(x), epochs=20, verbose=0, shuffle=False)

    def slope(weights, k):
        residual = x @ weights[0] + weights[1] - y
        return [2 * x.T @ residual / residual.size, 2 * residual.sum(0) / residual.size]

    want = oracle.train(rule, [w, b], slope, 20, rate)
    np.testing.assert_allclose(layer.kernel.numpy(), want[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(layer.bias.numpy(), want[1], rtol=1e-5, atol=1e-5)


def _regression():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(32, 6)).astype("float32"), generator.normal(size=(32, 2)).astype("float32")
    layer = keras.layers.Dense(2)
    return x, y, layer, keras.Sequential([keras.Input((6,)), layer])


@pytest.mark.parametrize("rule", ["Momentum", "Nesterov"])
def test_momentum_zero_is_sgd(rule, float64):
    actual = run(getattr(optimizers, rule)(0.1, momentum=0.0), variables("float64"), 20)
    for a, w in zip(actual, run(optimizers.SGD(0.1), variables("float64"), 20), strict=True):
        np.testing.assert_allclose(a, w, **TOLERANCES["float64"])


def test_the_first_step_of_adagrad_is_the_learning_rate_in_every_weight(float64):
    w = keras.Variable([0.0, 0.0, 0.0], dtype="float64")
    optimizers.AdaGrad(0.5).apply([keras.ops.convert_to_tensor([100.0, -1.0, 0.01], dtype="float64")], [w])
    # ε = 1e-8 beside 0.01² costs 5e-5.
    np.testing.assert_allclose(w.numpy(), [-0.5, 0.5, -0.5], rtol=1e-4)


def test_for_a_constant_gradient_the_step_of_rmsprop_approaches_the_learning_rate(float64):
    w, optimizer = keras.Variable([0.0, 0.0], dtype="float64"), optimizers.RMSProp(0.5)
    before, after = (
        run(optimizer, [w], steps, gradient=lambda ws, k: [np.array([10.0, 1.0])])[0] for steps in (199, 1)
    )
    np.testing.assert_allclose(before - after, [0.5, 0.5], rtol=1e-6)


def test_adam_with_beta_1_zero_and_no_correction_is_rmsprop_where_epsilon_vanishes(float64):
    adam = optimizers.Adam(0.01, beta_1=0.0, beta_2=0.9, epsilon=1e-200, bias_correction=False)
    rmsprop = optimizers.RMSProp(0.01, rho=0.9, epsilon=1e-300)
    for a, w in zip(run(adam, variables("float64"), 50), run(rmsprop, variables("float64"), 50), strict=True):
        np.testing.assert_allclose(a, w, **TOLERANCES["float64"])


@pytest.mark.parametrize("beta", [0.7, 0.999, 0.9999])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_averaging_length_of_radam_loses_no_digits(beta, dtype):
    """The formula as written, in float32, gives 4.02 for ρ = 3.99975 (β = 0.9999, step 4): the other side of 4."""
    steps = [1, 2, 3, 4, 5, 6, 30, 499, 501, 4990, 5010, 20000]
    with precision(dtype):
        ks = keras.ops.convert_to_tensor(np.array(steps, dtype), dtype=dtype)
        actual = numpy(averaging_length(beta, ks))
    want = [oracle.averaging_length(beta, k) for k in steps]
    np.testing.assert_allclose(actual, want, rtol=1e-10 if dtype == "float64" else 1e-6)


def test_radam_with_beta_2_up_to_0_6_takes_momentum_steps_only(float64):
    want = oracle.train("RectifiedAdam", start(), gradient, 20, 0.1, beta_2=0.5)
    for beta_2 in (0.0, 0.6):
        actual = run(optimizers.RectifiedAdam(0.1, beta_2=beta_2), variables("float64"), 20)
        for a, w in zip(actual, want, strict=True):
            np.testing.assert_allclose(a, w, **TOLERANCES["float64"])


def test_after_many_steps_radam_takes_the_step_of_adam(float64):
    def last_step(rule):
        optimizer, w = rule(0.5, beta_2=0.9), keras.Variable([0.0], dtype="float64")
        before, after = (run(optimizer, [w], n, gradient=lambda ws, k: [np.ones(1)])[0] for n in (400, 1))
        return after - before

    np.testing.assert_allclose(last_step(optimizers.RectifiedAdam), last_step(optimizers.Adam), rtol=1e-9)


def test_with_w_minus_rate_times_g_as_its_step_a_rule_is_keras_sgd():
    class Descent(optimizers.Rule):
        def step(self, w, g, rate, k):
            return w - rate * g

    actual = run(Descent(0.1), variables("float32"), 20)
    for a, w in zip(actual, run(keras.optimizers.SGD(0.1), variables("float32"), 20), strict=True):
        np.testing.assert_allclose(a, w, **TOLERANCES["float32"])


def test_a_subclass_with_its_own_formula_loses_the_kernel_and_one_without_keeps_it():
    class Renamed(optimizers.Adam):
        pass

    class Changed(optimizers.Adam):
        def step(self, w, g, rate, k, m, v):
            return w, m, v

    assert Renamed.kernel == "adam"
    assert Changed.kernel is None
    before = start()
    for a, w in zip(run(Changed(), variables("float32"), 3), before, strict=True):
        np.testing.assert_allclose(a, w, rtol=1e-6)


@pytest.mark.parametrize(
    ("cls", "arguments", "argument"),
    [
        (optimizers.SGD, {"learning_rate": -1.0}, "learning_rate"),
        (optimizers.SGD, {"weight_decay": -1.0}, "weight_decay"),
        (optimizers.SGD, {"l1": "a"}, "l1"),
        (optimizers.SGD, {"penalize": "biases"}, "penalize"),
        (optimizers.Momentum, {"momentum": 1.0}, "momentum"),
        (optimizers.Nesterov, {"momentum": -0.1}, "momentum"),
        (optimizers.AdaGrad, {"epsilon": 0.0}, "epsilon"),
        (optimizers.RMSProp, {"rho": 1.0}, "rho"),
        (optimizers.Adam, {"beta_1": 1.0}, "beta_1"),
        (optimizers.Adam, {"beta_2": -0.5}, "beta_2"),
        (optimizers.Adam, {"epsilon": -1e-8}, "epsilon"),
        (optimizers.Adam, {"bias_correction": 1}, "bias_correction"),
        (optimizers.RectifiedAdam, {"beta_2": 1.0}, "beta_2"),
        (optimizers.RectifiedAdam, {"threshold": 3.9}, "threshold"),
    ],
)
def test_rejects(cls, arguments, argument):
    with pytest.raises((ValueError, TypeError)) as error:
        cls(**arguments)
    assert cls.__name__ in str(error.value)
    assert f"`{argument}`" in str(error.value)
    assert repr(arguments[argument]) in str(error.value)


def test_an_unknown_argument_is_rejected():
    with pytest.raises(ValueError, match="amsgrad"):
        optimizers.Adam(amsgrad=True)


def test_a_whole_number_is_a_learning_rate():
    assert float(optimizers.SGD(1).learning_rate) == 1.0
