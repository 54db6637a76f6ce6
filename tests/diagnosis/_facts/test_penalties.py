"""The penalties of layers in a record: what they are, and how much of the loss they make up.

Oracle: the factor times the sum of squares of the kernel, and of sizes of the outputs divided by the samples, as Keras
does, in NumPy. Tolerance: 1e-4 of the penalty, which is a difference of two losses in float32.
"""

import keras
import numpy as np
from support.harness import numpy

from keras_lecture.callbacks import Doctor

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = X[:, :1]


class Constrained(keras.layers.Layer):
    """Adds a term of the loss that is no penalty."""

    def call(self, x):
        self.add_loss(3.0 * keras.ops.mean(keras.ops.square(x)))
        return x


def model(*regularizers):
    options = dict(zip(("kernel_regularizer", "activity_regularizer"), regularizers, strict=True))
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(8, "relu", name="hidden", **options)
    net = keras.Sequential([keras.Input((4,)), Constrained(), hidden, keras.layers.Dense(1)])
    net.compile("sgd", "mse")
    return net


def test_penalties_on_outputs_are_a_part_of_the_loss_that_is_known():
    """An activity penalty a hundred times the loss was none: the units that it killed were called the cause."""
    net = model(keras.regularizers.L2(0.01), keras.regularizers.L1(0.1))
    hidden = net.get_layer("hidden")
    kernel, outputs = (numpy(value).astype("float64") for value in (hidden.kernel, hidden(X)))
    expected = 0.01 * (kernel**2).sum() + 0.1 * np.abs(outputs).sum() / len(X)
    doctor = Doctor(verbose=0)
    net.fit(X, Y, batch_size=64, epochs=1, shuffle=False, verbose=0, callbacks=[doctor])
    found = doctor.record["start"]["regularization"]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    penalties = next(layer for layer in doctor.record["model"]["layers"] if layer["name"] == "hidden")["penalties"]
    expected = [("kernel", "L2", {"l2": 0.01}), ("activity", "L1", {"l1": 0.1})]
    assert sorted((each["on"], each["class"]) for each in penalties) == sorted(each[:2] for each in expected)
    factors = {each["on"]: each["factors"] for each in penalties}
    for place, _, wanted in expected:
        assert factors[place].keys() == wanted.keys()
        np.testing.assert_allclose([*factors[place].values()], [*wanted.values()], rtol=1e-6)


def test_a_layer_s_own_term_of_the_loss_is_no_penalty():
    """The term of a variational model is what it learns from."""
    doctor = Doctor(verbose=0)
    model(None, None).fit(X, Y, epochs=1, verbose=0, callbacks=[doctor])
    assert doctor.record["start"]["regularization"] == 0.0
    assert doctor.record["start"]["loss"] > 2.0


def test_a_function_as_a_penalty_has_no_factors():
    doctor = Doctor(verbose=0)
    model(lambda kernel: keras.ops.mean(kernel * kernel), None).fit(X, Y, verbose=0, callbacks=[doctor])
    layer = next(layer for layer in doctor.record["model"]["layers"] if layer["name"] == "hidden")
    assert layer["penalties"] == [{"on": "kernel", "class": "<lambda>", "factors": {}}]
