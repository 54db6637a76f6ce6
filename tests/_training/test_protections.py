"""Clipping, skipping and terminating never fail silently, in any kind of `fit`."""

import warnings

import keras
import numpy as np
import pytest
from support import own_steps
from support.harness import BACKEND, bound
from support.small_fit import COMPILED, Break, X, Y, built, fit

from keras_lecture import callbacks, optimizers

if BACKEND == "tensorflow":
    import tensorflow as tf

BROKEN = np.where(np.arange(32)[:, None] == 20, np.nan, Y).astype("float32")
KINDS = {kind.__name__: kind for kind in (own_steps.MetricsLoop, own_steps.OwnTracker, own_steps.OwnMetrics)}


def own(kind, optimizer=None):
    keras.utils.set_random_seed(0)
    model = kind()
    model(X[:1])
    model.compile(optimizer or keras.optimizers.SGD(0.1), "mse", **COMPILED)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_a_non_finite_step_raises_in_custom_train_steps_and_metrics(kind):
    """T5, T6: with `on_nonfinite="raise"` there was no error, and the weights became NaN."""
    model = own(KINDS[kind])
    with pytest.raises(FloatingPointError, match=r"base/kernel.* was not finite in batch 1"):
        model.fit(X, BROKEN, batch_size=16, shuffle=False, verbose=0, callbacks=[clipping(on_nonfinite="raise")])
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def clipping(**options):
    return callbacks.GradientClipping(global_norm=1e-3, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_training_terminates_in_custom_train_steps_and_metrics(kind, capsys):
    """T6: on JAX TerminateOnNonFinite never stopped training."""
    model, guard = own(KINDS[kind]), callbacks.TerminateOnNonFinite()
    history = model.fit(X, BROKEN, batch_size=16, epochs=3, shuffle=False, verbose=0, callbacks=[guard]).history
    assert len(history["loss"]) == 1
    assert (guard.finding.epoch, guard.finding.batch) == (0, 1)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@pytest.mark.parametrize("kind", KINDS)
def test_clipping_continues_after_the_first_epoch(kind):
    """T5: it clipped in the first epoch, then warned that gradients "cannot be seen" and turned itself off."""
    model = own(KINDS[kind])
    start = model.get_weights()
    history = fit(model, [clipping()], epochs=4)
    moved = np.sqrt(sum(np.square(a - b).sum() for a, b in zip(model.get_weights(), start, strict=True)))
    assert moved <= 8 * 0.1 * 1e-3 * 1.001
    assert history["clipped_share"] == [1.0] * 4


def test_clipping_an_unused_optimizer_is_an_error_in_the_first_step():
    model = own(own_steps.TwoOptimizers)
    model.own_optimizer = keras.optimizers.SGD(0.1)
    model.own_optimizer.build(model.trainable_variables)
    start = model.get_weights()
    with pytest.raises(ValueError, match="no gradient is clipped: .* does not call `model.optimizer`"):
        fit(model, [clipping()])
    if BACKEND != "torch":  # The eager step has already moved the weights when the error is raised.
        for weight, before in zip(model.get_weights(), start, strict=True):
            np.testing.assert_array_equal(weight, before)


if BACKEND != "jax":  # The guide's JAX step passes the variables of `model.optimizer`.

    def test_a_monitor_that_sees_no_gradients_warns_once_and_logs_nothing():
        model = own(own_steps.TwoOptimizers)
        model.own_optimizer = keras.optimizers.SGD(0.1)
        with pytest.warns(UserWarning, match="GradientMonitor: nothing is logged") as said:
            history = fit(model, [callbacks.GradientMonitor()])
        assert sum("GradientMonitor" in str(warning.message) for warning in said) == 1
        assert set(history) == {"loss"}


@pytest.mark.parametrize("search", ["Armijo", "LBFGS"])
def test_an_infinite_loss_with_finite_gradients_terminates_a_search(search, capsys):
    """T8: the gradient of "mae" at an infinite target is ±1; training ran for three epochs with infinite losses."""
    model, guard = built(), callbacks.TerminateOnNonFinite()
    model.compile(getattr(optimizers, search)().bind(model), "mae", **COMPILED)
    start = model.get_weights()
    targets = np.where(np.arange(32)[:, None] == 3, np.inf, Y)
    history = model.fit(X, targets, batch_size=32, epochs=3, verbose=0, callbacks=[guard]).history
    assert len(history["loss"]) == 1
    assert guard.finding.kind in ("target", "loss")
    for weight, before in zip(model.get_weights(), start, strict=True):
        np.testing.assert_array_equal(weight, before)


@pytest.mark.parametrize("name", ["Nesterov", "Armijo", "LBFGS"])
def test_an_error_of_an_optimizer_keeps_the_weights(name):
    """T10: on JAX the model had no weights after "not bound" and "other variables"; the suggested remedy failed."""
    model, optimizer = built(), getattr(optimizers, name)()
    start = model.get_weights()
    model.compile(optimizer, "mse", **COMPILED)
    with pytest.raises(ValueError, match=r"is not bound to the model"):
        fit(model)
    for weight, before in zip(model.get_weights(), start, strict=True):
        np.testing.assert_array_equal(weight, before)
    optimizer.bind(model)
    fit(model)
    if name == "Nesterov":
        return
    model.layers[0].trainable = False
    with pytest.raises(ValueError, match="was built for other variables"):
        fit(model)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    model.layers[0].trainable = True
    fit(model)


@pytest.mark.parametrize("name", ["SGD", "Armijo"])
def test_clipping_ends_with_an_interrupted_fit(name):
    """T11: a notebook keeps the traceback; `train_on_batch` was clipped, on JAX even after a new `compile`."""
    model, twin = built(), built()
    for one in (model, twin):
        optimizer = keras.optimizers.SGD(0.1) if name == "SGD" else optimizers.Armijo()
        one.compile(bound(optimizer, one), "mse", **COMPILED)
    with pytest.raises(KeyboardInterrupt) as kept:
        fit(model, [clipping(), Break()])
    twin.set_weights(model.get_weights())
    if name == "Armijo":
        twin.optimizer.build(twin.trainable_variables)
        twin.optimizer.set_weights([v.numpy() for v in model.optimizer.variables])
    for one in (model, twin):
        one.train_on_batch(X, Y)
    for weight, want in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(weight, want, rtol=1e-5, atol=1e-6)
    del kept


def test_the_next_fit_cleans_up_after_an_unwatched_interrupt():
    """As after an interrupt between two bytecodes of `fit` itself: no watched call raises, and the frame may remain."""
    model = built()
    model.compile(keras.optimizers.SGD(0.1), "mse", **COMPILED)

    class Throw(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise KeyboardInterrupt  # Not watched: the watch begins with the first epoch.

    with pytest.raises(KeyboardInterrupt) as kept:
        fit(model, [clipping(), Throw()])
    before = model.get_weights()
    fit(model)
    moved = max(np.abs(a - b).max() for a, b in zip(model.get_weights(), before, strict=True))
    assert moved > 1e-3, "the next fit was still clipped"
    assert not {"train_step", "make_train_function", "_training_pipeline"} & set(vars(model))
    del kept


def test_train_on_batch_with_a_search_returns_only_the_loss():
    """T13: it returned `[loss, evaluations, step_size]`, and `float(…)` of it failed."""
    model = built()
    model.compile(optimizers.Armijo().bind(model), "mse", **COMPILED)
    assert np.isfinite(float(model.train_on_batch(X, Y)))
    assert {"loss", "evaluations", "step_size"} == set(model.train_on_batch(X, Y, return_dict=True))


def test_the_update_ratio_of_nesterov_is_measured_on_the_weights():
    """T7: it was measured from the look-ahead point. Oracle: the weights before and after each step."""
    model, seen = built(), []
    model.compile(optimizers.Nesterov(0.05).bind(model), "mse", **COMPILED)
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(model.get_weights()))
    before = model.get_weights()
    history = model.fit(X, Y, batch_size=32, epochs=4, verbose=0, callbacks=[keep, callbacks.GradientMonitor()]).history
    for ratio, norm, after in zip(history["update_ratio"], history["weight_norm"], seen, strict=True):
        length = np.sqrt(sum(np.square(w).sum() for w in before))
        step = np.sqrt(sum(np.square(a - b).sum() for a, b in zip(after, before, strict=True)))
        assert norm == pytest.approx(length, rel=1e-5)
        assert ratio == pytest.approx(step / length, rel=1e-4)
        before = after


def test_callbacks_survive_lora_adapters_between_two_fits():
    """T3: `enable_lora` changes the trainable variables; `per_layer` and `unit_norm` failed with a KeyError."""
    model = built()
    watching = [callbacks.GradientClipping(unit_norm=1.0), callbacks.GradientMonitor(per_layer=True, histogram=True)]
    model.compile("sgd", "mse", **COMPILED)
    first = fit(model, watching)
    model.layers[0].enable_lora(2)
    model.compile("sgd", "mse", **COMPILED)
    second = fit(model, watching)
    assert "gradient_norm/head" in first and np.isfinite(second["gradient_norm/base"]).all()


def test_early_stopping_restores_the_factor_of_a_reduced_schedule():
    """T12: a fixed rate was restored to that of the best epoch, a constant schedule kept the reduced one."""

    class Constant(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.01

    class Scores(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["score"] = [1.0, 5.0, 5.0, 5.0][epoch]

    rates = []
    for rate in (0.01, Constant()):
        model = built()
        model.compile(keras.optimizers.SGD(rate), "mse", **COMPILED)
        fit(
            model,
            [
                Scores(),
                callbacks.ReduceLearningRate("score", patience=1, mode="min"),
                callbacks.EarlyStopping("score", patience=9, mode="min", restore_best_weights=True),
            ],
            epochs=4,
        )
        rates.append(float(model.optimizer.learning_rate))
    np.testing.assert_allclose(rates, 0.01, rtol=1e-6)


def test_a_misspelled_monitor_gets_a_suggestion():
    """T14: the error for "val_los" advised to pass validation data."""
    model = built()
    model.compile("sgd", "mse", **COMPILED)
    with pytest.raises(ValueError, match="Did you mean 'loss'"):
        fit(model, [callbacks.EarlyStopping("los")], epochs=1)
    with pytest.raises(ValueError, match="Did you mean 'val_loss'"):
        fit(model, [callbacks.EarlyStopping("val_los")], epochs=1, validation_data=(X, Y))


def test_exact_resume_refuses_the_path_of_a_file_in_the_constructor(tmp_path):
    """T13: it failed after the first epoch."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="ExactResume: `path` must be the name of a folder"):
        callbacks.ExactResume(tmp_path / "file")


def test_the_end_of_data_of_unknown_length_does_not_end_clipping():
    """TensorFlow raises its own error there, which would have ended clipping after the first epoch."""
    rows = [(X[i : i + 16], Y[i : i + 16]) for i in (0, 16)]
    model = built()
    model.compile(keras.optimizers.SGD(0.1), "mse", **COMPILED)
    source = (row for row in rows)
    with pytest.warns(UserWarning, match="ran out of data"):
        history = model.fit(
            source, epochs=1, steps_per_epoch=4, shuffle=False, verbose=0, callbacks=[clipping()]
        ).history
    assert history["clipped_share"] == [1.0]
    # Keras 3.16 does not warn of it.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*ran out of data")
        history = model.fit(finite(rows), epochs=3, shuffle=False, verbose=0, callbacks=[clipping()]).history
    assert history["clipped_share"] == [1.0] * 3


def finite(rows):
    """A data set of unknown length."""
    if BACKEND == "tensorflow":
        return tf.data.Dataset.from_generator(
            lambda: iter(rows), output_signature=(tf.TensorSpec((16, 4)), tf.TensorSpec((16, 1)))
        )
    import torch

    class Rows(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(rows)

    return torch.utils.data.DataLoader(Rows(), batch_size=None)


def test_a_callback_and_a_metric_with_the_same_log_name_are_refused():
    model = built()
    metric = keras.metrics.MeanSquaredError(name="gradient_norm")
    model.compile("sgd", "mse", metrics=[metric], **COMPILED)
    start = model.get_weights()
    with pytest.raises(ValueError, match="GradientMonitor and the train step would both log 'gradient_norm'"):
        fit(model, [callbacks.GradientMonitor()], epochs=1)
    if BACKEND != "torch":
        for weight, before in zip(model.get_weights(), start, strict=True):
            np.testing.assert_array_equal(weight, before)


if BACKEND == "tensorflow":

    @pytest.mark.parametrize("name", ["SGD", "Adam", "Lookahead"])
    def test_steps_are_skipped_under_a_strategy_with_one_replica(name, capsys):
        """T9: "`merge_call` called while defining a new graph": a branch cannot synchronize replicas."""
        ours = {
            "SGD": lambda: keras.optimizers.SGD(0.1),
            "Adam": lambda: optimizers.Adam(0.1),
            "Lookahead": lambda: optimizers.Lookahead(optimizers.Momentum(0.1)),
        }
        guard = callbacks.TerminateOnNonFinite()
        for watching in ([clipping(on_nonfinite="skip")], [guard]):
            with tf.distribute.MirroredStrategy(["cpu:0"]).scope():
                model = built()
                model.compile(ours[name](), "mse", **COMPILED)
            start = model.get_weights()
            model.fit(X, np.full_like(Y, np.nan), batch_size=16, verbose=0, callbacks=watching)
            for weight, before in zip(model.get_weights(), start, strict=True):
                np.testing.assert_array_equal(weight, before)
            model.fit(X, Y, batch_size=16, verbose=0, callbacks=watching)
            assert all(np.isfinite(weight).all() for weight in model.get_weights())
            assert any(np.abs(a - b).max() > 0 for a, b in zip(model.get_weights(), start, strict=True))


# Keras 3.15 has no executions of several steps on PyTorch.
SIZES = [1] if BACKEND == "torch" and keras.__version__.startswith("3.15.") else [1, 2, 3]


@pytest.mark.parametrize("size", SIZES)
def test_callbacks_that_look_at_the_batches_pass_on_all_of_them(size):
    """Keras 3.16 stacks the batches of an execution on JAX: two of them were taken for two batches, and one was lost.

    Oracle: the weights and the number of steps of a `fit` without callbacks; eight batches.
    """
    found = []
    for watching in ([], [callbacks.TerminateOnNonFinite(every=2)], [callbacks.Doctor(every=1, verbose=0)]):
        model = built()
        model.compile(keras.optimizers.SGD(0.1), "mse", steps_per_execution=size, **COMPILED)
        model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=watching)
        found.append((int(model.optimizer.iterations), *model.get_weights()))
    for other in found[1:]:
        assert other[0] == found[0][0] == 16
        for a, b in zip(other[1:], found[0][1:], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
