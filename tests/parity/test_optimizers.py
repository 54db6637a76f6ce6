"""A model saved on any backend resumes with the state of its optimizer (see `optimizers/make_golden.py`)."""

import runpy
from pathlib import Path

import keras
import numpy as np
import pytest

HERE = Path(__file__).resolve().parent / "optimizers"
go_on = runpy.run_path(str(HERE / "make_golden.py"))["go_on"]


@pytest.mark.parametrize("saved_on", ["jax", "tensorflow", "torch"])
def test_training_resumes_as_on_the_saving_backend(saved_on):
    """Oracle: the same run on JAX without saving; losses and weights to 1e-5."""
    golden = np.load(HERE / "golden.npz")
    model = keras.saving.load_model(HERE / f"{saved_on}.keras")
    assert len(model.optimizer.variables) == 2 + 2 * len(model.trainable_variables)
    np.testing.assert_allclose(go_on(model), golden["losses"], rtol=1e-5)
    for index, weight in enumerate(model.get_weights()):
        np.testing.assert_allclose(weight, golden[f"weight {index}"], rtol=1e-5, atol=1e-6)
