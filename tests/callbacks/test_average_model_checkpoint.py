"""`AverageModelCheckpoint`: the files hold the averages of the weights that a recorder saw; training is undisturbed.

Oracle: NumPy means of the weights after each step (`oracles/callbacks.py`), in float32 to 1e-6.
"""

import os

import keras
import numpy as np
import pytest
from oracles import callbacks as oracle
from support.harness import BACKEND, numpy
from support.small_fit import COMPILED, Kill
from support.watched_model import X, Y, fit, model

from keras_lecture import optimizers
from keras_lecture._core import whole_files
from keras_lecture.callbacks import AverageModelCheckpoint, ExactResume

AVERAGES = {
    "mean": (
        lambda: optimizers.StochasticWeightAverage(optimizers.Momentum(0.05), start=2),
        lambda first, path: oracle.mean(path, start=2),
    ),
    "slow weights": (
        lambda: optimizers.Lookahead(optimizers.SGD(0.05), period=3, slow_step=0.5),
        # The path has the weights after the move to the slow weights: those of the last multiple of the period.
        lambda first, path: path[len(path) // 3 * 3 - 1] if len(path) >= 3 else first,
    ),
    "exponential": (
        lambda: optimizers.SGD(0.05, use_ema=True, ema_momentum=0.75),
        lambda first, path: oracle.exponential(path, 0.75),
    ),
    "under loss scaling": (
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.75)),
        lambda first, path: oracle.exponential(path, 0.75),
    ),
    "of the outer of two": (
        lambda: optimizers.StochasticWeightAverage(keras.optimizers.SGD(0.05, use_ema=True), start=2),
        lambda first, path: oracle.mean(path, start=2),
    ),
}


