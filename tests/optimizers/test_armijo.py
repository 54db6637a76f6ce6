"""Armijo against a NumPy float64 reference, step by step, and the promises of its docstring."""

import keras
import numpy as np
import pytest
from keras import ops
from oracles import searches as search_oracles
from support.harness import TOLERANCES, numpy

from keras_lecture.optimizers import Armijo

N = 6
RNG = np.random.default_rng(11)
SCALES = np.array([30.0, 10.0, 3.0, 1.0, 0.3, 0.1])
# The batches differ so much that running means of gradients point uphill now and then.
SHIFTS = RNG.normal(size=(13, N))
START = RNG.normal(size=N)


def value(w, k):
    return float(np.sum(SCALES * (w - SHIFTS[k % 13]) ** 2) + np.sum(np.cos(w)))


def gradient(w, k):
    return 2 * SCALES * (w - SHIFTS[k % 13]) - np.sin(w)


class Bowl(keras.Model):
    """The same loss of weights in two tensors; the batch is the shift."""

    def __init__(self):
        super().__init__()
        self.a = self.add_weight(shape=(2, 2), initializer="zeros")
        self.b = self.add_weight(shape=(2,), initializer="zeros")

    def call(self, x):
        return x - ops.concatenate([ops.reshape(self.a, (4,)), self.b])

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        w = ops.convert_to_tensor(x, dtype=y_pred.dtype) - y_pred
        return ops.sum(ops.convert_to_tensor(SCALES, dtype=w.dtype) * ops.square(y_pred)) + ops.sum(ops.cos(w[0]))


def train(optimizer, steps):
    """Weights, step sizes and evaluations of each step."""
    model = Bowl()
    model.compile(optimizer.bind(model))
    model.a.assign(START[:4].reshape(2, 2))
    model.b.assign(START[4:])
    for k in range(1, steps + 1):
        logs = model.train_on_batch(SHIFTS[k % 13][None], return_dict=True)
        weights = np.concatenate([numpy(model.a).ravel(), numpy(model.b)])
        yield weights, float(logs["step_size"]), int(logs["evaluations"])


@pytest.mark.parametrize("direction", ["gradient", "momentum", "adam"])
def test_steps_are_those_of_the_reference(float64, direction):
    """Weights to 1e-10, step sizes and numbers of evaluations, 40 steps of noisy batches."""
    settings = {"direction": direction, "reset": 1.7, "backtrack": 0.4, "gamma": 0.2}
    expected = search_oracles.armijo(value, gradient, START, 40, rate=2.0, **settings)
    count = []
    for ours, theirs in zip(train(Armijo(2.0, **settings), 40), expected, strict=True):
        np.testing.assert_allclose(ours[0], theirs[0], **TOLERANCES["float64"])
        np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-12)
        assert ours[2] == theirs[2]
        count.append(ours[2])
    assert len(set(count)) > 2


@pytest.mark.parametrize("reset", [1, "full"])
def test_restarts_are_those_of_the_reference(float64, reset):
    expected = search_oracles.armijo(value, gradient, START, 15, reset=reset)
    sizes = []
    for ours, theirs in zip(train(Armijo(reset=reset), 15), expected, strict=True):
        np.testing.assert_allclose(ours[0], theirs[0], **TOLERANCES["float64"])
        assert ours[1:] == theirs[1:]
        sizes.append(ours[1])
    assert (np.diff(sizes) <= 0).all() == (reset == 1)


def test_the_condition_with_the_gradient_as_direction(float64):
    """f(w − ηg) ≤ f(w) − γη‖g‖² after every step, and not for the step tried before it."""
    w = START
    for k, (after, eta, evaluations) in enumerate(train(Armijo(gamma=0.4), 20), start=1):
        g = gradient(w, k)
        np.testing.assert_allclose(after, w - eta * g, rtol=1e-10, atol=1e-12)
        assert value(after, k) <= value(w, k) - 0.4 * eta * g @ g
        if evaluations > 2:
            assert value(w - 2 * eta * g, k) > value(w, k) - 0.4 * 2 * eta * g @ g
        w = after


def test_noise_does_not_lengthen_the_steps(float64):
    """(w − s)² with a new s in each batch: η ≤ 1 − γ for all s; the slope of the batch alone gives (1 − γ)·g/m."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(Armijo(100.0, gamma=0.1, direction="momentum").bind(model), "mse")
    shifts = np.random.default_rng(5).normal(size=60)
    logs = [model.train_on_batch(np.ones((1, 1)), shift.reshape(1, 1), return_dict=True) for shift in shifts]
    sizes = [float(log["step_size"]) for log in logs]
    assert min(sizes) > 0 and max(sizes) <= 0.9 + 1e-12


def test_gamma_depends_on_the_direction_unless_given():
    assert [Armijo(direction=d).gamma for d in ("gradient", "momentum", "adam")] == [0.1, 0.3, 0.3]
    assert Armijo(direction="adam", gamma=0.2).gamma == 0.2


def test_the_learning_rate_can_be_lowered_during_training():
    model = Bowl()
    model.compile(Armijo().bind(model))
    batch = SHIFTS[:1].astype("float32")
    model.train_on_batch(batch)
    model.optimizer.learning_rate = 1e-4
    assert float(model.train_on_batch(batch, return_dict=True)["step_size"]) <= 1e-4


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("learning_rate", 0),
        ("learning_rate", "fast"),
        ("gamma", 0.6),
        ("backtrack", 1.0),
        ("direction", "newton"),
        ("reset", 0.5),
        ("reset", "never"),
    ],
)
def test_rejects(argument, value):
    with pytest.raises((ValueError, TypeError), match=f"Armijo: `{argument}` must be .*Received: {argument}="):
        Armijo(**{argument: value})
