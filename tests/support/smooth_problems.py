"""Problems for second-order methods, written in `keras.ops` for both the model and the oracles.

A problem is a loss of one flat vector of weights and a starting point. SciPy and PyTorch minimize the same function
through `Counted`, which records the loss of every evaluation.
"""

import keras
import numpy as np
import scipy.optimize
import torch
from keras import ops
from sklearn.datasets import load_breast_cancer
from support.harness import numpy

from keras_lecture import _backend


def rosenbrock(n):
    """The Rosenbrock function; its minimum 0 is at (1, …, 1)."""

    def loss(w):
        return ops.sum(100.0 * (w[1:] - w[:-1] ** 2) ** 2 + (1.0 - w[:-1]) ** 2)

    return loss, np.tile([-1.2, 1.0], n // 2)


def logistic():
    """Logistic regression with L2 on the breast cancer set: 569 patients, 30 standardized features and a constant."""
    x, y = load_breast_cancer(return_X_y=True)
    x = np.column_stack([(x - x.mean(axis=0)) / x.std(axis=0), np.ones(len(x))])
    signed = ops.convert_to_tensor((2.0 * y - 1.0)[:, None] * x, dtype="float64")

    def loss(w):
        margins = ops.sum(signed * w, axis=1)
        return ops.mean(ops.softplus(-margins)) + 1e-3 * ops.sum(w * w)

    return loss, np.zeros(31)


def oscillator(seed):
    """A small physics-informed network: u'' + u = 0 on [0, 4], u(0) = 1, u'(0) = 0, with u a 1-16-16-1 tanh network."""
    shapes = [(1, 16), (16,), (16, 16), (16,), (16, 1), (1,)]
    rng = np.random.default_rng(seed)
    start = [rng.uniform(-1, 1, s) * np.sqrt(6 / sum(s)) if len(s) > 1 else np.zeros(s) for s in shapes]
    time = ops.convert_to_tensor(np.linspace(0.0, 4.0, 33)[:, None], dtype="float64")

    def loss(w):
        pieces, first = [], 0
        for shape in shapes:
            size = int(np.prod(shape))
            pieces.append(ops.reshape(w[first : first + size], shape))
            first += size
        # u with its first and second derivative in time, carried through the layers together.
        u, velocity, acceleration = time, 0.0 * time + 1.0, 0.0 * time
        for kernel, bias in ((pieces[0], pieces[1]), (pieces[2], pieces[3])):
            z, dz, ddz = ops.matmul(u, kernel) + bias, ops.matmul(velocity, kernel), ops.matmul(acceleration, kernel)
            u = ops.tanh(z)
            slope = 1.0 - u * u
            velocity, acceleration = slope * dz, slope * ddz - 2.0 * u * slope * dz * dz
        u, velocity, acceleration = (ops.matmul(v, pieces[4]) for v in (u, velocity, acceleration))
        u = u + pieces[5]
        return ops.mean((acceleration + u) ** 2) + (u[0, 0] - 1.0) ** 2 + velocity[0, 0] ** 2

    return loss, np.concatenate([np.ravel(piece) for piece in start])


class Flat(keras.Model):
    """A model with one weight and the loss `loss` of it."""

    def __init__(self, loss, start):
        super().__init__()
        self.w = self.add_weight(shape=np.shape(start), initializer="zeros", dtype="float64")
        self.loss_of = loss
        self.w.assign(start)

    def call(self, x):
        return x + ops.sum(self.w) * 0.0

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.loss_of(ops.convert_to_tensor(self.w))


class Counted:
    """The loss and its gradient in NumPy; records every loss that is evaluated."""

    def __init__(self, loss):
        self.evaluate = _backend.compile(_backend.value_and_grad(lambda ws: (loss(ws[0]), None)))
        self.losses = []

    def __call__(self, w):
        (value, _), (gradient,) = self.evaluate([ops.convert_to_tensor(np.array(w), dtype="float64")])
        self.losses.append(float(value))
        return self.losses[-1], np.array(numpy(gradient), dtype="float64")

    def evaluations_until(self, loss):
        return 1 + next((i for i, value in enumerate(self.losses) if value <= loss), len(self.losses) * 1000)


def scipy_lbfgs(loss, start, most):
    counted = Counted(loss)
    options = {"maxcor": 10, "maxiter": most, "maxfun": most, "ftol": 1e-16, "gtol": 1e-12}
    scipy.optimize.minimize(counted, start, jac=True, method="L-BFGS-B", options=options)
    return counted


def torch_lbfgs(loss, start, most):
    counted = Counted(loss)
    w = torch.tensor(start, requires_grad=True)
    settings = {"history_size": 10, "line_search_fn": "strong_wolfe", "tolerance_grad": 1e-12}
    optimizer = torch.optim.LBFGS([w], max_iter=most, max_eval=most, tolerance_change=1e-16, **settings)

    def closure():
        value, gradient = counted(w.detach().numpy())
        w.grad = torch.from_numpy(gradient)
        return torch.tensor(value)

    optimizer.step(closure)
    return counted
