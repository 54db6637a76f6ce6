"""The problem of the optimizer tests: a noisy quadratic over variables of several shapes."""

import keras
import numpy as np
from oracles import optimizers as oracle
from support.harness import BACKEND, built_for, numpy

from keras_lecture import _backend, optimizers

SHAPES = {"dense/kernel": (5, 3), "dense/bias": (3,), "gru/bias": (2, 4), "out/kernel": (4, 2, 2)}
KERNELS = [True, False, False, True]
RULES = ("SGD", "Momentum", "Nesterov", "AdaGrad", "RMSProp", "Adam", "RectifiedAdam")


def start(seed=0):
    generator = np.random.default_rng(seed)
    return [generator.normal(size=shape) for shape in SHAPES.values()]


def gradient(weights, k):
    """The gradient of ½Σ aᵢwᵢ² plus noise that depends only on the step; a varies a thousandfold."""
    generator = np.random.default_rng(1000 + k)
    curvatures = [np.geomspace(1e-3, 1.0, w.size).reshape(w.shape) for w in weights]
    return [a * w + 0.1 * generator.normal(size=w.shape) for a, w in zip(curvatures, weights, strict=True)]


def variables(dtype, weights=None):
    """Keras variables with the names that layers give."""
    weights = start() if weights is None else weights
    return [keras.Variable(w, dtype=dtype, name=path.split("/")[1]) for w, path in zip(weights, SHAPES, strict=True)]


def run(optimizer, ws, steps, first=0, gradient=gradient, compiled=None):
    """`steps` steps by `apply`, with gradients at the look-ahead point for `Nesterov`."""
    if not optimizer.built:
        built_for(optimizer, ws)
    compiled = steps >= 50 if compiled is None else compiled
    # Many steps are compiled, as in Keras's trainers; for a few steps compiling takes longer.
    apply = COMPILED.get(BACKEND, _eager)(optimizer, ws) if compiled else _eager(optimizer, ws)
    for k in range(first, first + steps):
        if isinstance(optimizer, optimizers.Nesterov):
            optimizer.look_ahead()
        gradients = gradient([numpy(w).astype("float64") for w in ws], k)
        apply([keras.ops.convert_to_tensor(g, dtype=w.dtype) for g, w in zip(gradients, ws, strict=True)])
    return [numpy(w) for w in ws]


def _eager(optimizer, ws):
    return lambda gradients: optimizer.apply(gradients, ws)


def _jax(optimizer, ws):
    step = _backend.compile(optimizer.stateless_apply)

    def apply(gradients):
        trained, state = step([v.value for v in optimizer.variables], gradients, [w.value for w in ws])
        for variable, value in zip([*ws, *optimizer.variables], [*trained, *state], strict=True):
            variable.assign(value)

    return apply


COMPILED = {"jax": _jax, "tensorflow": lambda optimizer, ws: _backend.compile(_eager(optimizer, ws))}


def expected(rule, steps, rate, **settings):
    return oracle.train(rule, start(), gradient, steps, rate, kernels=KERNELS, **settings)
