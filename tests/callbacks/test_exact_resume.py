"""A run that is killed and restarted ends bit for bit like an uninterrupted one."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from support.harness import BACKEND, bound, numpy

from keras_lecture import callbacks, data, optimizers
from keras_lecture._training.running_fit import fit_variables
from keras_lecture._training.variables import groups_of
from keras_lecture.callbacks import ExactResume
from keras_lecture.callbacks._resume import callback_states, checkpoints

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 3)).astype("float32"), RNG.normal(size=(24, 1)).astype("float32")
# The runs are killed in the second to last epoch, before the fourth of six batches.
EPOCHS, KILL = 4, (2, 3)


class Kill(keras.callbacks.Callback):
    """At one moment of a run, copies the files that a kill would leave behind."""

    def __init__(self, folder, copy, moment=KILL):
        super().__init__()
        self.folder, self.copy, self.moment = folder, copy, moment

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.moment:
            shutil.copytree(self.folder, self.copy)


class Began(keras.callbacks.Callback):
    """Records the epoch and the batch that a run begins with."""

    first = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        self.first = self.first or (self.epoch, batch)


def perceptron(optimizer=None, extra=lambda: (), units=2):
    # Names and seeds as in a new process.
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    body = [keras.layers.Dense(units, activation="tanh"), *extra(), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((3,)), *body])
    model.compile(bound(optimizer(), model) if optimizer else keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    return model


def noisy(optimizer=None):
    return perceptron(optimizer, lambda: (keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)))


def fit(model, folder, *more, every="epoch", x=X, y=Y, **arguments):
    arguments = {"batch_size": 4} | arguments if y is not None else arguments
    resume = ExactResume(folder, every=every)
    arguments = {"epochs": EPOCHS, "verbose": 0} | arguments
    return model.fit(x, y, callbacks=[resume, *more], **arguments).history


def assert_same(model, other, history=None, other_history=None):
    """All variables but metrics agree bit for bit."""
    for group, variables in groups_of(model).items():
        if group != "metrics":
            for v, w in zip(variables, groups_of(other)[group], strict=True):
                np.testing.assert_array_equal(numpy(v), numpy(w), err_msg=v.path)
    np.testing.assert_equal(history, other_history)


def killed_and_whole(build, folder, more=lambda: (), kill=KILL, arguments=dict, **fixed):
    """The models and histories of a whole run and of one that resumes from the files at a kill."""
    whole = build()
    history = fit(
        whole, folder / "whole", *more(), Kill(folder / "whole", folder / "killed", kill), **fixed, **arguments()
    )
    resumed, began = build(), Began()
    resumed_history = fit(resumed, folder / "killed", *more(), began, **fixed, **arguments())
    # A run that starts over would end with the same weights, too.
    assert began.first > (0, 0)
    return whole, resumed, history, resumed_history


@pytest.mark.parametrize("every", ["epoch", 2])
def test_weights_statistics_dropout_and_shuffling(tmp_path, every):
    """With `every=2` the file is from the middle of an epoch."""
    assert_same(*killed_and_whole(noisy, tmp_path, every=every, validation_split=0.2))


OPTIMIZERS = {
    "Nesterov": lambda: optimizers.Nesterov(0.05),
    "Lookahead": lambda: optimizers.Lookahead(optimizers.Momentum(0.05), period=4),
    "StochasticWeightAverage": lambda: optimizers.StochasticWeightAverage(keras.optimizers.SGD(0.05), start=3),
    "Armijo": lambda: optimizers.Armijo(),
    "LBFGS": lambda: optimizers.LBFGS(memory=3, iterations=2),
    "accumulation and averages": lambda: keras.optimizers.Adam(0.05, gradient_accumulation_steps=2, use_ema=True),
    "schedule": lambda: optimizers.Adam(optimizers.schedules.Exponential(0.1, factor=0.5, period=5)),
}


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_optimizers(tmp_path, name):
    def build():
        model = perceptron(OPTIMIZERS[name])
        if hasattr(model.optimizer, "search"):
            model.optimizer.bind(model)
        return model

    assert_same(*killed_and_whole(build, tmp_path, every=1))


def test_loss_scaling_and_half_precision(tmp_path):
    """The loss scale and its counter are part of the optimizer; NumPy has no bfloat16."""
    keras.config.set_dtype_policy("mixed_float16")
    assert_same(*killed_and_whole(lambda: perceptron(keras.optimizers.Adam), tmp_path / "16", every=1))
    keras.config.set_dtype_policy("bfloat16")
    assert_same(*killed_and_whole(lambda: perceptron(keras.optimizers.SGD), tmp_path / "b16", every=1))


if BACKEND != "torch":  # Keras refuses it there.

    def test_several_steps_in_one_execution(tmp_path):
        def build():
            model = perceptron()
            model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", steps_per_execution=2)
            return model

        assert_same(*killed_and_whole(build, tmp_path, every=1, kill=(2, 4)))


def test_a_model_that_is_built_by_its_first_step(tmp_path):
    """On TensorFlow Keras builds it while tracing, but variables must exist before, to assign to."""

    def build():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Dense(2), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
        model.compile(optimizers.Nesterov(0.01).bind(model), "mse", metrics=["mae"])
        return model

    assert_same(*killed_and_whole(build, tmp_path, every=1))


class Jittery(keras.Layer):
    """Draws noise from Keras's global seed generator, which JAX does not allow in a compiled step."""

    def call(self, x):
        noise = keras.random.normal((1,)) if BACKEND != "jax" else 0.0
        return x * (1.0 + 0.1 * noise)


