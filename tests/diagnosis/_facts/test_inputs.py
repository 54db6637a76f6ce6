"""Which layers are the first ones of a model, whose inputs must have unit scale.

Oracle: the models as they are written.
"""

import keras
import numpy as np

from keras_lecture.callbacks import Doctor

X = np.random.default_rng(0).integers(0, 20, (64, 6))


def first_layers(model, x, y):
    model.compile("sgd", "mse")
    doctor = Doctor(verbose=0)
    model.fit(x, y, epochs=1, verbose=0, callbacks=[doctor])
    assert doctor.record["unseen"] == []
    return [entry["layer"] for entry in doctor.record["start"]["first_inputs"]]


def test_a_projection_inside_of_attention_is_no_first_layer():
    """How attention mixes its values is hidden: its last projection "had unscaled inputs", with code for the data."""
    tokens = keras.Input((6,))
    embedded = keras.layers.Embedding(20, 8)(tokens)
    mixed = keras.layers.MultiHeadAttention(2, 4)(embedded, embedded)
    net = keras.Model(tokens, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(mixed)))
    assert first_layers(net, X, np.zeros((64, 1), "float32")) == []


class Scaled(keras.Model):
    """Scales its input by hand, in an operation that no hook sees."""

    def __init__(self):
        super().__init__()
        self.one, self.two = keras.layers.Dense(4, name="one"), keras.layers.Dense(1, name="two")

    def call(self, x):
        return self.two(self.one(x / 20.0))


def test_an_input_that_the_model_scales_itself_enters_its_first_layer():
    assert first_layers(Scaled(), X.astype("float32"), np.zeros((64, 1), "float32")) == ["one"]


def test_each_input_has_a_first_layer():
    inputs = [keras.Input((6,), name=name) for name in ("a", "b")]
    parts = [keras.layers.Dense(4, name=f"from_{each.name}")(keras.layers.Rescaling(0.1)(each)) for each in inputs]
    net = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Concatenate()(parts)))
    x = X.astype("float32")
    assert sorted(first_layers(net, {"a": x, "b": x}, np.zeros((64, 1), "float32"))) == ["from_a", "from_b"]
