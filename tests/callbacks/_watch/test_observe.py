"""Observers leave nothing behind, say where they cannot observe, and are traced once."""

import contextlib
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from support.harness import BACKEND
from support.watched_model import INITIAL, X, Y, fit, model

from keras_lecture.callbacks import GradientClipping, GradientMonitor

ROOT = Path(__file__).resolve().parents[3]


def footprint(trained):
    """The attributes and metrics that a callback could leave behind."""
    own = {"train_function", "test_function", "predict_function", "history", "_jax_state", "_jax_state_synced"}
    return (
        {name for name in vars(trained) if name not in own and "iterator" not in name},
        set(vars(trained.optimizer)),
        [metric.name for metric in trained.metrics],
    )


def hooked(trained):
    return {"train_step", "make_train_function", "_training_pipeline"} & set(vars(trained))


class Break(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        assert hooked(self._model)
        raise KeyboardInterrupt


def test_fit_leaves_no_trace_of_observers(tmp_path):
    trained = model("adam", metrics=["mae"])
    plain = fit(trained, validation_split=0.5)
    before = footprint(trained)
    saving = keras.callbacks.ModelCheckpoint(tmp_path / "within.keras")
    seen = fit(trained, GradientMonitor(), GradientClipping(percentile=50), saving, validation_split=0.5)
    assert footprint(trained) == before
    assert trained.train_function is None
    assert set(seen) > set(plain) == set(fit(trained, validation_split=0.5))
    trained.save(tmp_path / "after.keras")
    assert contents(tmp_path / "within.keras") == contents(tmp_path / "after.keras")
    assert set(keras.models.load_model(tmp_path / "within.keras").evaluate(X, Y, verbose=0, return_dict=True)) == {
        "loss",
        "mae",
    }


def contents(file):
    """Names and sizes in a saved model, its configuration included."""
    import h5py

    found = {}
    with zipfile.ZipFile(file) as archive:
        configuration = archive.read("config.json")
        with archive.open("model.weights.h5") as stored, h5py.File(stored) as weights:
            weights.visititems(lambda name, item: found.update({name: getattr(item, "shape", None)}))
    return configuration, found


def test_an_exception_leaves_no_trace_of_observers():
    """Keras does not call `on_train_end` after an exception."""
    trained = model()
    fit(trained)
    before = footprint(trained)
    for _ in range(2):
        with contextlib.suppress(KeyboardInterrupt):
            fit(trained, GradientMonitor(), Break())
        assert footprint(trained) == before
        assert not hooked(trained)
    assert set(fit(trained)) == {"loss"}


def test_a_kept_exception_leaves_nothing_for_the_next_fit():
    """Debuggers and notebooks keep the frame of the failed `fit`; then the next `fit` cleans up."""
    trained = model()
    fit(trained)
    before = footprint(trained)
    with pytest.raises(KeyboardInterrupt) as kept:
        fit(trained, GradientClipping(global_norm=1e-3), Break())
    first = trained.get_weights()
    assert set(fit(trained)) == {"loss"}
    assert footprint(trained) == before
    moved = [np.abs(a - b).max() for a, b in zip(trained.get_weights(), first, strict=True)]
    assert max(moved) > 1e-3, "the next fit was still clipped"
    del kept


def test_the_step_is_traced_as_often_as_without_observers():
    counts = []
    for callbacks in ([], [GradientMonitor(per_layer=True, every=2), GradientClipping(norm=1.0)]):
        trained, calls = model(loss=(loss := Counted())), loss.calls
        fit(trained, *callbacks, epochs=1, batch_size=8)
        first = len(calls)
        trained = model(loss=(loss := Counted()))
        fit(trained, *callbacks, epochs=3, batch_size=8)
        counts.append((first, len(loss.calls)))
    assert counts[0] == counts[1]
    if BACKEND != "torch":
        assert counts[1][0] == counts[1][1]


class Counted(keras.losses.Loss):
    def __init__(self):
        super().__init__()
        self.calls = []

    def call(self, y_true, y_pred):
        self.calls.append(1)
        return keras.ops.mean(keras.ops.square(y_pred - y_true), axis=-1)


@pytest.mark.parametrize("clipped_first", [True, False])
def test_observers_run_in_the_order_of_the_callbacks(clipped_first):
    monitor, clipping = GradientMonitor(), GradientClipping(global_norm=0.01)
    history = fit(model(), *([clipping, monitor] if clipped_first else [monitor, clipping]))
    seen = 0.01 if clipped_first else history["norm_before_clipping"][0]
    assert history["gradient_norm"][0] == pytest.approx(seen, rel=1e-5)
    assert history["norm_before_clipping"][0] > 0.1


class OwnStep(keras.Sequential):
    """A train step that never calls the optimizer: nothing is learned, and nothing can be observed."""

    def train_step(self, *args):
        if len(args) == 2:
            return {"loss": keras.ops.zeros(())}, args[0]
        return {"loss": keras.ops.zeros(())}


def test_a_step_that_cannot_be_observed_warns_once_and_trains():
    own = OwnStep([keras.Input((5,)), keras.layers.Dense(2)])
    own.compile("sgd", "mse")
    own.optimizer.build(own.trainable_variables)
    before = footprint(own)
    with pytest.warns(
        UserWarning,
        match="GradientMonitor: nothing is logged: .* cannot be observed because its `train_step`",
    ) as said:
        history = fit(own, GradientMonitor(), epochs=3)
    assert sum("GradientMonitor" in str(warning.message) for warning in said) == 1
    assert history["loss"] == [0.0] * 3
    assert set(history) == {"loss"}
    assert footprint(own) == before


def test_evaluation_within_fit_neither_logs_nor_resets_the_readings():
    class Evaluate(keras.callbacks.Callback):
        logs = None

        def on_train_batch_end(self, batch, logs=None):
            if batch == 0:
                self.logs = self.model.test_on_batch(X, Y, return_dict=True)

    evaluate = Evaluate()
    fit(model(), GradientMonitor(), evaluate, batch_size=8)
    assert set(evaluate.logs) == {"loss"}


def test_the_private_names_of_keras_exist():
    """Fails readably when Keras renames one of the private names that the train step uses."""
    trained = model(keras.optimizers.SGD(gradient_accumulation_steps=2))
    trained.optimizer.build(trained.trainable_variables)
    where = f"Keras {keras.__version__} has renamed it: see carried.py, pipeline.py and step.py."
    assert isinstance(trained._seed_generators, list), where
    assert trained._get_metrics_result_or_logs({"a": 1}) == {"a": 1}, where
    assert trained._flatten_metrics_in_order({"loss": 1.0}) == 1.0, where
    assert len(trained.optimizer._accumulated_gradients) == len(INITIAL), where
    assert int(trained.optimizer._iterations.numpy()) == 0, where
    assert trained.optimizer._get_variable_index(trained.trainable_variables[1]) == 1, where