def test_global_random_generators(tmp_path):
    """A layer draws from Keras's seed generator, and a callback changes weights by Python's and NumPy's numbers."""

    class Shake(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.layers[-1].bias.assign([random.random() + np.random.random()])

    assert_same(*killed_and_whole(lambda: perceptron(None, lambda: [Jittery()]), tmp_path, lambda: [Shake()], every=1))


class Shuffled(keras.utils.PyDataset):
    """Data that shuffle themselves and are not `Stateful`."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.random = np.random.default_rng(3)
        self.order = self.random.permutation(24)

    def __len__(self):
        return 6

    def __getitem__(self, index):
        rows = self.order[4 * index : 4 * index + 4]
        return X[rows], Y[rows]

    def on_epoch_end(self):
        self.order = self.random.permutation(24)


DATA = {
    "arrays in batches": lambda: {"x": X, "y": Y, "shuffle": "batch"},
    "PyDataset": lambda: {"x": Shuffled(), "y": None},
    "PyDataset with workers": lambda: {"x": Shuffled(workers=2), "y": None, "shuffle": False},
    "Batches": lambda: {"x": data.Batches(X, Y, 4), "y": None},
    "Curriculum with workers": lambda: {
        "x": data.Curriculum(X, Y, 4, difficulty=Y[:, 0], epochs=3, workers=2),
        "y": None,
        "shuffle": False,
        "validation_data": data.Batches(X, Y, 4),
    },
}


@pytest.mark.parametrize("kind", sorted(DATA))
def test_the_position_in_the_data(tmp_path, kind):
    assert_same(*killed_and_whole(perceptron, tmp_path, every=2, arguments=DATA[kind]))


def test_the_other_callbacks(tmp_path):
    """Callbacks with a state that spans epochs; the log file of the resumed run repeats no line."""
    made = []

    def more():
        keras_own = keras.callbacks
        folder = tmp_path / ("whole" if not made else "killed")
        made.append(
            [
                keras_own.EarlyStopping("loss", patience=9, restore_best_weights=True),
                keras_own.ReduceLROnPlateau("val_loss", patience=1, factor=0.5, cooldown=1, min_delta=0.3),
                keras_own.ModelCheckpoint(folder / "best.keras", save_best_only=True),
                keras_own.CSVLogger(folder / "log.csv"),
                callbacks.EarlyStopping("val_loss", patience=9, smoothing=0.5, restore_best_weights=True),
                callbacks.GradientClipping(percentile=50.0),
                callbacks.GradientMonitor(histogram=True),
            ]
        )
        folder.mkdir(exist_ok=True)
        return made[-1]

    # The third epoch has no complete file: it is repeated, and so is its line.
    assert_same(*killed_and_whole(noisy, tmp_path, more, every=5, validation_split=0.2, kill=(2, 2)))
    states = [callback_states.named(callbacks) for callbacks in made]
    for name in states[0]:
        first, second = (callback_states.state(named[name]) for named in states)
        assert first
        np.testing.assert_equal(first, second, err_msg=name)
    logs = [(tmp_path / name / "log.csv").read_text() for name in ("whole", "killed")]
    assert logs[0] == logs[1] and len(logs[0].splitlines()) == EPOCHS + 1


def test_the_steps_that_a_monitor_observes(tmp_path):
    """Steps 0 and 3 of six; the run resumes at step 2."""
    assert_same(*killed_and_whole(perceptron, tmp_path, lambda: [callbacks.GradientMonitor(every=3)], every=2))


def test_swapped_averages(tmp_path):
    """Keras's `SwapEMAWeights` puts the averages into the model between epochs."""
    assert_same(
        *killed_and_whole(
            lambda: perceptron(lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)),
            tmp_path,
            lambda: [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)],
        )
    )


