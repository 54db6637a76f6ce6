"""`TerminateOnNonFinite` finds the first faulty batch and its cause, and keeps the state from before it."""

import keras
import numpy as np
import pytest
from keras import ops
from support.harness import BACKEND, bound
from support.small_fit import COMPILED
from support.watched_model import X, Y, fit, model

from keras_lecture import optimizers
from keras_lecture.callbacks import EarlyStopping, GradientClipping, TerminateOnNonFinite

NAN = float("nan")

OPTIMIZERS = {
    "keras": lambda: keras.optimizers.Adam(0.05),
    "nesterov": lambda: optimizers.Nesterov(0.05),
    "lookahead": lambda: optimizers.Lookahead(optimizers.Momentum(0.05), period=2),
}


def stateful_model(optimizer=None, loss="mse"):
    """A model whose forward pass changes its state: moving statistics and the seed of dropout."""
    built = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(4, name="hidden"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5, seed=3),
            keras.layers.Dense(2, name="top"),
        ]
    )
    built.compile(bound(optimizer, built) or keras.optimizers.SGD(0.1), loss, **COMPILED)
    return built


def state_of(trained):
    seeds = [v for v in trained.non_trainable_variables if "seed" in v.path]
    return [np.array(v.numpy()) for v in (*trained.weights, *seeds, *trained.optimizer.variables)]


