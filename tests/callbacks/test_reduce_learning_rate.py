"""`ReduceLearningRate` on schedules and between epochs; `test_as_in_keras` runs Keras's own tests on it."""

import keras
import numpy as np
import pytest
from support.harness import BACKEND
from support.small_fit import COMPILED
from support.watched_model import INITIAL, X, Y, fit, model

from keras_lecture import optimizers
from keras_lecture._core.stateful import Stateful
from keras_lecture.callbacks import EarlyStopping, GradientClipping, ReduceLearningRate


class Scripted(keras.callbacks.Callback):
    """Logs given numbers."""

    def __init__(self, numbers):
        super().__init__()
        self.numbers = numbers

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = self.numbers[epoch]


def reducing(patience=1, **options):
    return ReduceLearningRate("score", 0.5, patience, mode="min", **options)


def halving():
    """A rate that halves every second step; after an epoch of two steps it is that of the next epoch."""
    return keras.optimizers.schedules.ExponentialDecay(0.4, 2, 0.5, staircase=True)


OPTIMIZERS = {
    "keras": lambda rate: keras.optimizers.Adam(rate),
    "ours": lambda rate: optimizers.Adam(rate),
    "nesterov": lambda rate: optimizers.Nesterov(rate),
    "lookahead": lambda rate: optimizers.Lookahead(optimizers.Momentum(rate), period=2),
    "scaled": lambda rate: keras.optimizers.LossScaleOptimizer(
        optimizers.StochasticWeightAverage(keras.optimizers.SGD(rate), start=9)
    ),
    "accumulating": lambda rate: keras.optimizers.SGD(rate, gradient_accumulation_steps=2),
}


class Constant(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, step):
        return self.rate


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_constant_schedule_is_reduced_like_a_fixed_rate(name):
    """The weights agree: the factor acts inside the compiled step as the rate does."""
    results = []
    for rate in (0.05, Constant(0.05)):
        trained = model(OPTIMIZERS[name](rate), **COMPILED)
        history = fit(trained, Scripted([1.0, 2.0, 3.0, 0.0]), reducing(), epochs=4, batch_size=4)
        np.testing.assert_allclose(history["learning_rate"], [0.05, 0.05, 0.025, 0.0125], rtol=1e-6)
        results.append(trained.get_weights())
    assert max(np.abs(a - b).max() for a, b in zip(results[0], model().get_weights(), strict=True)) > 1e-3
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


class Counted(Constant):
    """Counts its calls."""

    calls = 0

    def __call__(self, step):
        self.calls += 1
        return super().__call__(step)


class CallsPerEpoch(Scripted):
    """Counts the calls of the schedule by the steps of each epoch."""

    def __init__(self, numbers, schedule):
        super().__init__(numbers)
        self.schedule, self.counts = schedule, []

    def on_epoch_begin(self, epoch, logs=None):
        self.before = self.schedule.calls

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.counts.append(self.schedule.calls - self.before)


def test_reductions_do_not_recompile_the_step():
    schedule = Counted(0.1)
    counting, trained = CallsPerEpoch([1.0, 2.0, 3.0, 4.0], schedule), model(keras.optimizers.SGD(schedule))
    history = fit(trained, counting, reducing(), epochs=4, batch_size=8)
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.1, 0.05, 0.025], rtol=1e-6)
    # Eager PyTorch calls the schedule in each of the two steps.
    assert counting.counts[0] > 0
    assert counting.counts[1:] == ([2] * 3 if BACKEND == "torch" else [0] * 3)


