"""Compiled training traces a unit once: later steps and epochs do not retrace it."""

import keras
import numpy as np
import pytest
from support.constructions import ARGUMENTS
from support.harness import BACKEND
from support.public import public_classes, public_functions

X = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")
Y = np.random.default_rng(1).integers(0, 2, size=(8, 1))


# The losses of class scores; the others take one output.
OF_CLASSES = ("losses.MulticlassHinge", "losses.SoftmaxCrossEntropy")


def traces_of_fit(model, method):
    """The number of Python calls of `method` after each of three epochs of two equal batches."""
    calls = []
    owner, name = method
    original = getattr(owner, name)

    def counted(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    setattr(owner, name, counted)
    counts = []
    for _ in range(3):
        model.fit(X, Y, batch_size=4, epochs=1, verbose=0)
        counts.append(len(calls))
    return counts


@pytest.mark.parametrize("name", sorted(n for n in public_classes() if n.startswith("losses.")))
def test_a_loss_is_traced_once(name):
    loss = public_classes()[name](**ARGUMENTS.get(name, {}))
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2 if name in OF_CLASSES else 1)])
    model.compile("sgd", loss=loss)
    first, second, third = traces_of_fit(model, (loss, "call"))
    assert first > 0
    # Eager PyTorch calls the loss on each of the two batches of an epoch; a compiled step does not call it again.
    assert (second - first, third - second) == ((2, 2) if BACKEND == "torch" else (0, 0))


@pytest.mark.parametrize("name", sorted(n for n in public_functions() if n.startswith("activations.")))
def test_an_activation_trains_compiled(name):
    """By `fit` with default compilation, in float32 and mixed precision: the loss stays finite and falls."""
    for policy in ("float32", "mixed_float16" if BACKEND != "torch" else "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        keras.utils.set_random_seed(0)
        inputs = keras.Input((6,))
        hidden = public_functions()[name](keras.layers.Dense(8)(inputs))
        model = keras.Model(inputs, keras.layers.Dense(1, dtype="float32")(hidden))
        model.compile(keras.optimizers.SGD(0.05), loss="mse")
        history = model.fit(X, Y.astype("float32"), batch_size=8, epochs=5, verbose=0).history["loss"]
        assert np.isfinite(history).all()
        assert history[-1] < history[0]
