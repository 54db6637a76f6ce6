"""Batches under `fit`: training in the promised order on every backend, in all ways in which Keras reads batches.

The model has one weight. The oracle is its training step by step in NumPy float64, whose result depends on the order.
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
    """The weight after these epochs, computed step by step."""
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
    """On JAX and PyTorch, Keras reads an extra batch to build the model."""
    batches = make()
    fresh = keras.Sequential(
        [keras.layers.Dense(1, use_bias=False, kernel_initializer=keras.initializers.Constant(0.5))]
    )
    fresh.compile(keras.optimizers.SGD(0.1), "mse")
    fresh.fit(batches, epochs=1, verbose=0, shuffle=False)
    assert_close(weight_of(fresh), trained(batches, [0]))
    assert batches.epoch == 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_epoch_advances_if_keras_shuffles_the_batches(seed):
    """A batch that Keras had read before the epoch was read again within it, which counted as a restart of the epoch.

    With the second seed of Python's random numbers every epoch was epoch 0.
    """
    keras.utils.set_random_seed(seed)
    batches, epochs = make(), []
    fresh = keras.Sequential([keras.layers.Dense(1, use_bias=False)])
    fresh.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    note = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(batches.epoch))
    fresh.fit(batches, epochs=3, verbose=0, callbacks=[note])
    assert epochs == [0, 1, 2]


# Keras forks; the child processes only read arrays.
@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("processes", [False, True])
def test_workers_do_not_change_the_order(model, processes):
    batches = make(workers=2, use_multiprocessing=processes)
    model.test_on_batch(*batches[0])
    model.fit(batches, epochs=2, verbose=0, shuffle=False)
    assert_close(weight_of(model), trained(batches, [0, 1]))
    assert batches.epoch == 2


def test_steps_per_epoch_do_not_interrupt_a_pass(model):
    """Four Keras epochs of five steps are two passes over ten batches."""
    batches = make()
    model.fit(batches, epochs=4, steps_per_epoch=5, verbose=0, shuffle=False)
    assert_close(weight_of(model), trained(batches, [0, 1]))


def test_an_interrupted_epoch_starts_over(model):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2

    batches = make()
    model.fit(batches, epochs=1, verbose=0, shuffle=False, callbacks=[Stop()])
    model.set_weights([np.array([[0.5]])])
    model.fit(batches, epochs=2, verbose=0, shuffle=False)
    assert_close(weight_of(model), trained(batches, [0, 1]))


def test_fit_continues_from_a_restored_state(model):
    first, second = make(), make(seed=8)
    model.fit(first, epochs=1, verbose=0, shuffle=False)
    second.restore(first.state())
    model.fit(second, epochs=1, verbose=0, shuffle=False)
    assert_close(weight_of(model), trained(first, [0, 1]))


def test_a_fixed_order_warns_if_keras_shuffles_the_batches(model):
    with pytest.warns(UserWarning, match="CyclicBatches: Keras shuffles the batches.*shuffle=False"):
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
def test_several_inputs_and_outputs_train_like_arrays(wrap):
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


@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_strings_reach_a_lookup(kind):
    """`fit` said "Invalid dtype: str32", and a tensor of strings was refused as neither numbers nor strings."""
    words, labels = np.array([["a"], ["b"]] * 12), np.arange(24.0) % 2
    if keras.backend.backend() != "tensorflow":
        # The other frameworks have no strings: they stay arrays, for code that makes numbers of them.
        assert Batches(words, labels, 8, seed=0)[0][0].dtype.kind == "U"
        return
    words = keras.ops.convert_to_tensor(words) if kind == "tensor" else words
    lookup = keras.layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")
    model = keras.Sequential([keras.Input((1,), dtype="string"), lookup, keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    model.fit(Batches(words, labels, 8, seed=0), epochs=30, verbose=0)
    weights = model.layers[-1].get_weights()[0].ravel()
    assert_close(weights[1:], [0.0, 1.0], atol=0.01)
