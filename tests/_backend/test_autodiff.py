"""Gradients compared with finite differences, Hessian-vector products with explicit Hessians, in float64."""

import numpy as np
import pytest
from keras import ops
from oracles import basic as oracles
from support.harness import assert_close

from keras_lecture import _backend

RNG = np.random.default_rng(7)
X = RNG.normal(size=(5, 3))
WEIGHTS = [RNG.normal(size=(3, 4)), RNG.normal(size=(4,)), RNG.normal(size=(4,))]


def loss(weights, x):
    """A two-layer network with a smooth activation: no kinks and a dense Hessian."""
    kernel, bias, head = weights
    hidden = ops.tanh(ops.matmul(x, kernel) + bias)
    return ops.sum(ops.square(ops.matmul(hidden, head))) + ops.sum(kernel**3), {"hidden": hidden}


def numpy_loss(kernel, bias, head):
    return np.sum((np.tanh(X @ kernel + bias) @ head) ** 2) + np.sum(kernel**3)


def flat_loss(w):
    kernel, bias, head = np.split(w, [12, 16])
    return numpy_loss(kernel.reshape(3, 4), bias, head)


def tensors(arrays):
    return [ops.convert_to_tensor(a, dtype="float64") for a in arrays]


def flat(arrays):
    return np.concatenate([np.ravel(ops.convert_to_numpy(a)) for a in arrays])


@pytest.mark.parametrize("compiled", [False, True])
def test_value_and_gradient_match_finite_differences(float64, compiled):
    evaluate = _backend.value_and_grad(loss)
    evaluate = _backend.compile(evaluate) if compiled else evaluate
    (value, aux), gradients = evaluate(tensors(WEIGHTS), *tensors([X]))
    assert_close(value, numpy_loss(*WEIGHTS), "float64")
    assert aux["hidden"].shape == (5, 4)
    expected = oracles.finite_differences(flat_loss, flat(WEIGHTS))
    np.testing.assert_allclose(flat(gradients), expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("compiled", [False, True])
def test_hessian_vector_product_matches_the_explicit_hessian(float64, compiled):
    def gradient(w):
        kernel, bias, head = np.split(w, [12, 16])
        _, gradients = _backend.value_and_grad(loss)(tensors([kernel.reshape(3, 4), bias, head]), *tensors([X]))
        return flat(gradients)

    w = flat(WEIGHTS)
    hessian = np.stack([(gradient(w + e) - gradient(w - e)) / 2e-6 for e in 1e-6 * np.eye(w.size)])
    vectors = [RNG.normal(size=a.shape) for a in WEIGHTS]
    product = _backend.hessian_vector_product(loss)
    product = _backend.compile(product) if compiled else product
    result = product(tensors(WEIGHTS), tensors(vectors), *tensors([X]))
    np.testing.assert_allclose(flat(result), hessian @ flat(vectors), rtol=1e-6, atol=1e-6)


def test_an_unused_weight_has_gradient_and_curvature_zero(float64):
    def partial(weights):
        return ops.sum(3.0 * weights[0]), None

    weights = tensors([np.ones(2), np.ones(3)])
    _, gradients = _backend.value_and_grad(partial)(weights)
    products = _backend.hessian_vector_product(partial)(weights, tensors([np.ones(2), np.ones(3)]))
    assert [g.tolist() for g in map(ops.convert_to_numpy, gradients)] == [[3.0, 3.0], [0.0, 0.0, 0.0]]
    assert [p.tolist() for p in map(ops.convert_to_numpy, products)] == [[0.0, 0.0], [0.0, 0.0, 0.0]]


def test_an_embedding_gradient_is_a_plain_tensor(float64):
    """TensorFlow returns it as slices, which support no arithmetic."""

    def lookup(weights):
        return ops.sum(ops.take(weights[0], ops.convert_to_tensor([1, 1, 2]), axis=0)), None

    _, (gradient,) = _backend.value_and_grad(lookup)(tensors([np.zeros((4, 2))]))
    assert ops.convert_to_numpy(gradient * 1.0).sum(axis=1).tolist() == [0.0, 4.0, 2.0, 0.0]


def test_gradients_are_computed_under_the_callers_no_grad(float64):
    """Keras's PyTorch train step updates the weights under `no_grad`; a line search must differentiate there."""

    def square(weights):
        return ops.sum(weights[0] ** 2), None

    (value, _), (gradient,) = _backend.value_and_grad(square)(tensors([np.array([3.0])]))
    assert (float(value), float(gradient[0])) == (9.0, 6.0)
