"""Networks of all families, saved on JAX (see `models/make_golden.py`), give the same numbers on every backend."""

from pathlib import Path

import keras
import numpy as np
from support.harness import numpy

from keras_lecture import models

HERE = Path(__file__).resolve().parent / "models"


def test_the_golden_nets_load_without_custom_objects_and_predict_the_same(tmp_path):
    """Oracle: the predictions on JAX before saving, to 1e-5 of the largest score."""
    model, golden = keras.saving.load_model(HERE / "golden.keras"), np.load(HERE / "golden.npz")
    assert {*golden.files} == {name for name in models.__all__ if name != "fine_tune"}
    x = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")
    for name, scores in model.predict(x, verbose=0).items():
        np.testing.assert_allclose(scores, golden[name], rtol=0, atol=1e-5 * np.abs(golden[name]).max(), err_msg=name)
    model.save(tmp_path / "again.keras")
    again = keras.saving.load_model(tmp_path / "again.keras")
    for saved, weight in zip(again.variables, model.variables, strict=True):
        np.testing.assert_array_equal(numpy(saved), numpy(weight))
