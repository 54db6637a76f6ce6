"""Whether the order of the batches changes between epochs, for data that Keras does not order itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

from keras_lecture.callbacks import Doctor
from keras_lecture.callbacks._doctor.order import Order

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(64, 4)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")
ROWS, BATCHES, EPOCHS = 8, 8, 13
BATCHED = X.reshape(BATCHES, ROWS, 4), Y.reshape(BATCHES, ROWS, 1)


def tensors(shuffled):
    """A `tf.data` set that is shuffled and then cached, or first cached and then shuffled."""
    data = tf.data.Dataset.from_tensor_slices((X, Y))
    return (data.shuffle(64).cache() if not shuffled else data.cache().shuffle(64)).batch(ROWS)


def shuffled_once():
    return tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(64, reshuffle_each_iteration=False).batch(ROWS)


def loader(shuffled):
    rows = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    return torch.utils.data.DataLoader(rows, batch_size=ROWS, shuffle=shuffled)


def batches(shuffled):
    generator = np.random.default_rng(0)
    while True:
        order = generator.permutation(BATCHES) if shuffled else range(BATCHES)
        yield from ((BATCHED[0][i], BATCHED[1][i]) for i in order)


def judged(data, epochs=EPOCHS, **options):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    doctor = Doctor(rules=["repeated-batch-order"], verbose=0)
    model.fit(data, epochs=epochs, shuffle=False, verbose=0, callbacks=[doctor], **options)
    assert doctor.record["epochs"][-1]["step"] == epochs * BATCHES
    assert not [sentence for sentence in doctor.record["unseen"] if "order" in sentence]
    return [finding.severity for finding in doctor.findings], [unknown.reason for unknown in doctor.unknown]


@pytest.mark.parametrize(
    ("expected", "data"),
    [
        ("medium", lambda: tensors(False)),
        (None, lambda: tensors(True)),
        ("low", shuffled_once),
        ("low", lambda: loader(False)),
        (None, lambda: loader(True)),
    ],
    ids=["shuffled, then cached", "cached, then shuffled", "shuffled once on purpose", "loader", "shuffled loader"],
)
def test_the_order_of_data_sets(expected, data):
    """Eight batches: thirteen equal beginnings have a chance of 8⁻¹², below 1e-9."""
    assert judged(data()) == ([expected] if expected else [], [])


@pytest.mark.parametrize(("expected", "shuffled"), [(["low"], False), ([], True)])
def test_the_order_of_generators(expected, shuffled):
    assert judged(batches(shuffled), steps_per_epoch=BATCHES) == (expected, [])


def test_few_epochs_say_nothing():
    findings, reasons = judged(batches(False), epochs=5, steps_per_epoch=BATCHES)
    assert not findings and "too few" in reasons[0]


@pytest.mark.parametrize(
    ("rows", "steps"), [(np.ones((8, 1)), 1000), (X[:8], 1)], ids=["equal rows", "one batch per epoch"]
)
def test_equal_batches_that_no_order_could_tell_apart_say_nothing(rows, steps):
    order = Order("generator", None)
    for _ in range(20):
        order.see((rows, None))
        assert order.epoch(steps)[0] is None


def test_arrays_are_ordered_by_keras():
    assert not Order("arrays", X).looks and not Order("PyDataset", None).looks