def test_a_reduced_schedule_continues_and_is_saved(tmp_path):
    trained = model(keras.optimizers.SGD(halving()), **COMPILED)
    saving = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    history = fit(trained, Scripted([1.0, 2.0, 0.0, 1.0]), reducing(), saving, epochs=4, batch_size=8)
    np.testing.assert_allclose(history["learning_rate"], [0.2, 0.1, 0.025, 0.0125], rtol=1e-6)
    # It stays reduced in the model and in files saved during and after `fit`.
    assert float(trained.optimizer.learning_rate) == pytest.approx(0.4 / 16 / 4)
    trained.save(tmp_path / "after.keras")
    for file, rate in (("1", 0.2), ("3", 0.025), ("4", 0.4 / 16 / 4), ("after", 0.4 / 16 / 4)):
        loaded = keras.models.load_model(tmp_path / f"{file}.keras")
        assert float(loaded.optimizer.learning_rate) == pytest.approx(rate), file
        assert len(loaded.optimizer.variables) == len(trained.optimizer.variables)
    # A further `fit` continues from there, in the model and in the loaded one.
    for each in (trained, loaded):
        history = fit(each, Scripted([1.0, 2.0, 3.0]), reducing(), epochs=3, batch_size=8)
        rates = np.multiply(0.4 / 16 / 4, [1 / 2, 1 / 4, 1 / 16])
        np.testing.assert_allclose(history["learning_rate"], rates, rtol=1e-6)


def test_a_schedule_that_was_not_reduced_is_put_back():
    schedule = halving()
    trained = model(keras.optimizers.SGD(schedule), run_eagerly=True)
    fit(trained, Scripted([2.0, 1.0]), reducing(), epochs=2)
    assert trained.optimizer._learning_rate is schedule
    assert [metric.name for metric in trained.metrics] == ["loss"]
    assert not {"apply", "stateless_apply"} & set(vars(trained.optimizer))


def test_a_callable_rate_is_reduced_like_a_schedule():
    trained = model(keras.optimizers.SGD(lambda: 0.1), run_eagerly=True)
    history = fit(trained, Scripted([1.0, 2.0, 3.0]), reducing(), epochs=3)
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.1, 0.05], rtol=1e-6)


@pytest.mark.parametrize("rate", [0.1, Constant(0.1)], ids=["fixed", "schedule"])
def test_bounds_and_pauses(rate):
    """`min_lr` ends the reductions, `cooldown` delays them, and NaN is no improvement."""
    nan = float("nan")
    callback = reducing(min_lr=0.03, cooldown=2)
    numbers = [1.0, nan, 2.0, nan, 2.0, 2.0, 2.0]
    history = fit(model(keras.optimizers.SGD(rate), run_eagerly=True), Scripted(numbers), callback, epochs=7)
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.1, 0.05, 0.05, 0.03, 0.03, 0.03], rtol=1e-6)


def test_each_of_several_optimizers_is_reduced():
    first, second = keras.optimizers.SGD(0.1, name="a"), keras.optimizers.SGD(Constant(0.2), name="b")
    several = keras.optimizers.MultiOptimizer(lambda variable: first if "hidden" in variable.path else second)
    trained = model(several, **COMPILED)
    history = fit(trained, Scripted([1.0, 2.0, 0.5]), reducing(), epochs=3)
    np.testing.assert_allclose(history["learning_rate_a"], [0.1, 0.1, 0.05], rtol=1e-6)
    np.testing.assert_allclose(history["learning_rate_b"], [0.2, 0.2, 0.1], rtol=1e-6)
    moved = [np.abs(a - b).max() for a, b in zip(trained.get_weights(), INITIAL, strict=True)]
    assert min(moved) > 1e-4


