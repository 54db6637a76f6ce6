"""A model saved on JAX with slots that lie end to end goes on here (see `optimizers/make_golden.py`)."""

import runpy
from pathlib import Path

import keras
import numpy as np
from harness import BACKEND

HERE = Path(__file__).resolve().parent / "optimizers"
go_on = runpy.run_path(str(HERE / "make_golden.py"))["go_on"]


def test_training_goes_on_from_flat_slots_as_from_separate_ones():
    """Oracle: the same run on JAX with a slot for each variable, never saved; losses to 1e-5."""
    golden = np.load(HERE / "golden.npz")
    model = keras.saving.load_model(HERE / "golden.keras")
    if BACKEND == "torch":
        # Saved on JAX, it asks to be compiled, for which PyTorch takes half a minute.
        model.jit_compile = False
    np.testing.assert_allclose(go_on(model), golden["losses"], rtol=1e-5)
    assert [len(flat.places) for flat in model.optimizer.flat_slots] == [17, 17]
    for index, weight in enumerate(model.get_weights()):
        np.testing.assert_allclose(weight, golden[f"weight {index}"], rtol=1e-5, atol=1e-6)