def test_a_finished_run_does_not_continue(tmp_path):
    """At its last epoch or by a callback: restarted, it returns the same weights, history and best weights at once."""

    def stopping():
        return keras.callbacks.EarlyStopping("loss", mode="max", patience=1, restore_best_weights=True)

    for more, epochs in ((lambda: (), 2), (lambda: (stopping(),), 9)):
        folder = tmp_path / str(epochs)
        whole = perceptron()
        history = fit(whole, folder, *more(), epochs=epochs)
        files, again = sorted(folder.iterdir()), perceptron()
        assert_same(whole, again, history, fit(again, folder, *more(), epochs=epochs))
        assert len(history["loss"]) == 2 and sorted(folder.iterdir()) == files


def test_more_epochs_continue_a_finished_run(tmp_path):
    whole = noisy()
    history = fit(whole, tmp_path / "whole", epochs=3)
    fit(noisy(), tmp_path / "longer", epochs=2)
    longer = noisy()
    assert_same(whole, longer, history, fit(longer, tmp_path / "longer", epochs=3))
    # A further `fit` starts at its own `initial_epoch`.
    assert longer._initial_epoch is None
    assert len(longer.fit(X, Y, verbose=0, epochs=2).history["loss"]) == 2


def test_saving_does_not_change_the_run(tmp_path):
    plain = noisy()
    history = plain.fit(X, Y, batch_size=4, epochs=EPOCHS, verbose=0).history
    saved = noisy()
    assert_same(plain, saved, history, fit(saved, tmp_path, every=1))


def test_a_run_killed_twenty_times(tmp_path):
    """By SIGKILL while training and while writing; each process begins at the batch of the latest file."""
    script = Path(__file__).with_name("killed_runs.py")
    # The package of this checkout, which need not be the installed one.
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    output = subprocess.run(
        [sys.executable, script, tmp_path, "20"], capture_output=True, text=True, timeout=300, env=environment
    )
    assert output.returncode == 0, output.stderr[-3000:]
    report = json.loads(output.stdout.splitlines()[-1])
    *killed, last = report["ended"]
    assert [life["status"] for life in killed] == [-9] * 20 and last["status"] == 0, output.stderr
    assert sum(life["moment"] == "writing" for life in killed) >= 5
    assert all(life["began"] == life["expected"] for life in report["ended"])
    assert all(life["intact"][0] for life in killed)
    whole, resumed = (np.load(tmp_path / f"{name}.npz") for name in ("whole", "ended"))
    assert len(whole.files) == len(resumed.files) > 10
    for name in whole.files:
        np.testing.assert_array_equal(whole[name], resumed[name], err_msg=name)