class Watched(ReduceLearningRate):
    """Records the step and the logs of each check."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.checks = []

    def _judge(self, epoch, logs):
        self.checks.append((int(self.model.optimizer.iterations), dict(logs)))
        super()._judge(epoch, logs)


@pytest.mark.parametrize("rate", [0.1, Constant(0.1)], ids=["fixed", "schedule"])
def test_validation_every_third_step(rate):
    """In epochs of four steps: the logs equal `evaluate` at that step, and nothing else changes."""
    validation = X[:6] + 1.0, Y[:6]
    options = {"batch_size": 4, "validation_data": validation, "validation_batch_size": 4}
    keras.utils.set_random_seed(0)
    trained = _with_dropout(rate)
    watched = Watched("val_loss", 0.5, 1, min_delta=1e9, every=3)
    history = fit(trained, watched, epochs=3, **options)
    assert [step for step, _ in watched.checks] == [3, 6, 9, 12]
    assert history["learning_rate"][0] == pytest.approx(0.1)
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.05, 0.0125], rtol=1e-6)
    # The same run, ended at the third step.
    keras.utils.set_random_seed(0)
    short = _with_dropout(0.1)
    plain = fit(short, epochs=1, x=X[:12], y=Y[:12], **options)
    assert watched.checks[0][1]["val_loss"] == pytest.approx(plain["val_loss"][0], rel=1e-5)
    assert watched.checks[0][1].keys() == {"val_loss", "val_mae"}
    # The validation changes neither the running means of the epoch nor the dropout of its fourth step.
    keras.utils.set_random_seed(0)
    whole = fit(_with_dropout(0.1), epochs=1, **options)
    for name, values in whole.items():
        assert history[name][0] == pytest.approx(values[0], rel=1e-5), name


def _with_dropout(rate):
    trained = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dropout(0.5, seed=3), keras.layers.Dense(2, kernel_initializer="ones")]
    )
    trained.compile(keras.optimizers.SGD(rate), "mse", metrics=["mae"], **COMPILED)
    return trained


def test_every_works_without_validation_on_training_metrics():
    watched = Watched("loss", 0.5, 1, min_delta=1e9, every=2)
    fit(model(run_eagerly=True), watched, epochs=1, batch_size=4)
    assert [step for step, _ in watched.checks] == [2, 4]
    with pytest.raises(ValueError, match="`every` must be None without validation data.*every=2. Pass `val"):
        fit(model(run_eagerly=True), ReduceLearningRate(every=2))


def test_a_new_callback_continues_from_the_state_of_the_old():
    """Factor, best value and cooldown; a new process has the original schedule."""
    numbers = [1.0, 2.0, 3.0, 3.0, 4.0, 5.0]
    expected = fit(
        model(keras.optimizers.SGD(halving()), run_eagerly=True), Scripted(numbers), reducing(cooldown=2), epochs=6
    )
    trained, first = model(keras.optimizers.SGD(halving()), run_eagerly=True), reducing(cooldown=2)
    begun = fit(trained, Scripted(numbers), first, epochs=3)
    again = model(keras.optimizers.SGD(halving()), run_eagerly=True, weights=trained.get_weights())
    again.optimizer.build(again.trainable_variables)
    again.optimizer.iterations.assign(3)
    second = reducing(cooldown=2)
    second.restore({key: np.array(value) for key, value in first.state().items()})
    assert second.state().keys() == first.state().keys()
    ended = fit(again, Scripted(numbers), second, epochs=6, initial_epoch=3)
    for name, values in expected.items():
        np.testing.assert_allclose(begun[name] + ended[name], values, rtol=1e-5, err_msg=name)
    assert isinstance(second, Stateful)


def test_it_works_with_early_stopping_and_clipping():
    """After `fit` nothing of the three is left on the model."""
    trained = model(keras.optimizers.SGD(Constant(0.1)), **COMPILED)
    stopping = EarlyStopping("score", mode="min", patience=3, restore_best_weights=True)
    callbacks = Scripted([1.0, 2.0, 3.0, 4.0, 5.0]), stopping, GradientClipping(value=1.0), reducing()
    history = fit(trained, *callbacks, epochs=5, batch_size=8)
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.1, 0.05, 0.025], rtol=1e-6)
    assert set(fit(trained)) == {"loss"}
    assert not {"apply", "stateless_apply"} & set(vars(trained.optimizer))


def test_a_monitor_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="ReduceLearningRate: `monitor` must be one of 'learning_rate', 'loss'"):
        fit(model(run_eagerly=True), ReduceLearningRate(), epochs=2)
