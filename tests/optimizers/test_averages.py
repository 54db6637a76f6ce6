"""Lookahead and the stochastic weight average, against loops in NumPy."""

import keras
import numpy as np
import pytest
from oracles import optimizers as oracle
from support.harness import TOLERANCES, built_for, numpy
from support.noisy_quadratic import expected, gradient, run, start, variables

from keras_lecture import optimizers


def _lookahead(steps, period, slow_step):
    fast = slow = start()
    states = [()] * len(fast)
    for k in range(steps):
        for i, g in enumerate(gradient(fast, k)):
            w, states[i], _ = oracle.adam(fast[i], g, 0.05, k + 1, states[i])
            fast = [*fast[:i], w, *fast[i + 1 :]]
        if (k + 1) % period == 0:
            slow = [s + slow_step * (w - s) for s, w in zip(slow, fast, strict=True)]
            fast = slow
    return fast


def test_lookahead_matches_its_algorithm(float64):
    optimizer = optimizers.Lookahead(optimizers.Adam(0.05), period=4, slow_step=0.3)
    for a, w in zip(run(optimizer, variables("float64"), 22), _lookahead(22, 4, 0.3), strict=True):
        np.testing.assert_allclose(a, w, **TOLERANCES["float64"])


def test_slow_step_1_is_the_optimizer_alone(float64):
    optimizer = optimizers.Lookahead(optimizers.Adam(0.05), period=4, slow_step=1)
    for a, w in zip(run(optimizer, variables("float64"), 9), expected("Adam", 9, 0.05), strict=True):
        np.testing.assert_allclose(a, w, **TOLERANCES["float64"])


def test_weights_loaded_after_build_and_before_the_first_step_are_the_first_slow_weights(float64):
    optimizer, ws = optimizers.Lookahead(optimizers.Adam(0.05), period=4, slow_step=0.3), variables("float64")
    built_for(optimizer, ws)
    for w in ws:
        w.assign(0 * w)
    moved = variables("float64", [0 * w for w in start()])
    other = optimizers.Lookahead(optimizers.Adam(0.05), period=4, slow_step=0.3)
    for a, b in zip(run(optimizer, ws, 4), run(other, moved, 4), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize(
    ("first", "period", "counted"), [(3, 2, (3, 5, 7)), (2, 3, (2, 5, 8)), (4, 3, (4, 7)), (7, 5, (7,))]
)
def test_the_stochastic_average_is_the_mean_of_the_weights_it_counts(float64, first, period, counted):
    averages = optimizers.StochasticWeightAverage(optimizers.Adam(0.05), start=first, period=period)
    optimizer, ws = averages, variables("float64")
    run(optimizer, ws, 8)
    path = [expected("Adam", k, 0.05) for k in counted]
    np.testing.assert_allclose(numpy(ws[0]), expected("Adam", 8, 0.05)[0], rtol=1e-10)
    shown = [numpy(mean) for _, mean in optimizer.current()]
    optimizer.finalize_variable_values(ws)
    for mean, w in zip(shown, ws, strict=True):
        np.testing.assert_array_equal(mean, numpy(w))
    for w, seen in zip(ws, zip(*path, strict=True), strict=True):
        np.testing.assert_allclose(numpy(w), np.mean(seen, 0), **TOLERANCES["float64"])


def test_before_step_start_it_is_the_optimizer_alone(float64):
    optimizer, ws = optimizers.StochasticWeightAverage(optimizers.Adam(0.05), start=30), variables("float64")
    run(optimizer, ws, 4)
    assert optimizer.current() == []
    optimizer.finalize_variable_values(ws)
    np.testing.assert_allclose(numpy(ws[0]), expected("Adam", 4, 0.05)[0], rtol=1e-10)


def _model(optimizer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile(optimizer, "mse")
    return model


X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
FIT = {"batch_size": 8, "verbose": 0, "shuffle": False}


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.Lookahead(optimizers.Momentum(0.05), period=2),
        lambda: optimizers.StochasticWeightAverage(keras.optimizers.Adam(0.05), start=1).per_epoch(3),
    ],
)
def test_a_loaded_average_continues_like_the_saved_one(make, tmp_path):
    model = _model(make())
    model.fit(X, X[:, :2], epochs=2, **FIT)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    before = numpy(model.layers[0].kernel)
    for each in (model, loaded):
        each.fit(X, X[:, :2], epochs=2, **FIT)
    np.testing.assert_allclose(numpy(loaded.layers[0].kernel), numpy(model.layers[0].kernel), rtol=1e-6)
    assert not np.allclose(numpy(model.layers[0].kernel), before)


def test_per_epoch_averages_at_the_ends_of_epochs():
    model = _model(optimizers.StochasticWeightAverage(optimizers.SGD(0.1), start=2).per_epoch(3))
    seen = []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(numpy(model.layers[0].kernel)))
    model.fit(X, X[:, :2], epochs=4, callbacks=[note], **FIT)
    np.testing.assert_allclose(numpy(model.layers[0].kernel), np.mean(seen[1:], 0), rtol=1e-5)


def test_the_learning_rate_is_the_inner_optimizers():
    optimizer = optimizers.Lookahead(optimizers.SGD(0.5))
    optimizer.learning_rate = 0.25
    assert float(optimizer.inner_optimizer.learning_rate) == 0.25


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: optimizers.Lookahead("sgd"), "optimizer"),
        (lambda: optimizers.Lookahead(optimizers.SGD(), period=0), "period"),
        (lambda: optimizers.Lookahead(optimizers.SGD(), slow_step=0), "slow_step"),
        (lambda: optimizers.StochasticWeightAverage(optimizers.SGD(), start=0), "start"),
        (lambda: optimizers.StochasticWeightAverage(optimizers.SGD(), start=1, period=0.5), "period"),
    ],
)
def test_rejects(make, argument):
    with pytest.raises((ValueError, TypeError), match=f"`{argument}`"):
        make()


AVERAGES = {"Lookahead": optimizers.Lookahead, "SWA": lambda inner: optimizers.StochasticWeightAverage(inner, start=1)}


@pytest.mark.parametrize("average", AVERAGES.values(), ids=AVERAGES)
@pytest.mark.parametrize("search", [optimizers.Armijo, optimizers.LBFGS, optimizers.Newton, optimizers.NewtonCG])
def test_a_search_inside_an_average_is_refused(average, search):
    """The error said that the search was bound to another model, which was false and misleading."""
    with pytest.raises(ValueError, match="`optimizer` must be an optimizer that takes gradients.*takes the whole"):
        average(search())
