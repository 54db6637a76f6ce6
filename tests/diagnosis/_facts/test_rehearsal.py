"""The rehearsal on one batch against gradient descent in NumPy, and that it leaves no trace."""

import keras
import numpy as np
from keras import ops

from keras_lecture.diagnosis._facts.batches import as_tensors
from keras_lecture.diagnosis._facts.rehearsal import rehearse

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 3)).astype("float32")
Y = (X @ [[1.0], [-2.0], [0.5]] + 0.3).astype("float32")


def _values(model):
    variables = (*model.variables, *model.optimizer.variables, *model.metrics_variables)
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def test_the_losses_are_those_of_gradient_descent():
    """Oracle: gradient descent on a linear model in NumPy, 40 steps, to 1e-4."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.05), "mse")
    weight, bias = (np.array(ops.convert_to_numpy(v), "float64") for v in model.trainable_variables)
    expected = []
    for _ in range(41):
        residual = X @ weight + bias - Y
        expected.append(np.mean(residual**2))
        weight, bias = weight - 0.1 * X.T @ residual / 64, bias - 0.1 * residual.mean(0)
    facts = rehearse(model, as_tensors("test", model, (X, Y, None)))
    assert facts["steps"] >= 10
    np.testing.assert_allclose(facts["losses"], expected[: facts["steps"] + 1], rtol=1e-4)


def test_everything_is_taken_back():
    """After a rehearsal with dropout, statistics and metrics the next step is the one that it would have been."""
    layers = [keras.Input((3,)), keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    model.fit(X, Y, epochs=1, verbose=0, shuffle=False)
    before, function = _values(model), model.train_function
    # The global generators, too: on PyTorch a dropout without a seed draws from them.
    keras.utils.set_random_seed(1)
    drawn = np.random.random(), ops.convert_to_numpy(keras.random.normal((2,)))
    keras.utils.set_random_seed(1)
    assert rehearse(model, as_tensors("test", model, (X, Y, None)))["steps"] > 0
    assert np.random.random() == drawn[0]
    np.testing.assert_array_equal(ops.convert_to_numpy(keras.random.normal((2,))), drawn[1])
    assert model.train_function is function
    for old, new in zip(before, _values(model), strict=True):
        np.testing.assert_array_equal(old, new)


def test_models_with_their_own_train_step_are_not_rehearsed():
    class Own(keras.Sequential):
        def train_step(self, *arguments):
            raise AssertionError("a rehearsal would run the user's own code")

    model = Own([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    assert rehearse(model, as_tensors("test", model, (X, Y, None))) is None
