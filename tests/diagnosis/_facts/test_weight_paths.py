"""Weights with one path, of which Keras on PyTorch resets only one gradient."""

import keras
import numpy as np
import pytest
from keras import layers
from support.harness import numpy

from keras_lecture.callbacks import Doctor
from keras_lecture.diagnosis.audit import audit

X, Y = np.ones((3, 1), "float32"), np.ones((3, 1), "float32")


def unit():
    return layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="same")


def network():
    inputs = keras.Input((1,))
    return keras.Model(inputs, unit()(inputs))


def together(*networks):
    inputs = keras.Input((1,))
    return keras.Model(inputs, layers.Add()([each(inputs) for each in networks]))


def two_networks():
    return together(network(), network())


def in_name_scopes():
    networks = []
    for name in ("first", "second"):
        with keras.name_scope(name):
            networks.append(network())
    return together(*networks)


def one_network_twice():
    shared = network()
    return together(shared, shared)


class Attributes(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = unit(), unit()

    def call(self, x):
        return self.first(x) + self.second(x)


class List(Attributes):
    def __init__(self):
        keras.Model.__init__(self)
        self.units = [unit(), unit()]

    def call(self, x):
        return self.units[0](x) + self.units[1](x)


def mean_output(y_true, y_pred):
    return keras.ops.mean(y_pred)


@pytest.mark.parametrize("build", [two_networks, in_name_scopes, one_network_twice, Attributes, List])
def test_the_finding_and_the_lost_gradients_go_together(build):
    """Under a loss whose gradient is 1 in each weight, three steps of rate 1 give −3, more if gradients add up.

    One network used twice has the gradient 2: −6.
    """
    model = build()
    model(X)
    model.compile(keras.optimizers.SGD(1.0), mean_output, jit_compile=False)
    start = [numpy(v) for v in model.trainable_variables]
    audited = {f.rule: f.severity for f in audit(model, X, Y, rules=["shared-weight-path"])}
    for variable, value in zip(model.trainable_variables, start, strict=True):
        np.testing.assert_array_equal(numpy(variable), value)
    doctor = Doctor(verbose=0)
    model.fit(X, Y, batch_size=1, verbose=0, callbacks=[doctor])
    seen = [f.severity for f in doctor.findings if f.rule == "shared-weight-path"]
    once = -6.0 if build is one_network_twice else -3.0
    is_lost = any(numpy(v).item() != once for v in model.trainable_variables)
    assert is_lost == (build in (two_networks, Attributes, List) and keras.backend.backend() == "torch")
    assert (seen, list(audited.values())) == ((["high"], ["high"]) if is_lost else ([], []))
