"""The learning rate finder against the recursion in NumPy float64, and that it leaves no trace."""

import itertools
import re

import keras
import numpy as np
import pytest
from keras.optimizers.schedules import CosineDecay
from support.harness import BACKEND, bound, numpy
from support.small_fit import COMPILED

from keras_lecture import optimizers
from keras_lecture._core.random_state import random_state
from keras_lecture.callbacks import GradientClipping, LearningRateFinder, find_learning_rate

rng = np.random.default_rng(0)
# Mean squared error of a linear model without bias: the Hessian is 2/n·XᵀX, here with eigenvalues 0.5, 1 and 4.
EIGENVALUES, N = np.array([0.5, 1.0, 4.0]), 6
X = np.linalg.qr(rng.normal(size=(N, 3)))[0] * np.sqrt(EIGENVALUES * N / 2)
Y = X @ [[1.0], [-2.0], [0.5]]
START = np.array([[0.3], [0.2], [-0.1]])
# The same batch, repeated.
DATA = np.tile(X, (30, 1)), np.tile(Y, (30, 1))
SWEEP = {"learning_rates": (1e-3, 10.0), "steps": 30, "smoothing": 0.5, "batch_size": N, "shuffle": False, "verbose": 0}
# A loss of 1e-4 is the square of differences between numbers near 1.
FLOAT32 = {"rtol": 1e-3}
RATES = np.geomspace(1e-3, 10.0, 30).astype("float32").astype("float64")


def line(optimizer, **options):
    built = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    built.set_weights([START])
    built.compile(bound(optimizer, built), options.pop("loss", "mse"), **COMPILED | options)
    return built


def descent(scale=1.0):
    """Losses, smoothed losses and the end of the sweep by gradient descent on `scale` times the loss."""
    w, losses, smoothed, mean = START, [], [], 0.0
    for k, rate in enumerate(RATES, 1):
        residual = X @ w - Y
        losses.append(scale * np.mean(residual**2))
        mean = 0.5 * mean + 0.5 * losses[-1]
        smoothed.append(mean / (1 - 0.5**k))
        if k > 3 and smoothed[-1] > 4 * min(smoothed[3:]):
            return losses, smoothed, "explosion"
        w = w - rate * scale * 2 / N * X.T @ residual
    return losses, smoothed, "complete"


OPTIMIZERS = {
    "fixed": lambda: keras.optimizers.SGD(0.01),
    "ours": lambda: optimizers.SGD(0.01),
    "schedule": lambda: keras.optimizers.SGD(CosineDecay(0.1, 5)),
    "callable": lambda: optimizers.SGD(lambda: 0.1),
    "loss scale around a schedule": lambda: keras.optimizers.LossScaleOptimizer(optimizers.SGD(CosineDecay(0.1, 5))),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_sweep_equals_gradient_descent_step_by_step(name):
    found = find_learning_rate(line(OPTIMIZERS[name]()), *DATA, **SWEEP)
    losses, smoothed, end = descent()
    assert found.end == end == "explosion"
    np.testing.assert_array_equal(found.learning_rates, RATES[: len(losses)])
    np.testing.assert_allclose(found.losses, losses, **FLOAT32)
    np.testing.assert_allclose(found.smoothed, smoothed, **FLOAT32)


def test_gradient_descent_on_a_quadratic_loss_explodes_from_two_over_the_curvature_on():
    """Along the steepest direction alone the loss rises exactly where ηₖ is above 2/L."""
    model = line(keras.optimizers.SGD(0.01))
    model.set_weights([np.array([[1.0], [-2.0], [3.5]])])
    found = find_learning_rate(model, *DATA, curvature=True, **SWEEP)
    rises = np.diff(found.losses) > 0
    np.testing.assert_array_equal(rises, found.learning_rates[:-1] > 2 / EIGENVALUES.max())
    assert rises.any() and not rises.all()
    assert found.curvature == pytest.approx(1 / EIGENVALUES.max(), rel=1e-3)
    assert found.valley < 2 / EIGENVALUES.max()


def test_sample_weights_are_used():
    found = find_learning_rate(line(keras.optimizers.SGD(0.01)), *DATA, sample_weight=np.full(30 * N, 0.25), **SWEEP)
    np.testing.assert_allclose(found.losses, descent(scale=0.25)[0], **FLOAT32)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return X, Y


KINDS = {"PyDataset": Batches, "generator": lambda: itertools.repeat((X, Y))}


@pytest.mark.parametrize("name", KINDS)
def test_datasets_and_generators_build_the_model_and_repeat(name):
    options = {key: value for key, value in SWEEP.items() if key != "batch_size"}
    start = keras.ops.convert_to_tensor(START, "float32")
    model = keras.Sequential([keras.layers.Dense(1, use_bias=False, kernel_initializer=lambda *_, **__: start)])
    model.compile("sgd", "mse", **COMPILED)
    found = find_learning_rate(model, KINDS[name](), curvature=True, **options)
    np.testing.assert_allclose(found.losses, descent()[0], **FLOAT32)
    assert found.curvature == pytest.approx(1 / EIGENVALUES.max(), rel=1e-3)
    np.testing.assert_array_equal(model.get_weights()[0], START.astype("float32"))


def network(optimizer, **options):
    built = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="relu"),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(1),
        ]
    )
    built.compile(bound(optimizer, built), "mse", metrics=["mae"], **COMPILED | options)
    return built


