"""`EarlyStopping` beyond Keras's class, whose own tests `test_as_in_keras` runs on it."""

import keras
import numpy as np
import pytest
from support.small_fit import COMPILED
from support.watched_model import X, Y, fit, model

from keras_lecture import optimizers
from keras_lecture._core.stateful import Stateful
from keras_lecture.callbacks import Doctor, EarlyStopping, GradientClipping, GradientMonitor, TerminateOnNonFinite

OPTIMIZERS = {
    "keras": lambda: keras.optimizers.Adam(0.05),
    "nesterov": lambda: optimizers.Nesterov(0.05),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(optimizers.Nesterov(0.05)),
    "lookahead": lambda: optimizers.Lookahead(optimizers.Momentum(0.05), period=2),
}


def decisions(stopper, numbers):
    """The best epoch after each of these losses, and the epoch at which `stopper` stopped."""
    stopper.set_model(keras.Sequential())
    stopper.on_train_begin()
    best = []
    for epoch, number in enumerate(numbers):
        stopper.on_epoch_end(epoch, {"loss": number})
        best.append(stopper.best_epoch)
    return best, stopper.stopped_epoch


def state_of(trained):
    return [np.array(v.numpy()) for v in (*trained.weights, *trained.optimizer.variables)]


class Scripted(keras.callbacks.Callback):
    """Logs given numbers, keeps the state at the end of an epoch, and may raise."""

    def __init__(self, numbers, keep=None, error=None, at=None):
        super().__init__()
        self.numbers, self.keep, self.error, self.at = numbers, keep, error, at

    def on_epoch_begin(self, epoch, logs=None):
        if self.error is not None and epoch == self.at:
            raise self.error

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = self.numbers[epoch]
        if epoch == self.keep:
            self.kept = state_of(self.model)


def restoring(**options):
    return EarlyStopping("score", mode="min", patience=9, restore_best_weights=True, **options)


