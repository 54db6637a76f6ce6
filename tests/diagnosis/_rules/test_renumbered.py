"""Validation data whose classes or words have other numbers than those of the training data."""

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_breast_cancer, load_digits

from keras_lecture.callbacks import Doctor
from keras_lecture.diagnosis._facts.evaluation import _classes, _renumbered
from keras_lecture.diagnosis._rules.renumbered import RULES

GENERATOR = np.random.default_rng(0)


def serious(x, y, x_val, y_val, model, loss, epochs=16, rate=0.001):
    keras.utils.set_random_seed(0)
    model.compile(keras.optimizers.Adam(rate), loss)
    doctor = Doctor(verbose=0)
    model.fit(x, y, validation_data=(x_val, y_val), epochs=epochs, verbose=0, callbacks=[doctor])
    return [(finding.rule, finding.severity) for finding in doctor.findings if finding.severity != "low"]


def digits(units=10):
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(x))
    x, y = ((x - 5) / 6).astype("float32")[order], y[order]
    hidden = layers.Dense(32, activation="relu")
    return x, y, keras.Sequential([keras.Input((64,)), hidden, layers.Dense(units, activation="softmax")])


@pytest.mark.parametrize("is_apart", [False, True])
def test_classes_in_the_order_of_their_appearance(is_apart):
    """Digits numbered as they come, in each part by itself: five of ten digits or more get another number."""
    x, y, model = digits()
    first = np.unique(y[1200:], return_index=True)[1]
    numbers = np.argsort(np.argsort(first)) if is_apart else np.arange(10)
    assert not is_apart or np.sum(numbers == np.arange(10)) <= 5
    found = serious(x[:1200], y[:1200], x[1200:], numbers[y[1200:]], model, "sparse_categorical_crossentropy")
    assert [f for f in found if f[0] != "bad-split"] == ([("label-mismatch", "medium")] if is_apart else [])


@pytest.mark.parametrize("is_apart", [False, True])
def test_two_classes(is_apart):
    x, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(x))
    x, y = ((x - x.mean(0)) / x.std(0)).astype("float32")[order], y[order]
    hidden = layers.Dense(16, activation="relu")
    model = keras.Sequential([keras.Input((30,)), hidden, layers.Dense(1, activation="sigmoid")])
    y_val = 1 - y[400:] if is_apart else y[400:]
    found = serious(x[:400], y[:400], x[400:], y_val, model, "binary_crossentropy")
    assert [f for f in found if f[0] != "bad-split"] == ([("label-mismatch", "medium")] if is_apart else [])


@pytest.mark.parametrize("is_apart", [False, True])
def test_words(is_apart):
    """The class says which half of the words prevails; in the validation data the words have other numbers."""
    x = np.random.default_rng(0).integers(0, 200, (1200, 11))
    y = (x < 100).sum(1) > 5
    model = keras.Sequential([layers.Embedding(200, 8), layers.GlobalAveragePooling1D(), layers.Dense(1, "sigmoid")])
    other = np.random.default_rng(1).permutation(200)[x[900:]] if is_apart else x[900:]
    found = serious(x[:900], y[:900], other, y[900:], model, "binary_crossentropy", epochs=32, rate=0.01)
    assert found == ([("unlearnable-labels", "medium")] if is_apart else [])


def test_accuracy_under_the_best_numbers():
    """By hand: of the predictions 1, 1, 0, 2 for the classes 0, 0, 1, 2 all are right with 0 and 1 swapped."""
    loss = [{"family": "sparse_categorical_crossentropy", "from_logits": False}]
    outputs = np.eye(3)[[1, 1, 0, 2]]
    assert _renumbered(_classes(loss, np.array([0, 0, 1, 2]), outputs)) == 1.0
    assert _renumbered(_classes(loss, np.array([0, 1, 1, 2]), outputs)) == 0.75
    assert _renumbered(_classes([{**loss[0], "family": "squared"}], np.array([0, 1, 1, 2]), outputs)) is None


def record(accuracy, renumbered, rows=400, own=0.95, other=0.95, units=10):
    probe = {"train": {"accuracy": own, "renumbered": other}}
    probe |= {"validation": {"accuracy": accuracy, "renumbered": renumbered}}
    data = {"validation": {"rows": rows}}
    return {"probes": [{"step": step} | probe for step in (0, 10, 20)], "data": data} | {
        "model": {"outputs": [{"shape": [units]}]}
    }


@pytest.mark.parametrize(
    ("expected", "facts"),
    [
        (True, {"accuracy": 0.1, "renumbered": 0.9}),
        (False, {"accuracy": 0.5, "renumbered": 0.7}),
        (False, {"accuracy": 0.1, "renumbered": 0.9, "rows": 40}),
        (False, {"accuracy": 0.1, "renumbered": 0.9, "units": 100}),
        (False, {"accuracy": 0.1, "renumbered": 0.9, "own": 0.5, "other": 0.9}),
        (False, {"accuracy": 0.3, "renumbered": 0.7, "rows": 60, "units": 2}),
    ],
)
def test_criterion(expected, facts):
    assert bool(list(RULES[0].judge(RULES[0], record(**facts)))) == expected
