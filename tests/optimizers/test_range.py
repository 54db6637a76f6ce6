"""A kernel is finite wherever its formula is, from gradients of 1e-38 to gradients of 1e38.

Oracle: the lectures' rules in NumPy. Computed in float32 they say where the formula is finite, and there the optimizer
is finite too; where they still agree with float64, the optimizer agrees with float64 to 2e-5.
"""

import importlib

import keras
import numpy as np
import pytest
from oracles import optimizers as oracle
from support.harness import BACKEND
from support.noisy_quadratic import run

from keras_lecture import optimizers

# One element each: the rules treat every weight separately. 3e18 and 5e19 lie on either side of √(largest float32).
MAGNITUDES = np.array([0.0, *(10.0**e for e in range(-38, 39)), 3e18, 5e19])
GRADIENTS = np.concatenate([MAGNITUDES, -MAGNITUDES])
EPSILONS = (1e-20, 1e-8, 1e-3)
CASES = [(rule, None) for rule in ("SGD", "Momentum", "Nesterov")]
CASES += [(rule, epsilon) for rule in ("AdaGrad", "RMSProp", "Adam", "RectifiedAdam") for epsilon in EPSILONS]
RATE = 0.5


def gradient(weights, k):
    """Full strength, then with the other sign, then a plain gradient after the extreme ones."""
    return [GRADIENTS if k == 0 else -0.5 * GRADIENTS if k == 1 else np.ones_like(GRADIENTS)]


def expected(rule, dtype, **settings):
    """The oracle's weights after three steps in `dtype`."""
    start = [np.zeros(GRADIENTS.shape, dtype)]
    with np.errstate(all="ignore"):
        return oracle.train(
            rule, start, lambda w, k: [g.astype(dtype) for g in gradient(w, k)], 3, dtype(RATE), **settings
        )[0]


# PyTorch's steps are eager, those of JAX compiled, in `fit` at least; on TensorFlow the two are different kernels.
MODES = {"torch": ["eager"], "jax": ["compiled"], "tensorflow": ["eager", "compiled", "compiled, large"]}


@pytest.mark.parametrize("mode", MODES[BACKEND])
@pytest.mark.parametrize(("rule", "epsilon"), CASES)
def test_where_the_formula_is_finite_the_step_is_and_agrees(rule, epsilon, mode, monkeypatch):
    """RMSProp on PyTorch was NaN from 1e16 on, with ε = 1e-20 from 1e10 on; Adam on TensorFlow after 1e30."""
    settings = {} if epsilon is None else {"epsilon": epsilon}
    if mode == "compiled, large":
        kernels = importlib.import_module("keras_lecture._backend.tensorflow.kernels.optimizers")
        monkeypatch.setattr(kernels, "LARGE", 10)
    w = keras.Variable(np.zeros(GRADIENTS.shape, "float32"), name="kernel")
    (found,) = run(getattr(optimizers, rule)(RATE, **settings), [w], 3, gradient=gradient, compiled=mode != "eager")
    single, exact = (expected(rule, dtype, **settings) for dtype in (np.float32, np.float64))
    assert np.all(np.isfinite(found[np.isfinite(single)])), GRADIENTS[np.isfinite(single) & ~np.isfinite(found)]
    agrees = np.isclose(single, exact, rtol=1e-5, atol=1e-37)
    if epsilon == 1e-20:
        # With so small an ε, subnormal squares matter, which XLA and TensorFlow, unlike NumPy, flush to 0.
        agrees &= np.abs(GRADIENTS) >= 1e-17
    assert np.count_nonzero(agrees) > 70
    np.testing.assert_allclose(found[agrees], exact[agrees], rtol=2e-5, atol=1e-36)
