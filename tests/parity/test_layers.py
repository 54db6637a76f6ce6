"""A model of all layers, saved on JAX (see `layers/make_golden.py`), gives the same numbers on every backend."""

from pathlib import Path

import keras
import numpy as np
from support.harness import assert_close, numpy

from keras_lecture import layers

HERE = Path(__file__).resolve().parent / "layers"


def data():
    x = np.random.default_rng(0).normal(size=(24, 8, 8, 3)).astype("float32")
    return x, x.mean((1, 2))


def test_the_golden_model_predicts_the_same():
    """Oracle: the predictions on JAX before saving, to 1e-5."""
    model, golden = keras.saving.load_model(HERE / "golden.keras"), np.load(HERE / "golden.npz")
    assert_close(model.predict(data()[0], verbose=0), golden["predicted"], rtol=1e-5, atol=1e-5)


def test_the_golden_model_continues_the_same_random_stream():
    """The next training call drops the same values as after saving on JAX, not those of a new model."""
    model, golden = keras.saving.load_model(HERE / "golden.keras"), np.load(HERE / "golden.npz")
    assert_close(model(data()[0], training=True), golden["trained"], rtol=1e-4, atol=1e-4)


def test_the_golden_model_continues_training_and_saves_again(tmp_path):
    model, (x, y) = keras.saving.load_model(HERE / "golden.keras"), data()
    model.compile(keras.optimizers.SGD(0.02), "mse")
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, batch_size=8, epochs=3, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before
    model.save(tmp_path / "again.keras")
    again = keras.saving.load_model(tmp_path / "again.keras")
    assert_close(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_the_golden_model_contains_every_public_layer():
    model = keras.saving.load_model(HERE / "golden.keras")
    missing = {getattr(layers, name) for name in layers.__all__ if isinstance(getattr(layers, name), type)}
    missing -= {type(layer) for layer in model.layers}
    assert not missing, f"add {missing} to make_golden.py and run it"
    assert all(np.all(np.isfinite(numpy(v))) for v in model.variables)