def test_a_file_of_another_model_is_an_error_that_names_the_first_difference(tmp_path):
    fit(perceptron(), tmp_path, epochs=1)
    message = (
        r"trainable variable 0 is .*kernel \(3, 2\) of float32 in the file and .*kernel \(3, 5\) of float32 in the"
    )
    with pytest.raises(ValueError, match=message):
        fit(perceptron(units=5), tmp_path)
    with pytest.raises(ValueError, match=r"optimizer variable \d is sgd/.* in the file and adam/.* in the model"):
        fit(perceptron(keras.optimizers.Adam), tmp_path)


def test_another_number_of_batches_is_an_error_in_the_middle_of_an_epoch(tmp_path):
    killed_and_whole(perceptron, tmp_path, every=2, kill=(0, 3), epochs=1)
    shutil.rmtree(tmp_path / "killed")
    with pytest.raises(RuntimeError):
        fit(perceptron(), tmp_path / "killed", Fail(), every=2)
    with pytest.raises(ValueError, match="after 2 of 6 batches.*epochs of 3 batches"):
        fit(perceptron(), tmp_path / "killed", batch_size=8)


class Fail(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if batch == 3:
            raise RuntimeError


def test_data_that_cannot_be_restored_warn(tmp_path):
    def generator():
        while True:
            yield X[:4], Y[:4]

    with pytest.warns(UserWarning, match="a generator cannot skip batches"):
        fit(perceptron(), tmp_path / "a", x=generator(), y=None, steps_per_epoch=2, epochs=1, shuffle=False)
    with pytest.warns(UserWarning, match="an epoch begins in the middle of the data"):
        fit(perceptron(), tmp_path / "b", steps_per_epoch=2, epochs=1)


if BACKEND == "tensorflow":

    def test_shuffling_without_a_seed_warns(tmp_path):
        import tensorflow

        model = perceptron()
        tensorflow.random.set_seed(None)
        with pytest.warns(UserWarning, match="shuffles arrays without a seed: call `keras.utils.set_random_seed`"):
            fit(model, tmp_path, epochs=1)


def test_a_callback_without_a_saved_state_warns(tmp_path):
    fit(perceptron(), tmp_path, epochs=1)
    with pytest.warns(UserWarning, match="only in the file or only in this `fit`: the callbacks GradientClipping 1"):
        fit(perceptron(), tmp_path, callbacks.GradientClipping(value=1.0))


@pytest.mark.parametrize("entry", ["random", "callbacks"])
def test_an_intact_file_with_a_state_that_cannot_be_restored_is_an_error_that_names_the_folder(tmp_path, entry):
    """A tampered random or callback state ended `fit` in the raw KeyError or TypeError of who restores it."""
    stopping = keras.callbacks.EarlyStopping("loss")
    fit(perceptron(), tmp_path, stopping, epochs=1)
    files = checkpoints.Checkpoints(tmp_path)
    tree = files.latest()
    tree[entry] = {name: {} for name in tree[entry]}
    files.write(tree)
    with pytest.raises(ValueError, match=rf"latest file in {re.escape(str(tmp_path))} has a state that cannot be"):
        fit(perceptron(), tmp_path, stopping, epochs=2)


def test_outside_of_fit_it_does_nothing(tmp_path):
    model = perceptron()
    model.evaluate(X, Y, verbose=0, callbacks=[ExactResume(str(tmp_path / "none"))])
    assert not (tmp_path / "none").exists()


def test_the_private_names_of_keras_that_resuming_uses_exist():
    """If this fails, Keras has changed its `fit`: adapt `data_position.py`, `running_fit.py` and `exact_resume.py`."""
    assert "_initial_epoch" in keras.Model.fit.__wrapped__.__code__.co_names
    found = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            found.append(fit_variables()["epoch_iterator"])

    perceptron().fit(X, Y, verbose=0, callbacks=[Look()])
    steps = type(found[0])._enumerate_iterator(found[0])
    assert [step[:2] for step in steps] == [(0, 0)] and found[0].num_batches == 1
