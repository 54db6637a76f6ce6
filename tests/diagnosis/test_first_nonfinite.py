"""`first_nonfinite` on models with one known source of infinities or NaN."""

import keras
import numpy as np
import pytest
from keras import ops
from support.harness import numpy

from keras_lecture.diagnosis import first_nonfinite

X, Y = np.ones((4, 3), "float32"), np.ones((4, 2), "float32")
NAN, INF = float("nan"), float("inf")


def model(middle=None, loss="mse", **options):
    layers = [keras.layers.Dense(4, name="first"), keras.layers.Dense(2, name="last")]
    layers.insert(1, keras.layers.Lambda(middle or (lambda x: x), name="middle"))
    built = keras.Sequential([keras.Input((3,)), *layers])
    built.compile("sgd", loss, **options)
    return built


def functional():
    """A plain operation between two layers."""
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, name="first")(inputs)
    built = keras.Model(inputs, keras.layers.Dense(2, name="last")(ops.log(hidden - hidden)))
    built.compile("sgd", "mse")
    return built


class Subclassed(keras.Model):
    """An operation in the model's own `call`: only the next layer sees its result."""

    def __init__(self):
        super().__init__()
        self.first, self.last = keras.layers.Dense(4, name="first"), keras.layers.Dense(2, name="last")

    def call(self, x):
        return self.last(ops.log(-ops.exp(self.first(x))))


def subclassed():
    built = Subclassed()
    built(X)
    built.compile("sgd", "mse")
    return built


def recurrent():
    """Its cell runs in a loop that a backend may compile, where tensors have no values."""
    built = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(2, name="lstm")])
    built.compile("sgd", "mse")
    return built


def with_nan_weights():
    built = model()
    built.layers[2].kernel.assign(np.full((4, 2), NAN))
    return built


def zero_with_nan_gradient(x):
    """0, with the gradient 0·∞."""
    return ops.sqrt(ops.square(x * 0.0))


CASES = {
    "healthy": (model, X, Y, None, None),
    "weight": (with_nan_weights, X, Y, "weight", "last/kernel"),
    "input": (model, X * NAN, Y, "input", "x"),
    "recurrent": (recurrent, np.full((4, 5, 3), INF, "float32"), Y, "input", "x"),
    "activation": (lambda: model(lambda x: ops.log(x - x)), X, Y, "activation", "middle"),
    "operation": (functional, X, Y, "activation", "log"),
    "call of the model": (subclassed, X, Y, "activation", "last"),
    "target": (lambda: model(loss="mae"), X, Y * INF, "target", "y"),
    "loss": (lambda: model(loss=lambda y, p: ops.log(p - p)), X, Y, "loss", "loss"),
    "gradient": (lambda: model(zero_with_nan_gradient), X, Y, "gradient", "first/"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_origin_is_found_and_the_model_is_unchanged(case):
    make, x, y, kind, where = CASES[case]
    built = make()
    before = [numpy(v) for v in built.variables]
    found = first_nonfinite(built, x, y)
    if kind is None:
        assert found is None
    else:
        assert found.kind == kind
        assert where in found.where
    for variable, value in zip(built.variables, before, strict=True):
        np.testing.assert_array_equal(numpy(variable), value)
    assert not any("call" in vars(layer) for layer in (built, *built.layers))


def test_an_input_that_a_layer_replaces_is_not_reported():
    built = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(ops.nan_to_num), keras.layers.Dense(2)])
    built.compile("sgd", "mse")
    assert first_nonfinite(built, X * NAN, Y) is None


def test_the_names_of_structured_inputs_and_sample_weights():
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    built = keras.Model({"left": left, "right": right}, keras.layers.Dense(2)(left + right))
    built.compile("sgd", "mse")
    assert first_nonfinite(built, {"left": X, "right": X * NAN}, Y).where == "x['right']"
    found = first_nonfinite(built, {"left": X, "right": X}, Y, np.array([1.0, 1.0, NAN, 1.0]))
    assert (found.kind, found.where) == ("target", "sample_weight")


def test_rejects_a_model_that_is_not_compiled():
    built = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="first_nonfinite: `model` must be built and compiled"):
        first_nonfinite(built, X, Y)


def test_a_model_of_several_outputs_before_its_first_fit():
    """Keras makes a tracker for each output when it first computes the loss: the second call had more variables."""
    inputs = keras.Input((3,))
    model = keras.Model(inputs, [keras.layers.Dense(1, name="a")(inputs), keras.layers.Dense(2, name="b")(inputs)])
    model.compile("sgd", ["mse", "mse"])
    targets = [np.ones((4, 1)), np.ones((4, 2))]
    assert first_nonfinite(model, np.ones((4, 3)), targets) is None
    targets[1][0, 0] = np.nan
    assert first_nonfinite(model, np.ones((4, 3)), targets).kind == "target"
