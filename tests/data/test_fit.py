"""Batches under `fit`: trained in the order they promise, on every backend, however Keras calls them.

The model is one weight; a step at a time in float64 by NumPy is the oracle, and tells the orders apart.
"""

import keras
import numpy as np
import pytest
from support.harness import assert_close

from keras_lecture.data import BalancedBatches, Batches, Curriculum, CyclicBatches

X = np.random.default_rng(0).normal(size=(40, 1)).astype("float32")
Y = np.random.default_rng(1).normal(size=(40, 1)).astype("float32")
LABELS = np.arange(40) % 3
KINDS = {
    "Batches": (Batches, {}),
    "BalancedBatches": (BalancedBatches, {"labels": LABELS}),
    "Curriculum": (Curriculum, {"difficulty": Y, "epochs": 3}),
    "CyclicBatches": (CyclicBatches, {}),
}


@pytest.fixture(scope="module")
def compiled():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


@pytest.fixture
def model(compiled):
    compiled.set_weights([np.array([[0.5]])])
    compiled.stop_training = False
    return compiled


def make(name="Batches", **more):
    cls, arguments = KINDS[name]
    return cls(X, Y, 4, **{"seed": 3, **arguments, **more})


def trained(batches, epochs, weight=None):
    """The weight after these epochs, step by step."""
    w = 0.5
    for epoch in epochs:
        order = batches.order(epoch)
        for start in range(0, len(order), 4):
            x, y = (array[order[start : start + 4], 0].astype("float64") for array in (X, Y))
            s = 1 if weight is None else weight[order[start : start + 4]]
            w -= 0.1 * 2 * np.mean(s * x * (w * x - y))
    return [[w]]


def weight_of(model):
    return model.get_weights()[0]


@pytest.mark.parametrize("name", KINDS)
def test_fit_trains_in_the_order_of_seed_and_epoch(model, name):
    batches = make(name)
    model.fit(batches, epochs=2, verbose=0, shuffle=False, validation_data=make(name))
    assert_close(weight_of(model), trained(batches, [0, 1]))
    assert batches.epoch == 2
    model.fit(batches, epochs=1, verbose=0, shuffle=False)
    assert_close(weight_of(model), trained(batches, [0, 1, 2]))


def test_the_first_epoch_of_a_new_model_is_epoch_0():
    """On JAX and PyTorch, Keras reads a batch of its own to build the model."""
    batches = make()
    fresh = keras.Sequential(
        [keras.layers.Dense(1, use_bias=False, kernel_initializer=keras.initializers.Constant(0.5))]
    )
    fresh.compile(keras.optimizers.SGD(0.1), "mse")
    fresh.fit(batches, epochs=1, verbose=0, shuffle=False)
    assert_close(weight_of(fresh), trained(batches, [0]))
    assert batches.epoch == 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_epoch_is_a_new_one_where_keras_shuffles_the_batches(seed):
    """What Keras had read before the epoch came again in its midst, and counted as its beginning: no epoch was whole.

    With the second seed of Python's random numbers every epoch was epoch 0 over again.
    """
    keras.utils.set_random_seed(seed)
    batches, epochs = make(), []
    fresh = keras.Sequential([keras.layers.Dense(1, use_bias=False)])
    fresh.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    note = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(batches.epoch))
    fresh.fit(batches, epochs=3, verbose=0, callbacks=[note])
    assert epochs == [0, 1, 2]


# Keras forks; the children do nothing but read arrays.
@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("processes", [False, True])
def test_workers_change_nothing(model, processes):
    batches = make(workers=2, use_multiprocessing=processes)
    model.test_on_batch(*batches[0])
    model.fit(batches, epochs=2, verbose=0, shuffle=False)
    assert_close(weight_of(model), trained(batches, [0, 1]))
    assert batches.epoch == 2


def test_steps_per_epoch_cut_no_pass_short(model):
    """Four Keras epochs of five steps are two passes over ten batches."""
    batches = make()
    model.fit(batches, epochs=4, steps_per_epoch=5, verbose=0, shuffle=False)
    assert_close(weight_of(model), trained(batches, [0, 1]))


def test_an_epoch_that_was_stopped_begins_anew(model):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2

    batches = make()
    model.fit(batches, epochs=1, verbose=0, shuffle=False, callbacks=[Stop()])
    model.set_weights([np.array([[0.5]])])
    model.fit(batches, epochs=2, verbose=0, shuffle=False)
    assert_close(weight_of(model), trained(batches, [0, 1]))


def test_a_restored_state_goes_on_before_fit(model):
    first, second = make(), make(seed=8)
    model.fit(first, epochs=1, verbose=0, shuffle=False)
    second.restore(first.state())
    model.fit(second, epochs=1, verbose=0, shuffle=False)
    assert_close(weight_of(model), trained(first, [0, 1]))


def test_keras_shuffles_whole_batches_and_a_fixed_order_says_so(model):
    with pytest.warns(
        UserWarning, match="CyclicBatches: Keras takes the batches in an order of its own.*shuffle=False"
    ):
        model.fit(make("CyclicBatches"), epochs=2, verbose=0)
    model.fit(make("Batches"), epochs=2, verbose=0)


def test_class_and_sample_weights(model):
    weight = np.linspace(0, 2, 40).astype("float32")
    batches = make(sample_weight=weight)
    model.fit(batches, epochs=1, verbose=0, shuffle=False)
    assert_close(weight_of(model), trained(batches, [0], weight))

    model.set_weights([np.array([[0.5]])])
    labels = (np.arange(40) % 2)[:, None]
    batches = CyclicBatches(X, labels, 4)
    model.fit(batches, verbose=0, shuffle=False, class_weight={0: 0.5, 1: 2.0})
    ours = weight_of(model)
    model.set_weights([np.array([[0.5]])])
    model.fit(X, labels, batch_size=4, verbose=0, shuffle=False, class_weight={0: 0.5, 1: 2.0})
    assert_close(ours, weight_of(model))


@pytest.mark.parametrize("wrap", [list, lambda pair: dict(zip("ab", pair, strict=True))])
def test_several_inputs_and_outputs_train_as_arrays_do(wrap):
    a, b = keras.Input((1,), name="a"), keras.Input((1,), name="b")
    ones = {"use_bias": False, "kernel_initializer": "ones"}
    outputs = wrap([keras.layers.Dense(1, **ones)(keras.layers.concatenate([a, b])), keras.layers.Dense(1, **ones)(b)])
    model = keras.Model(wrap([a, b]), outputs)
    model.compile(keras.optimizers.SGD(0.1), loss=wrap(["mse", "mae"]))
    start = model.get_weights()
    x, y, weight = wrap([X, Y.astype("float64")]), wrap([Y, X]), wrap([X[:, 0] ** 2, Y[:, 0] ** 2])
    model.fit(CyclicBatches(x, y, 4, sample_weight=weight), verbose=0, shuffle=False)
    ours = model.get_weights()
    model.set_weights(start)
    model.fit(x, y, batch_size=4, sample_weight=weight, verbose=0, shuffle=False)
    for mine, theirs in zip(ours, model.get_weights(), strict=True):
        assert_close(mine, theirs)


def test_predict_keeps_the_order_of_cyclic_batches(model):
    assert_close(model.predict(CyclicBatches(X, batch_size=7), verbose=0), model.predict(X, verbose=0))