class Path(keras.callbacks.Callback):
    """Records the weights after each step."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append([np.array(w) for w in self.model.get_weights()])


class Scripted(keras.callbacks.Callback):
    """Logs given numbers."""

    def __init__(self, *numbers):
        super().__init__()
        self.numbers = list(numbers)

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = self.numbers.pop(0)


def mean_optimizer(start=1):
    return optimizers.StochasticWeightAverage(optimizers.SGD(0.05), start=start)


def variables(trained):
    return [numpy(v) for v in (*trained.weights, *trained.optimizer.variables)]


def assert_weights(file, expected):
    loaded = keras.models.load_model(file)
    for actual, want in zip(loaded.get_weights(), expected, strict=True):
        np.testing.assert_allclose(actual, want, rtol=1e-5, atol=1e-6)
    return loaded


@pytest.mark.parametrize("name", AVERAGES)
def test_each_file_holds_the_average_so_far_and_training_is_bit_for_bit_the_same(name, tmp_path):
    make, average = AVERAGES[name]
    alone, trained, path = model(make(), **COMPILED), model(make(), **COMPILED), Path()
    first = [np.array(w) for w in trained.get_weights()]
    saving = AverageModelCheckpoint(tmp_path / "{epoch}.keras")
    history = fit(trained, path, saving, epochs=3, batch_size=4)
    assert history == fit(alone, epochs=3, batch_size=4)
    for ours, plain in zip(variables(trained), variables(alone), strict=True):
        np.testing.assert_array_equal(ours, plain)
    for epoch in (1, 2, 3):
        assert_weights(tmp_path / f"{epoch}.keras", average(first, path.weights[: 4 * epoch]))
    assert sorted(os.listdir(tmp_path)) == ["1.keras", "2.keras", "3.keras"]


def test_before_the_first_average_the_file_holds_the_weights(tmp_path):
    trained, path = model(mean_optimizer(start=3), **COMPILED), Path()
    fit(trained, path, AverageModelCheckpoint(tmp_path / "{epoch}.keras"), epochs=3)
    assert_weights(tmp_path / "2.keras", path.weights[1])
    loaded = assert_weights(tmp_path / "3.keras", path.weights[2])
    assert loaded.optimizer.get_config() == trained.optimizer.get_config()


def test_the_best_epoch_only_and_no_worse_one_in_a_second_fit(tmp_path):
    trained, path = model(mean_optimizer(), **COMPILED), Path()
    saving = AverageModelCheckpoint(
        tmp_path / "best.keras", "score", mode="min", save_best_only=True, initial_value_threshold=4.0
    )
    fit(trained, Scripted(5.0, float("nan")), path, saving, epochs=2)
    assert not (tmp_path / "best.keras").exists()
    fit(trained, Scripted(3.0, 2.0, 2.5), path, saving, epochs=3)
    assert saving.best == 2.0
    expected = oracle.mean(path.weights[:4], start=1)
    assert_weights(tmp_path / "best.keras", expected)
    fit(trained, Scripted(2.2), path, saving)
    assert_weights(tmp_path / "best.keras", expected)


def test_every_third_batch_across_epochs(tmp_path):
    trained, path = model(mean_optimizer(), **COMPILED), Path()
    fit(trained, path, AverageModelCheckpoint(tmp_path / "{epoch}-{batch}.keras", save_freq=3), epochs=2, batch_size=4)
    assert sorted(os.listdir(tmp_path)) == ["1-3.keras", "2-2.keras"]
    assert_weights(tmp_path / "2-2.keras", oracle.mean(path.weights[:6], start=1))


def test_weights_only_with_a_log_in_the_name(tmp_path):
    trained, path = model(mean_optimizer(), **COMPILED), Path()
    saving = AverageModelCheckpoint(tmp_path / "new" / "{loss:.1f}.weights.h5", save_weights_only=True)
    history = fit(trained, path, saving)
    trained.load_weights(tmp_path / "new" / f"{history['loss'][0]:.1f}.weights.h5")
    for actual, want in zip(trained.get_weights(), path.weights[0], strict=True):
        np.testing.assert_array_equal(actual, want)


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_half_precision(policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    trained, alone = (model(mean_optimizer(), **COMPILED) for _ in range(2))
    fit(trained, AverageModelCheckpoint(tmp_path / "average.keras"), epochs=2)
    fit(alone, epochs=2)
    for ours, plain in zip(variables(trained), variables(alone), strict=True):
        np.testing.assert_array_equal(ours, plain)
    # With averages from step 1 on, `fit` ends with the average that the last file has.
    for w, v in zip(keras.models.load_model(tmp_path / "average.keras").weights, trained.weights, strict=True):
        np.testing.assert_array_equal(numpy(w), numpy(v))


if BACKEND != "torch":  # Keras refuses it there.

    def test_several_steps_in_one_execution(tmp_path):
        trained, alone = (model(mean_optimizer(), steps_per_execution=3, **COMPILED) for _ in range(2))
        saving = AverageModelCheckpoint(tmp_path / "{epoch}-{batch}.keras", save_freq=4)
        fit(trained, saving, epochs=2, batch_size=4)
        fit(alone, epochs=2, batch_size=4)
        # Executions end at batches 3 and 4 of each epoch.
        assert sorted(os.listdir(tmp_path)) == ["1-4.keras", "2-4.keras"]
        for ours, plain in zip(variables(trained), variables(alone), strict=True):
            np.testing.assert_array_equal(ours, plain)


@pytest.mark.parametrize("moment", ["while saving", "before the new name"])
def test_a_failure_while_saving_leaves_the_old_file_and_the_model_of_any_failed_fit(moment, tmp_path, monkeypatch):
    """As a `fit` whose other callback fails, after which Keras 3.15 on JAX, and only there, assigns the average."""

    class Fail(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise OSError("broken")

    trained, alone, path = model(mean_optimizer(), **COMPILED), model(mean_optimizer(), **COMPILED), Path()
    fit(alone, epochs=2)
    with pytest.raises(OSError, match="broken"):
        fit(alone, Fail())
    saving = AverageModelCheckpoint(tmp_path / "average.keras")
    fit(trained, path, saving, epochs=2)

    def fail(*args, **kwargs):
        raise OSError("the disk is full")

    monkeypatch.setattr(*((keras.Model, "save") if moment == "while saving" else (whole_files, "publish")), fail)
    with pytest.raises(OSError, match="the disk is full"):
        fit(trained, path, saving)
    for ours, plain in zip(variables(trained), variables(alone), strict=True):
        np.testing.assert_array_equal(ours, plain)
    assert os.listdir(tmp_path) == ["average.keras"]
    assert_weights(tmp_path / "average.keras", oracle.mean(path.weights[:2], start=1))


def test_a_resumed_run_goes_on_with_the_best_value_and_the_count_of_batches(tmp_path):
    """Killed after the third batch of the second epoch, one batch after a file."""

    def run(*more):
        saving = AverageModelCheckpoint(tmp_path / "files" / "{epoch}-{batch}.keras", save_freq=3)
        resume = ExactResume(tmp_path / "run", every=1)
        fit(model(mean_optimizer(), **COMPILED), *more, resume, saving, epochs=3, batch_size=4)

    with pytest.raises(KeyboardInterrupt):
        run(Kill(1, 3))
    run()
    assert sorted(os.listdir(tmp_path / "files")) == ["1-3.keras", "2-2.keras", "3-1.keras", "3-4.keras"]


def test_a_resumed_run_does_not_write_over_a_better_model(tmp_path):
    """`restore` before `fit`, as `ExactResume` calls it, in another callback object."""
    before, after = (
        AverageModelCheckpoint(tmp_path / "best.keras", "score", mode="min", save_best_only=True) for _ in "12"
    )
    fit(model(mean_optimizer(), **COMPILED), Scripted(2.0), before)
    (tmp_path / "best.keras").unlink()
    after.restore(before.state())
    fit(model(mean_optimizer(), **COMPILED), Scripted(2.5), after)
    assert after.best == 2.0 and not (tmp_path / "best.keras").exists()


def test_an_optimizer_without_an_average_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has no average.*use_ema=True"):
        fit(model(), AverageModelCheckpoint(tmp_path / "average.keras"))


def test_swapped_weights_at_the_ends_of_epochs_are_refused_and_in_validation_welcome(tmp_path):
    def trained(*more):
        return fit(
            model(keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.75), **COMPILED),
            *more,
            AverageModelCheckpoint(tmp_path / "{epoch}.keras"),
            epochs=2,
            validation_data=(X, Y),
        )

    with pytest.raises(ValueError, match="swap_on_epoch=True"):
        trained(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    losses = trained(keras.callbacks.SwapEMAWeights())["val_loss"]
    # Validation saw the weights that the file has.
    for epoch, loss in enumerate(losses, 1):
        np.testing.assert_allclose(
            keras.models.load_model(tmp_path / f"{epoch}.keras").evaluate(X, Y, verbose=0), loss, rtol=1e-5
        )


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"filepath": "average.h5"}, "filepath"),
        ({"filepath": "average.keras", "save_weights_only": True}, "filepath"),
        ({"filepath": 3}, "filepath"),
        ({"filepath": "{0}.keras"}, "filepath"),
        ({"filepath": "{epoch:d.keras"}, "filepath"),
        ({"filepath": "{epoch!z}.keras"}, "filepath"),
        ({"filepath": "a.keras", "save_freq": 0}, "save_freq"),
        ({"filepath": "a.keras", "save_freq": 5, "save_best_only": True}, "save_freq"),
        ({"filepath": "a.keras", "mode": "best"}, "mode"),
        ({"filepath": "a.keras", "initial_value_threshold": "1"}, "initial_value_threshold"),
    ],
)
def test_rejects(arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"AverageModelCheckpoint: `{argument}`"):
        AverageModelCheckpoint(**arguments)


def test_a_name_that_is_not_in_the_logs_is_an_error_that_lists_them(tmp_path):
    with pytest.raises(ValueError, match="than epoch, loss.*'val_loss'"):
        fit(model(mean_optimizer(), **COMPILED), AverageModelCheckpoint(tmp_path / "{val_loss}.keras"))


def test_a_format_that_does_not_fit_is_an_error_about_the_path(tmp_path):
    """It was Python's bare "Unknown format code 'd' for object of type 'float'", at the end of the first epoch."""
    with pytest.raises(ValueError, match="AverageModelCheckpoint: `filepath` must .*loss:d.*Unknown format code 'd'"):
        fit(model(mean_optimizer(), **COMPILED), AverageModelCheckpoint(tmp_path / "{loss:d}.keras"))


def test_a_loop_of_the_users_own_that_only_tells_of_batches(tmp_path):
    """There the number of the epoch and the parameters of `fit` do not exist, and saving ended with an error."""
    trained = model(mean_optimizer(), **COMPILED)
    saving = AverageModelCheckpoint(tmp_path / "{epoch}-{batch}.keras", save_freq=2)
    saving.set_model(trained)
    saving.on_train_begin()
    for batch in range(2):
        trained.train_on_batch(X, Y)
        saving.on_train_batch_end(batch)
    assert os.listdir(tmp_path) == ["1-2.keras"]
