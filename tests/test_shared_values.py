"""Copied values are independent: training the original does not change the copy, nor the other way round.

Keras on JAX donates the arrays of a model to each training step. If two variables share an array, it is deleted while
one of them still needs it ("Array has been deleted"), or donated twice. `fit` is compiled by default here.
"""

import keras
import numpy as np
import pytest
from support.harness import assert_close, numpy

from keras_lecture import callbacks, initializers, layers, models, optimizers
from keras_lecture._training.rehearsal import rehearsal

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
Y = np.arange(8.0, dtype="float32")[:, None]


def compiled(*parts, optimizer=None):
    model = keras.Sequential([keras.Input((4,)), *parts, keras.layers.Dense(1)])
    model.compile(optimizer or keras.optimizers.SGD(0.01, momentum=0.9), "mse")
    return model


def train(model, epochs=1, **options):
    if not model.compiled:
        model.compile(keras.optimizers.SGD(0.01), "mse")
    model.fit(X, np.repeat(Y, model.output_shape[-1], axis=1), batch_size=4, epochs=epochs, verbose=0, **options)


def values(model):
    return [np.array(numpy(variable)) for variable in model.variables]


def check_apart(one, other):
    """Trains each model; the variables of the other one keep their values, and it can still predict."""
    for trained, kept in ((one, other), (other, one)):
        before = values(kept)
        train(trained)
        for old, new in zip(before, values(kept), strict=True):
            np.testing.assert_array_equal(old, new)
        assert np.isfinite(kept.predict(X, verbose=0)).all()


@pytest.mark.parametrize("trainable", ["last", "all"])
def test_fine_tune(trainable):
    model = models.mlp((4,), 10, units=(4,))
    check_apart(models.fine_tune(model, 3, trainable=trainable), model)


@pytest.mark.parametrize("data_init", [False, True])
def test_weight_normalization_without_its_wrapper(data_init):
    model = compiled(layers.WeightNormalization(keras.layers.Dense(3), data_init=data_init))
    check_apart(model, keras.Sequential([keras.Input((4,)), model.layers[0].remove()]))


def test_initialize_with_a_function_that_keeps_its_tensor():
    model, kept = compiled(keras.layers.Dense(4), keras.layers.Dense(4)), keras.ops.ones((4, 4))
    kernels = [layer.kernel.path for layer in model.layers[:2]]
    initializers.initialize(model, lambda shape, dtype: kept, where=lambda variable: variable.path in kernels)
    train(model)
    assert_close(kept, np.ones((4, 4)))


@pytest.mark.parametrize("change", ["rescale", "recalibrate", "rehearsal"])
def test_a_model_trains_after_it_was_changed(change):
    model = compiled(keras.layers.Dense(3), layers.BatchNormalization(), layers.Dropout(0.5))
    train(model)
    before = values(model)
    if change == "rescale":
        initializers.rescale(model, X, verbose=0)
    elif change == "recalibrate":
        layers.recalibrate(model, X, verbose=0)
    else:
        with rehearsal(model):
            train(model)
        for old, new in zip(before, values(model), strict=True):
            np.testing.assert_array_equal(old, new)
    train(model)
    assert all(np.isfinite(value).all() for value in values(model))


@pytest.mark.parametrize("kind", ["Adam", "Adam, overwriting", "LBFGS", "average of Keras's Adam"])
def test_a_second_fit_with_keras_moving_averages(kind):
    """On JAX Keras 3.15 assigns the averages' arrays to the weights; with its own optimizers the second `fit` raises.

    Oracle: the weights after `fit` are the averages; changing the weights does not change them.
    """
    options = {"use_ema": True, "ema_momentum": 0.5}
    optimizer = {
        "Adam": lambda: optimizers.Adam(**options),
        "Adam, overwriting": lambda: optimizers.Adam(**options, ema_overwrite_frequency=1),
        "LBFGS": lambda: optimizers.LBFGS(**options),
        "average of Keras's Adam": lambda: optimizers.Lookahead(keras.optimizers.Adam(**options)),
    }[kind]()
    model = compiled(keras.layers.Dense(3))
    if kind == "LBFGS":
        optimizer.bind(model)
    model.compile(optimizer, "mse")
    train(model, epochs=2)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    averages = [np.array(numpy(v)) for v in optimizer._model_variables_moving_average]
    for weight, mean in zip(model.trainable_variables, averages, strict=True):
        assert_close(weight, mean)
    model.trainable_variables[0].assign(model.trainable_variables[0] + 1.0)
    assert_close(optimizer._model_variables_moving_average[0], averages[0])
    train(model, epochs=2, callbacks=[callbacks.GradientMonitor()] if kind == "Adam" else [])
    assert all(np.isfinite(value).all() for value in values(model))


@pytest.mark.parametrize("kind", ["average", "lookahead"])
def test_a_second_fit_with_averaged_weights(kind):
    """At the end of `fit` the averages are assigned to the weights; the next step would donate shared arrays twice."""
    inner = keras.optimizers.SGD(0.01)
    optimizer = (
        optimizers.StochasticWeightAverage(inner, start=1)
        if kind == "average"
        else optimizers.Lookahead(inner, period=2)
    )
    model = compiled(keras.layers.Dense(3), optimizer=optimizer)
    train(model, epochs=2)
    average = [np.array(numpy(v)) for v in optimizer._averages]
    for weight, mean in zip(model.trainable_variables, average, strict=True):
        assert_close(weight, mean)
    model.trainable_variables[0].assign(model.trainable_variables[0] + 1.0)
    assert_close(optimizer._averages[0], average[0])
    train(model, epochs=2)
    assert all(np.isfinite(value).all() for value in values(model))


def test_early_stopping_keeps_its_best_weights():
    """Training goes on from the restored weights; the stored ones do not change."""
    model = compiled(keras.layers.Dense(3), layers.Dropout(0.5))
    stopping = callbacks.EarlyStopping("loss", patience=1, restore_best_weights=True)
    train(model, epochs=2, callbacks=[stopping])
    kept = [np.array(value) for value in (*stopping.best_weights, *stopping._best_rest)]
    train(model)
    for old, new in zip(kept, (*stopping.best_weights, *stopping._best_rest), strict=True):
        np.testing.assert_array_equal(old, new)


def test_exact_resume(tmp_path):
    """A resumed run continues the training; a third run still reads the same values from the file."""
    results = []
    for epochs in (1, 2, 2):
        keras.utils.set_random_seed(0)
        model = compiled(keras.layers.Dense(3), layers.Dropout(0.5))
        train(model, epochs=epochs, callbacks=[callbacks.ExactResume(tmp_path / "run")])
        results.append(values(model))
    for second, third in zip(*results[1:], strict=True):
        np.testing.assert_array_equal(second, third)
