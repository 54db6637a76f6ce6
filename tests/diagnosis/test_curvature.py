"""Curvature against NumPy's eigenvalues of the whole Hessian, and against the convergence of gradient descent."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from support.harness import numpy

from keras_lecture.diagnosis import curvature
from keras_lecture.diagnosis.curvature import _hessian_of

RNG = np.random.default_rng(4)
X = RNG.normal(size=(32, 6)) * np.array([3.0, 2.0, 1.0, 0.5, 0.3, 0.1])
Y = RNG.normal(size=(32, 1))


def linear(regularizer=None):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(1, kernel_regularizer=regularizer)])
    model.compile("sgd", "mse")
    return model


def eigenvalues(decay=0.0):
    """Eigenvalues for the squared error of linear regression: Hessian 2·mean(x xᵀ), plus 2·decay for the kernel."""
    inputs = np.column_stack([X, np.ones(32)])
    return np.linalg.eigvalsh(2 * inputs.T @ inputs / 32 + 2 * np.diag([decay] * 6 + [0.0]))


@pytest.mark.parametrize("decay", [0.0, 5.0])
def test_the_extreme_eigenvalues_of_a_known_spectrum(float64, decay):
    found = curvature(linear(keras.regularizers.L2(decay)), X, Y, smallest=True, tolerance=1e-10)
    expected = eigenvalues(decay)
    np.testing.assert_allclose([found.largest, found.smallest], expected[[-1, 0]], rtol=1e-8)
    assert found.learning_rates == (0.0, 2.0 / found.largest)


def network():
    keras.utils.set_random_seed(0)
    stack = [layers.Dense(10, "tanh"), layers.Dropout(0.5, seed=1), layers.BatchNormalization(), layers.Dense(1)]
    model = keras.Sequential([keras.Input((6,)), *stack])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def test_an_eigenvalue_lies_within_the_error_bar_and_the_model_is_unchanged():
    """A tanh network with 111 weights. Oracle: NumPy's eigenvalues of the Hessian, made of one product per column."""
    model = network()
    before = [numpy(v) for v in model.variables]
    batch = (ops.convert_to_tensor(X.astype("float32")), ops.convert_to_tensor(Y.astype("float32")), None)
    product = _hessian_of(model, batch, False)
    hessian = np.stack([product(row) for row in np.eye(sum(np.prod(v.shape) for v in model.trainable_variables))])
    spectrum = np.linalg.eigvalsh((hessian + hessian.T) / 2)
    for iterations in (4, 100):
        found = curvature(model, X, Y, smallest=True, iterations=iterations)
        assert 4 <= found.products <= iterations
        for end, error in [(found.largest, found.largest_error), (found.smallest, found.smallest_error)]:
            assert np.min(np.abs(spectrum - end)) <= error + 1e-5 * spectrum[-1]
    np.testing.assert_allclose([found.largest, found.smallest], spectrum[[-1, 0]], atol=2e-3 * spectrum[-1])
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(numpy(variable), value)
    assert curvature(model, X, Y, training=True).largest != found.largest


def test_gradient_descent_converges_within_the_interval_and_diverges_beyond():
    """η = 1.9/L lowers the quadratic loss at every step, η = 2.1/L finally raises it."""
    bound = curvature(linear(), X, Y, tolerance=1e-6).learning_rates[1]
    losses = {}
    for part in (0.95, 1.05):
        keras.utils.set_random_seed(0)
        model = linear()
        model.optimizer.learning_rate = part * bound
        losses[part] = model.fit(X, Y, batch_size=32, epochs=60, verbose=0).history["loss"]
    assert (np.diff(losses[0.95]) <= 1e-6).all()
    assert losses[1.05][-1] > losses[1.05][0]


class Bent(keras.Model):
    """A subclassed model with its own loss, ½wᵀAw."""

    def __init__(self, matrix):
        super().__init__()
        self.w = self.add_weight(shape=(len(matrix),), initializer="ones")
        self.matrix = matrix

    def call(self, x):
        return x

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        w = ops.convert_to_tensor(self.w)
        return 0.5 * ops.sum(w * ops.sum(ops.convert_to_tensor(self.matrix, dtype=w.dtype) * w, axis=1))


def test_for_a_quadratic_form_it_is_the_largest_eigenvalue_of_the_matrix(float64):
    """The eigenvalue with the largest absolute value is negative, and not the result."""
    basis, _ = np.linalg.qr(RNG.normal(size=(5, 5)))
    model = Bent(basis @ np.diag([-9.0, -1.0, 0.0, 2.0, 3.0]) @ basis.T)
    model.compile("sgd")
    model(np.zeros((1, 1)))
    found = curvature(model, np.zeros((1, 1)), smallest=True, tolerance=1e-9)
    np.testing.assert_allclose([found.largest, found.smallest], [3.0, -9.0], rtol=1e-8)


def test_rejects():
    uncompiled = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    with pytest.raises(ValueError, match="curvature: `model` must be compiled"):
        curvature(uncompiled, X, Y)
    frozen = linear()
    frozen.trainable = False
    frozen.compile("sgd", "mse")
    with pytest.raises(ValueError, match="a model with trainable weights"):
        curvature(frozen, X, Y)
    with pytest.raises(TypeError, match="curvature: `model` must be a Keras model"):
        curvature(lambda x: x, X, Y)