def assert_same(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def spoiled(array, batch, value=NAN):
    array = array.copy()
    array[4 * batch + 1, 0] = value
    return array


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_is_that_before_the_first_bad_batch(name):
    """Batch 2 of epoch 0 is bad: weights, statistics, seeds and slots are those after the two batches before it."""
    keras.utils.set_random_seed(0)
    trained = stateful_model(OPTIMIZERS[name]())
    guard = TerminateOnNonFinite()
    history = fit(trained, guard, x=spoiled(X, 2), batch_size=4, epochs=3)
    assert len(history["loss"]) == 1
    assert guard.finding[:4] == (0, 2, "input", "x")
    keras.utils.set_random_seed(0)
    short = stateful_model(OPTIMIZERS[name]())
    fit(short, x=X[:8], y=Y[:8], batch_size=4)
    assert_same(state_of(trained), state_of(short))


def test_training_that_stays_finite_is_unchanged():
    trained, alone = stateful_model(), stateful_model()
    alone.set_weights(trained.get_weights())
    guard = TerminateOnNonFinite()
    history = fit(trained, guard, batch_size=4, epochs=2)
    assert fit(alone, batch_size=4, epochs=2)["loss"] == pytest.approx(history["loss"], rel=1e-6)
    assert set(history) == {"loss"}
    assert_same(state_of(trained), state_of(alone))
    assert guard.finding is None
    assert not {"apply", "stateless_apply", "scale_loss"} & set(vars(trained.optimizer))


def explosive(threshold):
    """A layer that gives infinity where its input is beyond a threshold."""
    return keras.layers.Lambda(lambda x: x * ops.where(ops.abs(x) > threshold, float("inf"), 1.0), name="explosive")


def infinite_loss(y, p):
    """∞ at the targets of 9, where the gradient is that of the squared error."""
    return ops.square(y - p) + ops.where(y > 8.0, float("inf"), 0.0)


def infinite_gradient(y, p):
    """The absolute error, 0 at the targets of 9, with a gradient of 0·∞ there."""
    return ops.sqrt(ops.square((p - y) * ops.where(y > 8.0, 0.0, 1.0)))


CASES = {
    "input": ({}, {"x": spoiled(X, 1)}, "input", "x"),
    "target": ({"loss": "mae"}, {"y": spoiled(Y, 1, float("inf"))}, "target", "y"),
    "activation": ({}, {"x": spoiled(X, 1, 1e6)}, "activation", "explosive"),
    "loss": ({"loss": infinite_loss}, {"y": spoiled(Y, 1, 9.0)}, "loss", "loss"),
    "gradient": ({"loss": infinite_gradient}, {"y": spoiled(Y, 1, 9.0)}, "gradient", "top/"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_cause_is_named_and_the_step_can_be_reproduced(case, tmp_path, capsys):
    keras.config.enable_interactive_logging()
    settings, data, kind, where = CASES[case]

    def make():
        layers = [keras.layers.Dense(4, name="hidden"), explosive(1e3), keras.layers.Dense(2, name="top")]
        built = keras.Sequential([keras.Input((5,)), *layers])
        built.compile(keras.optimizers.SGD(0.01), settings.get("loss", "mse"), **COMPILED)
        return built

    trained, guard = make(), TerminateOnNonFinite(tmp_path / "runs" / "broken")
    fit(trained, guard, batch_size=4, epochs=2, **data)
    finding = guard.finding
    assert (finding.epoch, finding.batch, finding.kind) == (0, 1, kind)
    assert where in finding.where
    assert capsys.readouterr().out.startswith("Epoch 1, batch 2: ")
    assert finding.batch_path in finding.message
    assert all(np.isfinite(w).all() for w in trained.get_weights())
    again = make()
    again.load_weights(finding.weights_path)
    assert_same(again.get_weights(), trained.get_weights())
    batch = np.load(finding.batch_path)
    for name, array in {"x": X, "y": Y, **data}.items():
        np.testing.assert_array_equal(batch[name], array[4:8])
    loss = again.train_on_batch(**batch)
    assert not (np.isfinite(loss) and all(np.isfinite(w).all() for w in again.get_weights()))


def test_an_update_that_overflows_the_weights_is_found_at_the_next_batch():
    trained = model(keras.optimizers.SGD(1e38), **COMPILED)
    guard = TerminateOnNonFinite()
    fit(trained, guard, y=100 * Y, batch_size=4)
    assert (guard.finding.batch, guard.finding.kind) == (0, "weight")
    assert "lower the learning rate" in guard.finding.message


def modes():
    yield {"run_eagerly": True}, 3
    yield COMPILED, 3
    if BACKEND != "torch":
        yield {"steps_per_execution": 2, **COMPILED}, 2


@pytest.mark.parametrize(("mode", "every"), list(modes()), ids=str)
def test_checking_less_often_finds_the_same_batch(mode, every):
    """The steps between the first bad one and the check are skipped."""
    trained, short = (model(keras.optimizers.SGD(0.1), **mode) for _ in range(2))
    guard = TerminateOnNonFinite(every=every)
    x, y = np.concatenate([X, X]), np.concatenate([Y, Y])
    fit(trained, guard, x=spoiled(x, 1), y=y, batch_size=4, epochs=2)
    assert guard.finding[:4] == (0, 1, "input", "x")
    fit(short, x=X[:4], y=Y[:4], batch_size=4)
    assert_same(state_of(trained), state_of(short))


def test_a_bad_batch_in_a_later_epoch():
    """The data are a generator, whose batches cannot be read again."""

    def batches():
        for number in range(100):
            yield (X[:4] * NAN if number == 6 else X[:4]), Y[:4]

    guard = TerminateOnNonFinite()
    options = {"x": batches(), "y": None, "batch_size": None, "steps_per_epoch": 4, "epochs": 9}
    history = fit(model(**COMPILED), guard, **options)
    assert guard.finding[:3] == (1, 2, "input")
    assert len(history["loss"]) == 2
    # A further `fit` resets the finding.
    fit(model(**COMPILED), guard, batch_size=4)
    assert guard.finding is None


def test_an_overflow_under_loss_scaling_is_no_fault_but_a_nan_is():
    scaling = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=3e38)
    trained, guard = model(scaling, **COMPILED), TerminateOnNonFinite()
    fit(trained, guard, x=np.tile(X, (8, 1)), y=np.tile(4 * Y, (8, 1)))
    assert float(scaling.dynamic_scale.numpy()) < 2e38
    assert guard.finding is None
    fit(trained, guard, x=spoiled(X, 2), batch_size=4)
    assert guard.finding[:4] == (0, 2, "input", "x")
    assert all(np.isfinite(w).all() for w in trained.get_weights())


def test_accumulated_gradients_stay_finite():
    trained = model(keras.optimizers.SGD(0.1, gradient_accumulation_steps=2), **COMPILED)
    fit(trained, guard := TerminateOnNonFinite(), x=spoiled(X, 1), batch_size=4)
    assert guard.finding[:2] == (0, 1)
    assert all(np.isfinite(v.numpy()).all() for v in trained.optimizer.variables)


def test_skipping_a_batch_also_keeps_statistics_and_seeds():
    """With `GradientClipping(on_nonfinite="skip")` the run equals one without that batch."""
    keras.utils.set_random_seed(0)
    skipping, guard = stateful_model(), TerminateOnNonFinite()
    fit(skipping, GradientClipping(value=5.0, on_nonfinite="skip"), guard, x=spoiled(X, 1), batch_size=4)
    # A batch that another callback skips is no fault.
    assert guard.finding is None
    keras.utils.set_random_seed(0)
    without = stateful_model()
    kept = np.r_[0:4, 8:16]
    fit(without, GradientClipping(value=5.0), x=X[kept], y=Y[kept], batch_size=4)
    assert_same(state_of(skipping), state_of(without))


def test_it_works_with_early_stopping_in_either_order():
    stopping = EarlyStopping("loss", patience=9, restore_best_weights=True)
    trained, guard = model(**COMPILED), TerminateOnNonFinite()
    fit(trained, stopping, guard, batch_size=4)
    assert guard.finding is None
    fit(trained, guard, stopping, x=spoiled(X, 0), batch_size=4)
    assert guard.finding[:2] == (0, 0)
    assert type(trained.train_function).__name__ != "TrainFunction"
    assert "evaluate" not in vars(trained)
