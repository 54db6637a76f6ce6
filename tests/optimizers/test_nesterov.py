"""Nesterov's two views: the look-ahead point for the gradient, the iterate everywhere else."""

import gc

import keras
import numpy as np
import pytest
from oracles import optimizers as oracle
from support.harness import BACKEND, numpy

from keras_lecture import optimizers
from keras_lecture.optimizers import schedules

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(32, 4)).astype("float32")
Y = GENERATOR.normal(size=(32, 1)).astype("float32")
# float32, some tens of steps.
CLOSE = {"rtol": 1e-5, "atol": 2e-6}


def _model(optimizer, nesterov=None, **settings):
    """A model compiled with `optimizer`; `nesterov`, by default the optimizer itself, is bound to it."""
    layers = [keras.Input((4,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
    model = keras.Sequential(layers)
    nesterov = optimizer if nesterov is None else nesterov
    if isinstance(nesterov, optimizers.Nesterov):
        nesterov.bind(model)
    model.compile(optimizer, "mse", **settings)
    return model


def _iterates(steps, rho=0.9, rate=0.05):
    def slope(weights, k):
        return [2 * X.T @ (X @ weights[0] - Y) / len(X)]

    zero = [np.zeros((4, 1))]
    return [oracle.train("Nesterov", zero, slope, k, rate, rho=rho)[0] for k in range(1, steps + 1)]


def _fit(model, epochs, **settings):
    model.fit(X, Y, batch_size=32, epochs=epochs, verbose=0, shuffle=False, **settings)


def _kernel(model):
    return numpy(model.layers[0].kernel)


class Witness(keras.callbacks.Callback):
    """Records the weights that callbacks see."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def on_train_batch_end(self, batch, logs=None):
        self._note("batch")

    def on_test_begin(self, logs=None):
        self._note("validation")

    def on_epoch_end(self, epoch, logs=None):
        self._note("epoch")

    def _note(self, when):
        self.seen.setdefault(when, []).append(_kernel(self.model))


def test_callbacks_validation_and_the_end_of_fit_see_the_iterate():
    model, witness = _model(optimizers.Nesterov(0.05)), Witness()
    _fit(model, 5, validation_data=(X, Y), callbacks=[witness])
    for when in ("batch", "validation", "epoch"):
        np.testing.assert_allclose(witness.seen[when], _iterates(5), err_msg=when, **CLOSE)
    np.testing.assert_allclose(_kernel(model), _iterates(5)[-1], **CLOSE)


def test_evaluate_predict_and_checkpoints_see_the_iterate_and_training_continues_exactly(tmp_path):
    model = _model(optimizers.Nesterov(0.05))
    checkpoint = keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.weights.h5"), save_weights_only=True)
    _fit(model, 4, callbacks=[checkpoint])
    want = _iterates(9)
    np.testing.assert_allclose(model.predict(X, verbose=0), X @ want[3], rtol=1e-4, atol=1e-5)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(np.mean((X @ want[3] - Y) ** 2), rel=1e-5)
    _fit(model, 5)
    np.testing.assert_allclose(_kernel(model), want[8], **CLOSE)
    model.load_weights(tmp_path / "3.weights.h5")
    np.testing.assert_allclose(_kernel(model), want[2], **CLOSE)
    _fit(model, 6)
    np.testing.assert_allclose(_kernel(model), want[8], **CLOSE)


def test_a_loaded_model_continues_where_the_saved_one_would(tmp_path):
    model = _model(optimizers.Nesterov(0.05))
    _fit(model, 4)
    model.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"bind a loaded model's: `model\.optimizer\.bind\(model\)`"):
        _fit(model, 1)
    model.optimizer.bind(model)
    _fit(model, 5)
    np.testing.assert_allclose(_kernel(model), _iterates(9)[-1], **CLOSE)


def test_train_on_batch_looks_ahead():
    model = _model(optimizers.Nesterov(0.05))
    for _ in range(5):
        model.train_on_batch(X, Y)
    np.testing.assert_allclose(_kernel(model), _iterates(5)[-1], **CLOSE)


def test_a_momentum_schedule_looks_ahead_with_the_momentum_of_the_step():
    momentum = schedules.Exponential(0.9, factor=0.8, period=2)
    model = _model(optimizers.Nesterov(0.05, momentum=momentum))
    _fit(model, 8)
    np.testing.assert_allclose(_kernel(model), _iterates(8, rho=lambda k: 0.9 * 0.8 ** ((k - 1) // 2))[-1], **CLOSE)


def test_gradient_accumulation_shows_the_iterate_between_the_steps():
    model, witness = _model(optimizers.Nesterov(0.05, gradient_accumulation_steps=2)), Witness()
    model.fit(X, Y, batch_size=16, epochs=4, verbose=0, shuffle=False, callbacks=[witness])
    want = [np.zeros((4, 1)), *_iterates(4)]
    np.testing.assert_allclose(witness.seen["batch"][1::2], want[1:], **CLOSE)
    np.testing.assert_allclose(witness.seen["batch"][::2], want[:-1], **CLOSE)


def test_loss_scaling_that_skips_a_step_leaves_the_iterate():
    inner = optimizers.Nesterov(0.05)
    model = _model(keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0), inner)
    _fit(model, 3)
    before = _kernel(model)
    model.train_on_batch(X, np.full_like(Y, np.inf))
    np.testing.assert_allclose(_kernel(model), before, rtol=1e-6, atol=1e-7)
    _fit(model, 3)
    np.testing.assert_allclose(_kernel(model), _iterates(6)[-1], **CLOSE)


def test_frozen_variables_stay_where_they_are():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    optimizer = optimizers.Nesterov(0.05).bind(model)
    model.compile(optimizer, "mse")
    _fit(model, 3)
    model.layers[0].trainable = False
    if BACKEND == "jax":  # Keras's trainer on JAX requires an optimizer built on exactly the trainable variables.
        optimizer = optimizers.Nesterov(0.05).bind(model)
    model.compile(optimizer, "mse")
    before, moving = numpy(model.layers[0].kernel), numpy(model.layers[1].kernel)
    _fit(model, 2)
    np.testing.assert_array_equal(numpy(model.layers[0].kernel), before)
    assert not np.allclose(numpy(model.layers[1].kernel), moving)


def test_compiling_with_another_optimizer_restores_the_train_step_of_keras():
    model = _model(optimizers.Nesterov(0.05))
    _fit(model, 2)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = _kernel(model)
    _fit(model, 1)
    np.testing.assert_allclose(_kernel(model), before - 0.2 * X.T @ (X @ before - Y) / len(X), rtol=1e-5, atol=1e-6)


def test_an_unbound_optimizer_says_what_to_do():
    """Before the first step, because on JAX a step that fails loses the weights (T10)."""
    w = keras.Variable([1.0])
    with pytest.raises(ValueError, match=r"compile\(Nesterov\(…\)\.bind\(model\).*look_ahead\(variables\)"):
        optimizers.Nesterov(0.1).apply([keras.ops.ones((1,))], [w])
    model = _model(None)
    model.compile(optimizers.Nesterov(0.05), "mse")
    with pytest.raises(ValueError, match=r"compile\(Nesterov\(…\)\.bind\(model\)"):
        _fit(model, 1)
    model.optimizer.bind(model)
    _fit(model, 3)
    np.testing.assert_allclose(_kernel(model), _iterates(3)[-1], **CLOSE)


def test_keras_sgd_with_nesterov_shows_the_look_ahead_point_instead():
    # As the docstring says of Keras: the same recursion in u = w + ρv.
    theirs = _model(keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True))
    _fit(theirs, 6)
    w5, w6 = _iterates(6)[-2:]
    np.testing.assert_allclose(_kernel(theirs), w6 + 0.9 * (w6 - w5), **CLOSE)


def test_an_outer_average_and_several_optimizers_bind_too():
    inner = optimizers.Nesterov(0.05)
    model = _model(optimizers.Lookahead(inner, period=100), inner)
    _fit(model, 4)
    np.testing.assert_allclose(_kernel(model), _iterates(4)[-1], **CLOSE)
    inner = optimizers.Nesterov(0.05)
    several = keras.optimizers.OptimizerMap(optimizers.SGD(0.1), {".*kernel": inner})
    model = _model(keras.optimizers.MultiOptimizer(several), inner)
    _fit(model, 4)
    np.testing.assert_allclose(_kernel(model), _iterates(4)[-1], **CLOSE)


def test_several_steps_in_one_execution_and_a_second_bind_change_nothing():
    model = _model(optimizers.Nesterov(0.05), **({} if BACKEND == "torch" else {"steps_per_execution": 2}))
    assert model.optimizer.bind(model) is model.optimizer
    model.fit(X, Y, batch_size=16, epochs=2, verbose=0, shuffle=False)
    plain = _model(optimizers.Nesterov(0.05))
    plain.fit(X, Y, batch_size=16, epochs=2, verbose=0, shuffle=False)
    np.testing.assert_allclose(_kernel(model), _kernel(plain), **CLOSE)


def test_an_optimizer_that_is_gone_leaves_nothing_on_the_model():
    model = _model(optimizers.Nesterov(0.05))
    for _ in range(3):
        model.compile(optimizers.Nesterov(0.05).bind(model), "mse")
        model.train_on_batch(X, Y)
    model.compile(keras.optimizers.SGD(0.05), "mse")
    gc.collect()
    model.train_on_batch(X, Y)
    assert not {"train_step", "make_train_function", "_training_pipeline"} & set(vars(model))


def test_an_optimizer_that_moves_to_another_model_says_that_it_is_not_bound_to_it():
    """Without the error it would take a step of neither Nesterov's method nor Momentum."""
    first = _model(optimizers.Nesterov(0.05))
    _fit(first, 2)
    second = keras.Sequential([keras.Input((4,)), *first.layers])
    second.compile(first.optimizer, "mse")
    with pytest.raises(ValueError, match=r"optimizer\.bind\(model\)"):
        second.train_on_batch(X, Y)
    first.optimizer.bind(second)
    _fit(second, 2)
    np.testing.assert_allclose(_kernel(second), _iterates(4)[-1], **CLOSE)


def test_keras_does_not_pass_the_model_to_the_optimizer_before_the_first_forward_pass():
    """The reason for `bind`, which can be removed once this fails."""
    received = []

    class Witnessing(optimizers.SGD):
        def __getattribute__(self, name):
            value = super().__getattribute__(name)
            if not callable(value) or name.startswith("__"):
                return value

            def method(*args, **kwargs):
                received.extend([*args, *kwargs.values()])
                return value(*args, **kwargs)

            return method

    class Watched(keras.Sequential):
        def call(self, *args, **kwargs):
            calls.append(list(received))
            return super().call(*args, **kwargs)

    calls = []
    model = Watched([keras.Input((4,)), keras.layers.Dense(1)])
    calls.clear()
    model.compile(Witnessing(0.1), "mse")
    _fit(model, 1)
    message = f"Keras {keras.__version__} passes the model to the optimizer: `bind` can be removed."
    assert calls and not any(isinstance(each, keras.Model) for each in calls[0]), message
