"""The audit of models and data with known contradictions, and of healthy ones."""

import random

import keras
import numpy as np
import pytest
from keras import layers, ops
from sklearn.datasets import load_digits
from support.harness import numpy

from keras_lecture._core.random_state import random_state
from keras_lecture.diagnosis.audit import audit
from keras_lecture.layers import ZeroCenter
from keras_lecture.losses import SoftmaxCrossEntropy

X, Y = load_digits(return_X_y=True)
X, Y = ((X - X.mean(0)) / (X.std(0) + 1e-3)).astype("float32")[:600], Y[:600]


def classifier(activation="softmax", loss="sparse_categorical_crossentropy", first=()):
    stack = [*first, layers.Dense(16, "relu"), layers.Dense(10, activation)]
    model = keras.Sequential([keras.Input((64,)), *stack])
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def rules(findings, *severities):
    return {finding.rule for finding in findings if finding.severity in (severities or ("low", "medium", "high"))}


def test_a_healthy_model_has_no_serious_finding_and_remains_as_it_is():
    model = classifier(first=[layers.Dropout(0.2)])
    before, state = [numpy(v) for v in model.variables], random_state()
    findings = audit(model, X[:400], Y[:400], validation_data=(X[400:], Y[400:]))
    assert not rules(findings, "medium", "high"), findings
    for variable, value in zip(model.variables, before, strict=False):
        np.testing.assert_array_equal(numpy(variable), value)
    assert random_state().python == state.python == random.getstate()
    keras.tree.map_structure(np.testing.assert_array_equal, random_state().numpy, state.numpy)


@pytest.mark.parametrize(
    ("expected", "severity", "model", "data", "options"),
    [
        ("output-loss-mismatch", "high", {"activation": None}, (X, Y), {}),
        ("label-mismatch", "high", {}, (X, Y + 1), {}),
        ("label-mismatch", "high", {"loss": "categorical_crossentropy"}, (X, Y), {}),
        ("non-finite", "high", {}, (np.where(X > 3.5, np.nan, X), Y), {}),
        ("unshuffled-batches", "medium", {}, (X[np.argsort(Y)], np.sort(Y)), {"shuffle": False}),
        ("leaked-validation", "medium", {}, (X, Y), {"validation_data": (X[:100], Y[:100])}),
    ],
)
def test_contradictions_are_named(expected, severity, model, data, options):
    findings = audit(classifier(**model), *data, **options)
    assert expected in rules(findings, severity)
    assert len(rules(findings, "medium", "high")) <= 2


class Two(keras.Model):
    """Two inputs, two outputs, no functional graph."""

    def __init__(self):
        super().__init__()
        self.hidden, self.classes, self.number = layers.Dense(8, "relu"), layers.Dense(10), layers.Dense(1, "relu")

    def call(self, inputs):
        hidden = self.hidden(ops.concatenate([inputs["a"], inputs["b"]], axis=-1))
        return {"classes": self.classes(hidden), "number": self.number(hidden)}


def test_several_inputs_and_outputs_of_a_subclassed_model():
    model = Two()
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", {"classes": sparse, "number": "mse"})
    x = {"a": X[:, :32], "b": X[:, 32:]}
    findings = audit(model, x, {"classes": Y, "number": X[:, 20]})
    wrong = [finding for finding in findings if finding.rule == "output-loss-mismatch"]
    assert [finding.severity for finding in wrong] == ["high"] and "relu" in wrong[0].cause, findings


def test_chosen_rules_alone_judge():
    findings = audit(classifier(None), X, Y + 1, rules=["label-mismatch"])
    assert rules(findings) == {"label-mismatch"}


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (ValueError, "at least one sample", lambda: (classifier(), X[:0], Y[:0])),
        (TypeError, "return_inverse", lambda: (classifier(), X, Y.astype(str))),
        (ValueError, "600 rows", lambda: (classifier(), X, Y[:5])),
        (ValueError, "can take. Received: shapes", lambda: (classifier(), X[:, :5], Y)),
        (ValueError, "model.compile", lambda: (keras.Sequential([layers.Dense(1)]), X, Y)),
        (TypeError, "a Keras model", lambda: (None, X, Y)),
        (TypeError, "callbacks.Doctor", lambda: (classifier(), iter([X]), Y)),
        (TypeError, "one row per sample", lambda: (classifier(), None, Y)),
    ],
)
def test_bad_input(error, message, arguments):
    with pytest.raises(error, match=message):
        audit(*arguments())


@pytest.mark.parametrize(
    ("message", "data"),
    [
        ("`validation_data` must be data that the model .* can take", (X[:50, :5], Y[:50])),
        ("`validation_data` must be of as many rows in each part. Received: .*50, 40", (X[:50], Y[:40])),
        ("`validation_data` must be of as many rows in each part. Received: .*50, 50, 7", (X[:50], Y[:50], np.ones(7))),
    ],
)
def test_bad_validation_data(message, data):
    """Validation data that end a `fit` after its first epoch were "healthy", and unequal rows were an IndexError."""
    with pytest.raises(ValueError, match=message):
        audit(classifier(), X, Y, validation_data=data)


def test_labels_outside_are_the_one_cause_of_a_loss_that_is_not_finite():
    """The verdict spoke of the loss alone and advised a lower rate: the labels came second, with less confidence."""
    findings = audit(classifier(None, SoftmaxCrossEntropy()), X, Y + 1)
    assert rules(findings, "medium", "high") == {"label-mismatch"}
    assert "non-finite" in rules(findings, "low")


def test_bad_options():
    for option in ({"batch_size": 0}, {"validation_data": X}, {"rules": ["dead-rlu"]}, {"rules": "all"}):
        with pytest.raises(ValueError, match="audit"):
            audit(classifier(), X, Y, **option)


def test_an_output_without_a_loss_is_not_judged_by_the_loss_of_another():
    """Found by a user: the loss of the first output in a list with None was applied to the second, a regression."""
    inputs = keras.Input((64,))
    hidden = layers.Dense(8, "relu")(inputs)
    outputs = [layers.Dense(10, name="classes")(hidden), layers.Dense(1, name="free")(hidden)]
    model = keras.Model(inputs, outputs)
    model.compile("adam", [keras.losses.SparseCategoricalCrossentropy(from_logits=True), None])
    found = audit(model, X, [Y, X[:, :1] - 0.5])
    assert not [finding for finding in found if finding.severity != "low"]


def test_the_statistics_of_adapted_layers_are_not_frozen_weights():
    """`Normalization` and `ZeroCenter` never train their mean and deviation; the twin freezes a kernel."""
    adapted = [layers.Normalization(), ZeroCenter(unit_variance=True)]
    for layer in adapted:
        layer.adapt(X)
    model = classifier(first=adapted)
    assert not audit(model, X, Y, rules=["frozen-layer"])
    model.layers[-2].trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    assert [finding.layer for finding in audit(model, X, Y, rules=["frozen-layer"])] == [model.layers[-2].name]
