"""NaN and infinity in an input, a label and a gradient, and what each protection does: `make soak`."""

import keras
import numpy as np
import pytest
from support.harness import BACKEND

from keras_lecture.callbacks import GradientClipping, TerminateOnNonFinite

RNG = np.random.default_rng(0)
X, Y = RNG.uniform(0.5, 1.5, (24, 3)).astype("float32"), RNG.normal(size=(24, 1)).astype("float32")
BAD, SIZE, BATCHES = 3, 4, 6
VALUES = {"nan": np.nan, "inf": np.inf}
PLACES = ("input", "target", "gradient")


def model():
    keras.utils.set_random_seed(0)
    # The root has an infinite gradient at 0, where its value is finite.
    layers = [keras.layers.Lambda(keras.ops.sqrt, name="root"), keras.layers.Dense(1, name="line")]
    built = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, use_bias=False, name="first"), *layers])
    built.get_layer("first").set_weights([np.eye(3)])
    built.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=False if BACKEND == "tensorflow" else "auto")
    return built


def data(place, value):
    """The data with the fault in batch number 3 of 6."""
    x, y, row = X.copy(), Y.copy(), BAD * SIZE + 1
    if place == "input":
        x[row, 1] = value
    elif place == "target":
        y[row, 0] = value
    else:
        x[row] = 0.0
    return x, y


def fit(place, value, *callbacks, rows=slice(None)):
    built, (x, y) = model(), data(place, value)
    built.fit(x[rows], y[rows], batch_size=SIZE, shuffle=False, verbose=0, callbacks=list(callbacks))
    return built.get_weights()


def finite(weights):
    return all(np.isfinite(w).all() for w in weights)


CASES = [(place, name) for place in PLACES for name in VALUES if (place, name) != ("gradient", "nan")]


@pytest.mark.parametrize(("place", "name"), CASES)
def test_without_protection_the_weights_are_lost(place, name):
    """The fault is real: otherwise the other tests would show nothing."""
    assert not finite(fit(place, VALUES[name]))


@pytest.mark.parametrize(("place", "name"), CASES)
def test_terminate_on_nonfinite_keeps_the_weights_from_before(place, name):
    guard = TerminateOnNonFinite()
    weights = fit(place, VALUES[name], guard)
    np.testing.assert_equal(weights, fit(place, VALUES[name], rows=slice(BAD * SIZE)))
    assert (guard.finding.epoch, guard.finding.batch, guard.finding.kind) == (0, BAD, place)


@pytest.mark.parametrize(("place", "name"), CASES)
def test_clipping_raises_skips_or_zeroes(place, name):
    """`"skip"` ends as a run without the batch; the others keep finite weights."""
    value, good = VALUES[name], [i for i in range(BATCHES * SIZE) if i // SIZE != BAD]
    skipped = fit(place, value, GradientClipping(value=1e6, on_nonfinite="skip"))
    np.testing.assert_allclose(np.concatenate([w.ravel() for w in skipped]), _flat(fit(place, value, rows=good)), 1e-6)
    assert finite(fit(place, value, GradientClipping(value=1e6, on_nonfinite="zero")))
    built, (x, y) = model(), data(place, value)
    with pytest.raises(FloatingPointError):
        clipping = GradientClipping(value=1e6, on_nonfinite="raise")
        built.fit(x, y, batch_size=SIZE, shuffle=False, verbose=0, callbacks=[clipping])
    assert finite(built.get_weights())


def _flat(weights):
    return np.concatenate([w.ravel() for w in weights])