def assert_same(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_continues_from_the_best_epoch(name):
    """Weights, slots, iterations and look-ahead: two further epochs equal those of a run that ended there."""
    trained, short = model(OPTIMIZERS[name](), **COMPILED), model(OPTIMIZERS[name](), **COMPILED)
    script = Scripted([3.0, 2.0, 2.5, 4.0], keep=1)
    fit(trained, script, restoring(), epochs=4, batch_size=8)
    assert_same(state_of(trained), script.kept)
    fit(trained, epochs=2, batch_size=8)
    fit(short, epochs=4, batch_size=8)
    for a, b in zip(state_of(trained), state_of(short), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("before", [[GradientClipping], [TerminateOnNonFinite, GradientMonitor]])
def test_the_best_epoch_is_restored_between_callbacks_that_act_in_the_step(before):
    """On JAX `fit` ended in an error: those before it had ended, and their readings were taken for the model's seeds.

    The soak test found it, with all callbacks of the package at once. `Doctor` behind it keeps the step of the run.
    """
    trained = model(keras.optimizers.Adam(0.01), **COMPILED)
    script = Scripted([3.0, 2.0, 2.5], keep=1)
    acting = [GradientClipping(1.0) if kind is GradientClipping else kind() for kind in before]
    fit(trained, script, *acting, restoring(), Doctor(verbose=0), epochs=3, batch_size=8)
    assert_same(state_of(trained), script.kept)


def test_the_seeds_of_dropout_are_restored_too():
    """With an explicit `seed`: without one, Keras on PyTorch draws the masks from the global generator."""
    seeded = keras.Sequential([keras.Input((5,)), keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(2)])
    seeded.compile(keras.optimizers.SGD(0.0), "mse", **COMPILED)
    losses = fit(seeded, Scripted([1.0, 2.0, 3.0]), restoring(), epochs=3)["loss"]
    again = fit(seeded, epochs=2)["loss"]
    assert len(set(losses)) == 3
    np.testing.assert_allclose(again, losses[1:], rtol=1e-6)


class Interrupting(keras.utils.PyDataset):
    """Batches that raise an error after the first `at` reads."""

    def __init__(self, at, error):
        super().__init__()
        self.at, self.error, self.count = at, error, 0

    def __len__(self):
        return 4

    def __getitem__(self, index):
        self.count += 1
        if self.count > self.at:
            raise self.error
        return X[4 * index : 4 * index + 4], Y[4 * index : 4 * index + 4]


def interrupted_step(trained):
    """An interrupt after a step and before Keras has its result: on JAX the old weights are already deleted."""
    plain, calls = type(trained), []

    @keras.saving.register_keras_serializable()
    class Interrupted(plain):
        def make_train_function(self, force=False):
            super().make_train_function(force)
            function = self.train_function

            def step(*args):
                result = function(*args)
                calls.append(1)
                if len(calls) == 10:
                    raise KeyboardInterrupt
                return result

            self.train_function = step

    trained.__class__ = Interrupted
    return {}


WAYS = {
    "another callback": lambda trained: {"error": RuntimeError("broken"), "at": 3},
    "Ctrl-C in a callback": lambda trained: {"error": KeyboardInterrupt(), "at": 3},
    "Ctrl-C in a step": interrupted_step,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["keras", "nesterov"])
def test_the_best_epoch_is_restored_before_an_exception_is_handled(way, name, tmp_path):
    trained = model(OPTIMIZERS[name](), **COMPILED)
    script = Scripted([3.0, 2.0, 2.5, 4.0], keep=1, **WAYS[way](trained))
    stopper = restoring()
    plain = {name: vars(trained).get(name) for name in ("evaluate", "fit")}
    with pytest.raises((RuntimeError, KeyboardInterrupt)):
        try:
            fit(trained, script, stopper, epochs=4, batch_size=4)
        except BaseException:
            # The traceback holds the frame of `fit` here, as it does in a notebook.
            assert_same(state_of(trained), script.kept)
            trained.save(tmp_path / "best.keras")
            assert np.isfinite(trained.evaluate(X, Y, verbose=0))
            raise
    assert stopper.stopped_epoch == 0
    assert {name: vars(trained).get(name) for name in plain} == plain
    loaded = keras.models.load_model(tmp_path / "best.keras")
    assert_same([w.numpy() for w in loaded.weights], script.kept[: len(loaded.weights)])


def test_an_exception_in_the_data():
    trained = model(OPTIMIZERS["keras"](), **COMPILED)
    script = Scripted([1.0, 2.0, 2.5, 4.0], keep=0)
    data = Interrupting(13, OSError("a broken file"))
    # TensorFlow reads ahead, and raises an error class of its own.
    with pytest.raises(Exception, match="a broken file"):
        fit(trained, script, restoring(), x=data, y=None, batch_size=None, epochs=4)
    assert_same(state_of(trained), script.kept)


def test_reaching_the_last_epoch_restores_the_best():
    trained = model(run_eagerly=True)
    script = Scripted([3.0, 2.0, 2.5], keep=1)
    fit(trained, script, stopper := restoring(), epochs=3)
    assert_same(state_of(trained), script.kept)
    assert stopper.stopped_epoch == 0


def test_a_relative_difference_is_a_fraction_of_the_best():
    numbers = [100.0, 98.0, 96.5, 95.0, 93.6]
    assert decisions(EarlyStopping("loss", min_delta="3%", patience=9), numbers)[0] == [0, 0, 2, 2, 4]
    assert decisions(EarlyStopping("loss", min_delta=3, patience=9), numbers)[0] == [0, 0, 2, 2, 2]
    rising = EarlyStopping("loss", min_delta="10%", patience=9, mode="max")
    assert decisions(rising, [-1.0, -0.95, -0.9 + 1e-9, 0.0, 0.0])[0] == [0, 0, 2, 3, 3]


def test_a_number_that_is_not_finite_is_never_best():
    nan, inf = float("nan"), float("inf")
    assert decisions(EarlyStopping("loss", patience=9), [nan, 3.0, -inf, nan, 2.0])[0] == [0, 1, 1, 1, 4]
    # Keras would take a first NaN as best, and nothing is below it.
    assert decisions(EarlyStopping("loss", patience=2), [3.0, nan, nan]) == ([0, 0, 0], 2)
    stopper = EarlyStopping("score", mode="min", patience=9, restore_best_weights=True)
    trained = model(run_eagerly=True)
    fit(trained, script := Scripted([nan, 2.0, -inf], keep=1), stopper, epochs=3)
    assert_same(state_of(trained), script.kept)


def test_smoothing_is_the_corrected_exponential_average():
    """Equals the weighted mean with weights βⁿ; values that are not finite are left out."""
    numbers, beta = [5.0, 1.0, 4.0, 3.0, 1.5], 0.6
    stopper = EarlyStopping("loss", patience=9, smoothing=beta)
    stopper.on_train_begin()
    averages = [stopper.smoothed(x) for x in (5.0, 1.0, float("nan"), 4.0, 3.0, 1.5)]
    for t, value in zip(range(1, 6), averages[:2] + averages[3:], strict=True):
        weights = beta ** np.arange(t)[::-1]
        assert value == pytest.approx(np.sum(weights * numbers[:t]) / np.sum(weights))
    # The second value is best by itself, the last by the average.
    assert decisions(EarlyStopping("loss", patience=9), numbers)[0][-1] == 1
    assert decisions(EarlyStopping("loss", patience=9, smoothing=beta), numbers)[0][-1] == 4


def test_a_monitor_that_does_not_exist_is_an_error_after_the_first_epoch():
    expected = "EarlyStopping: `monitor` must be one of 'loss', 'mae'. Received: monitor='val_loss'. .*validation_data"
    with pytest.raises(ValueError, match=expected):
        fit(model(metrics=["mae"], run_eagerly=True), EarlyStopping(), epochs=2)
    with pytest.raises(ValueError, match="monitor='acuracy'. These names are in the logs"):
        fit(model(run_eagerly=True), EarlyStopping("acuracy", mode="max"), epochs=2)
    with pytest.raises(ValueError, match="EarlyStopping: `mode` must be one of 'max', 'min'"):
        fit(model(run_eagerly=True), Scripted([1.0]), EarlyStopping("score"))


def test_an_epoch_without_validation_does_not_count():
    stopper = EarlyStopping(patience=1, min_delta=1e9)
    history = fit(model(run_eagerly=True), stopper, epochs=8, validation_split=0.5, validation_freq=2)
    assert len(history["val_loss"]) == 2
    assert stopper.stopped_epoch == 3


def test_the_mode_is_found_for_each_of_several_outputs():
    inputs = keras.Input((5,))
    outputs = {name: keras.layers.Dense(2, name=name)(inputs) for name in ("a", "b")}
    twins = keras.Model(inputs, outputs)
    twins.compile(
        "sgd", run_eagerly=True, loss={"a": "mse", "b": "mse"}, metrics={"b": [keras.metrics.R2Score(name="r")]}
    )
    upward, downward = EarlyStopping("b_r", patience=9), EarlyStopping("a_loss", patience=9)
    fit(twins, upward, downward, y={"a": Y, "b": Y})
    assert upward.monitor_op is keras.ops.greater
    assert downward.monitor_op is keras.ops.less


@pytest.mark.parametrize("name", ["keras", "nesterov"])
def test_a_new_callback_continues_from_the_state_of_the_old(name):
    """The best epoch is before the restart, and is restored after it."""
    numbers = [3.0, 1.0, 2.0, 1.5, 1.8, 1.7]
    whole, halves = (model(OPTIMIZERS[name](), **COMPILED) for _ in range(2))
    script = Scripted(numbers, keep=1)
    fit(whole, script, stopper := restoring(smoothing=0.2), epochs=6)
    first, second = (EarlyStopping("score", 0, 9, mode="min", smoothing=0.2) for _ in range(2))
    first.restore_best_weights = second.restore_best_weights = True
    fit(halves, Scripted(numbers), Unfinished(first), epochs=3)
    state = {key: np.array(value) for key, value in first.state().items()}
    second.restore(state)
    assert second.state().keys() == state.keys()
    fit(halves, Scripted(numbers), second, epochs=6, initial_epoch=3)
    assert (second.best, second.best_epoch, second.wait) == (stopper.best, stopper.best_epoch, stopper.wait)
    assert_same(state_of(halves), script.kept)
    assert isinstance(second, Stateful)


class Unfinished(keras.callbacks.Callback):
    """Passes on all events but the end of training, as if the process was killed."""

    def __init__(self, callback):
        super().__init__()
        self.callback = callback

    def set_model(self, model):
        self._model = model
        self.callback.set_model(model)

    def on_train_begin(self, logs=None):
        self.callback.on_train_begin(logs)

    def on_epoch_end(self, epoch, logs=None):
        self.callback.on_epoch_end(epoch, logs)


def test_verbose_reports_early_stopping(capsys):
    keras.config.enable_interactive_logging()
    fit(
        model(run_eagerly=True),
        Scripted([1.0, 2.0, 3.0]),
        EarlyStopping("score", verbose=1, patience=2, mode="min"),
        epochs=9,
    )
    assert capsys.readouterr().out == "Epoch 3: early stopping\n"


@pytest.mark.parametrize("min_delta", ["1", "%", "-1%", "1 %", "a%", "1%%"])
def test_malformed_percentages_are_an_error(min_delta):
    with pytest.raises(ValueError, match="EarlyStopping: `min_delta` must be a number or a percentage"):
        EarlyStopping(min_delta=min_delta)