def state(model):
    """Everything that must not change, as bytes."""
    held = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    random = random_state()
    own = {name: value for name, value in vars(model).items() if name in ("history", "train_function", "stop_training")}
    return (
        [(v.path, keras.ops.convert_to_numpy(v).tobytes()) for v in held],
        own,
        model.optimizer.learning_rate if callable(model.optimizer._learning_rate) else model.optimizer._learning_rate,
        repr(random.python),
        repr(random.numpy),
        None if random.keras is None else random.keras[1].tobytes(),
        [np.asarray(a).tobytes() for a in random.framework],
    )


class Break(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise KeyboardInterrupt


def schedule():
    return keras.optimizers.Adam(CosineDecay(0.1, 9))


# The optimizer, which has trained before the sweep, and the exception that ends the sweep.
TRACELESS = {
    "Nesterov with decay": (lambda: optimizers.Nesterov(0.05, weight_decay=0.1), None),
    "averages of a schedule": (lambda: optimizers.StochasticWeightAverage(schedule(), start=2), None),
    "Lookahead, interrupted": (lambda: optimizers.Lookahead(keras.optimizers.Adam(0.01), period=2), KeyboardInterrupt),
    "a schedule, interrupted": (schedule, KeyboardInterrupt),
}


@pytest.mark.parametrize("name", TRACELESS)
def test_a_sweep_restores_everything_bit_for_bit(name):
    optimizer, error = TRACELESS[name]
    model = network(optimizer())
    model.fit(X, Y, batch_size=2, epochs=1, verbose=0)
    keras.random.uniform((1,))
    before = state(model)
    callbacks = [Break()] if error else []
    sweep = {"learning_rates": (0.01, 0.1), "steps": 8, "batch_size": 2, "verbose": 0, "callbacks": callbacks}
    if error:
        with pytest.raises(error):
            find_learning_rate(model, X, Y, **sweep)
    else:
        assert len(find_learning_rate(model, X, Y, **sweep).losses)
    assert state(model) == before
    model.fit(X, Y, verbose=0)


def trained(*, searched=False, rate=None, callbacks=()):
    """Weights and history after two epochs with dropout and shuffling, of a fully built model."""
    keras.utils.set_random_seed(3)
    model = network(keras.optimizers.SGD(0.05, momentum=0.9))
    model.fit(X, Y, batch_size=3, verbose=0)
    if searched:
        find_learning_rate(model, X, Y, steps=5, batch_size=3, verbose=0)
    if rate is not None:
        model.optimizer.learning_rate = rate
    history = model.fit(X, Y, batch_size=3, epochs=2, verbose=0, callbacks=list(callbacks)).history
    return [w.tolist() for w in model.get_weights()], history


def test_training_after_a_sweep_equals_training_without_it():
    plain = trained()
    assert trained(searched=True) == plain
    # With `apply=False` the callback is `find_learning_rate` before `fit`.
    assert trained(callbacks=[LearningRateFinder(steps=5, apply=False)]) == plain


def test_the_callback_trains_with_the_rate_that_it_finds():
    clipping = GradientClipping(global_norm=1.0)
    finder = LearningRateFinder(learning_rates=(1e-3, 1.0), steps=20, smoothing=0.9)
    weights, history = trained(callbacks=[clipping, finder])
    expected = trained(rate=finder.sweep.valley, callbacks=[GradientClipping(global_norm=1.0)])
    assert (weights, history) == expected
    assert "clipped_share" in history


def test_callbacks_that_observe_gradients_act_in_the_sweep():
    """With gradients clipped to almost 0, no rate moves the weights."""
    clipping = GradientClipping(global_norm=1e-30)
    found = find_learning_rate(line("sgd"), *DATA, callbacks=[clipping], **SWEEP)
    np.testing.assert_allclose(found.losses, found.losses[0], rtol=1e-6)
    assert found.end == "complete" and len(found.losses) == 30


def test_a_loss_that_is_not_finite_ends_the_sweep():
    def hot(y, predicted):
        return keras.ops.mean(keras.ops.exp(keras.ops.square(predicted)))

    sweep = SWEEP | {"learning_rates": (1.0, 1e3)}
    found = find_learning_rate(line("sgd", loss=hot), np.full_like(DATA[0], 8.0), DATA[1], **sweep)
    assert found.end == "nonfinite"
    assert np.isfinite(found.losses).all() and 0 < len(found.losses) < 30


@pytest.mark.parametrize("rate", [0.01, CosineDecay(0.1, 5)], ids=["fixed", "schedule"])
def test_the_sweep_compiles_at_most_one_step(rate):
    calls = []

    def loss(y, predicted):
        calls.append(1)
        return keras.ops.mean(keras.ops.square(predicted - y))

    model = line(keras.optimizers.SGD(rate), loss=loss)
    model.fit(X, Y, batch_size=N, verbose=0)
    model.set_weights([START])
    before, compiled = len(calls), model.train_function
    found = find_learning_rate(model, *DATA, **SWEEP)
    traces = len(calls) - before
    assert model.train_function is compiled
    if BACKEND == "torch":
        assert traces == len(found.losses)
    else:
        # TensorFlow traces a new step twice.
        assert traces == 0 if isinstance(rate, float) else 0 < traces <= 2
    np.testing.assert_allclose(found.losses, descent()[0], **FLOAT32)


def test_the_progress_bar_shows_loss_and_rate(capsys):
    find_learning_rate(line("sgd"), *DATA, **SWEEP | {"steps": 4, "verbose": 1})
    assert re.search(r"4/4.* - loss: .* - learning_rate: 10\.0", capsys.readouterr().out)
    find_learning_rate(line("sgd"), *DATA, **SWEEP | {"steps": 4})
    assert not capsys.readouterr().out


def test_without_a_suggestion_the_rate_is_unchanged():
    model = line("sgd")
    model.set_weights([np.array([[1.0], [-2.0], [0.5]])])
    with pytest.warns(UserWarning, match="the loss never falls in the sweep"):
        model.fit(X, 0 * Y, verbose=0, callbacks=[LearningRateFinder(learning_rates=(10.0, 1e3), smoothing=0.0)])
    assert float(numpy(model.optimizer.learning_rate)) == pytest.approx(0.01)


def several():
    chosen = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.1))
    return keras.optimizers.MultiOptimizer(chosen)


REJECTED = {
    "a search": (lambda model: optimizers.Armijo().bind(model), {}, "Armijo finds the length"),
    "several rates": (lambda model: several(), {}, "a rate for each"),
    "epochs": (lambda model: "sgd", {"epochs": 3}, "`kwargs` must be one of"),
    "rates that fall": (lambda model: "sgd", {"learning_rates": (1.0, 0.1)}, "two numbers that increase"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_unsuitable_optimizers_and_arguments_are_an_error(name):
    optimizer, options, message = REJECTED[name]
    model = line("sgd")
    model.compile(optimizer(model), "mse")
    with pytest.raises(ValueError, match=message):
        find_learning_rate(model, X, Y, **options)


def test_the_callback_rejects_schedules_and_data_that_can_be_read_only_once():
    with pytest.raises(ValueError, match="`apply` must be False where the rate is a schedule"):
        line(keras.optimizers.SGD(CosineDecay(0.1, 5))).fit(X, Y, verbose=0, callbacks=[LearningRateFinder()])
    with pytest.raises(ValueError, match="read only once"):
        batches = iter([(X, Y)] * 3)
        line("sgd").fit((pair for pair in batches), verbose=0, callbacks=[LearningRateFinder()], shuffle=False)
