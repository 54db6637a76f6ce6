"""Regressions of the pipeline in users' scripts: calls inside callbacks, patched models, nested fits."""

import keras
import numpy as np
import pytest
from support import own_steps
from support.harness import BACKEND, numpy
from support.small_fit import COMPILED, X, Y, built, fit

from keras_lecture import callbacks, optimizers


class Failing(keras.callbacks.Callback):
    """Evaluates on data of a wrong width at the end of the second epoch, and catches the error."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            with pytest.raises(Exception):  # noqa: B017 (each backend has its own)
                self.model.evaluate(X[:, :3], Y, verbose=0)


@pytest.mark.parametrize("watching", ["EarlyStopping", "GradientClipping", "TerminateOnNonFinite"])
def test_an_error_caught_inside_a_callback_does_not_end_the_fit(watching):
    """The weights were reset to the best epoch in the middle of `fit`, or its next step had no train function."""
    watchers = {
        "EarlyStopping": lambda: callbacks.EarlyStopping("loss", patience=9, mode="max", restore_best_weights=True),
        "GradientClipping": lambda: callbacks.GradientClipping(global_norm=1e-3),
        "TerminateOnNonFinite": callbacks.TerminateOnNonFinite,
    }
    weights = []
    for extra in ([], [Failing()]):
        model = built()
        model.compile(keras.optimizers.SGD(0.1), "mse", **COMPILED)
        history = fit(model, [watchers[watching](), *extra], epochs=4)
        weights.append([*model.get_weights(), history["loss"]])
    for weight, want in zip(weights[1], weights[0], strict=True):
        np.testing.assert_allclose(weight, want, rtol=1e-5, atol=1e-6)


class Inner(keras.callbacks.Callback):
    """Calls `fit` at the end of the first epoch."""

    def __init__(self, *watching):
        super().__init__()
        self.watching, self.done = watching, False

    def on_epoch_end(self, epoch, logs=None):
        if not self.done:
            self.done = True
            self.model.fit(X, Y, batch_size=16, shuffle=False, verbose=0, callbacks=[*self.watching])


def test_a_fit_inside_a_callback_keeps_the_train_function_of_the_outer_fit():
    """The train function of the outer `fit` became `None`. Oracle: the same steps in sequence."""
    model, twin = built(), built()
    for one in (model, twin):
        one.compile(keras.optimizers.SGD(0.1), "mse", **COMPILED)
    fit(model, [Inner(callbacks.GradientMonitor())], epochs=2)
    fit(twin, epochs=3)
    for weight, want in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(weight, want, rtol=1e-5, atol=1e-6)


def test_terminate_on_non_finite_works_with_the_learning_rate_finder():
    """The guard saw the batches of the sweep, before the first epoch had begun."""
    model = built()
    model.compile(keras.optimizers.SGD(0.1), "mse", **COMPILED)
    guard = callbacks.TerminateOnNonFinite()
    broken = np.where(np.arange(32)[:, None] == 20, np.nan, Y).astype("float32")
    finder = callbacks.LearningRateFinder(steps=4, learning_rates=(1e-4, 1e-2), apply=False)
    for _ in range(2):
        model.fit(X, Y, batch_size=16, shuffle=False, verbose=0, callbacks=[guard, finder])
    model.fit(X, broken, batch_size=16, shuffle=False, verbose=0, callbacks=[guard])
    assert guard.finding.batch == 1


def test_a_train_step_set_on_the_model_is_called():
    """It was deleted and never called if an optimizer was bound, now or before; a search refuses it."""
    calls = []

    def counted(plain):
        return lambda *args: (calls.append(1), plain(*args))[1]

    model = built()
    model.compile(optimizers.Nesterov(0.05).bind(model), "mse", **COMPILED)
    fit(model)
    model.compile(keras.optimizers.SGD(0.05), "mse", **COMPILED)
    model.train_step = counted(type(model).train_step.__get__(model))
    step = model.train_step
    fit(model, [callbacks.GradientMonitor()])
    assert calls and model.train_step is step
    with pytest.raises(ValueError, match="a model with Keras's own `train_step`"):
        optimizers.Armijo().bind(model)


def test_nesterov_used_by_hand_is_still_unbound():
    """Compiled unbound, it silently trained as gradient descent without momentum."""
    model, optimizer = built(), optimizers.Nesterov(0.05)
    optimizer.look_ahead(model.trainable_variables)
    optimizer.look_back()
    model.compile(optimizer, "mse", **COMPILED)
    with pytest.raises(ValueError, match="is not bound to the model"):
        fit(model)


if BACKEND != "jax":

    class TwoGroups(own_steps.MetricsLoop):
        """Applies the optimizer to the two layers one after the other."""

        def train_step(self, *args):
            plain = self.optimizer.apply

            def apply(gradients, variables):
                plain(gradients[:2], variables[:2])
                plain(gradients[2:], variables[2:])

            self.optimizer.apply = apply
            try:
                return super().train_step(*args)
            finally:
                self.optimizer.apply = plain

    class Own(own_steps.MetricsLoop):
        """Uses an optimizer of its own, as GANs do, and looks ahead by hand: `fit` does not build it."""

        def train_step(self, *args):
            plain = self.optimizer.apply

            def apply(gradients, variables):
                self.own.look_ahead(variables)
                self.own.apply(gradients, variables)

            self.optimizer.apply = apply
            try:
                return super().train_step(*args)
            finally:
                self.optimizer.apply = plain

    def test_nesterov_may_look_ahead_by_hand_in_a_train_step_that_builds_it():
        """It raised an AttributeError: built, but not bound to a model that owns the weights."""
        model = Own()
        model(X[:1])
        model.own = optimizers.Nesterov(0.05)
        model.compile("sgd", "mse", run_eagerly=True)
        start = model.get_weights()
        fit(model)
        assert model.own.built and not np.array_equal(model.get_weights()[0], start[0])

    @pytest.mark.parametrize("name", ["Nesterov", "GradientMonitor"])
    def test_an_optimizer_that_is_applied_twice_in_a_step_is_refused(name):
        """The second group moved from w with a gradient at the look-ahead point; the monitor halved its numbers."""
        model = TwoGroups()
        model(X[:1])
        optimizer = optimizers.Nesterov(0.05).bind(model) if name == "Nesterov" else keras.optimizers.SGD(0.05)
        optimizer.build(model.trainable_variables)
        model.compile(optimizer, "mse", **COMPILED)
        with pytest.raises(ValueError, match=f"{name}: the train step of .* applies its optimizer more than once"):
            fit(model, [callbacks.GradientMonitor()] if name == "GradientMonitor" else [])


@pytest.mark.parametrize("name", ["Nesterov", "Armijo", "Lookahead"])
def test_a_loaded_model_can_be_evaluated_before_its_optimizer_is_bound(name, tmp_path):
    """Inside Lookahead the error was raised only in the step, when JAX had already donated the weights."""
    model = built()
    optimizer = getattr(optimizers, "Nesterov" if name == "Lookahead" else name)().bind(model)
    model.compile(optimizers.Lookahead(optimizer) if name == "Lookahead" else optimizer, "mse", **COMPILED)
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.evaluate(X, Y, verbose=0) == pytest.approx(model.evaluate(X, Y, verbose=0), rel=1e-5)
    start = loaded.get_weights()
    with pytest.raises(ValueError, match="is not bound to the model"):
        fit(loaded)
    for weight, before in zip(loaded.get_weights(), start, strict=True):
        np.testing.assert_array_equal(weight, before)
    state = [numpy(variable) for variable in loaded.optimizer.variables]
    for variable, other in zip(state, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(variable, numpy(other))
    getattr(loaded.optimizer, "inner_optimizer", loaded.optimizer).bind(loaded)
    fit(loaded)


@pytest.mark.parametrize("name", ["Nesterov", "Armijo"])
def test_an_optimizer_bound_to_another_model_is_refused_before_the_weights_are_donated(name):
    """On JAX the model lost its weights."""
    model, other = built(), built()
    model.compile(getattr(optimizers, name)().bind(other), "mse", **COMPILED)
    start = model.get_weights()
    with pytest.raises(ValueError, match="is bound to another model than the one that it should train"):
        fit(model)
    for weight, before in zip(model.get_weights(), start, strict=True):
        np.testing.assert_array_equal(weight, before)


def test_exact_resume_in_a_ready_callback_list_is_an_error(tmp_path):
    """It silently saved nothing."""
    model = built()
    model.compile("sgd", "mse", **COMPILED)
    resume = callbacks.ExactResume(tmp_path / "run")
    ready = keras.callbacks.CallbackList([resume], add_history=True, model=model, epochs=1, steps=2, verbose=0)
    with pytest.raises(ValueError, match="ExactResume: nothing would be saved"):
        model.fit(X, Y, batch_size=16, verbose=0, callbacks=ready)
