"""A run that was killed on JAX resumes on every backend (see `resume/make_golden.py`) as if it had not stopped."""

import runpy
import shutil
from pathlib import Path

import numpy as np
from support.harness import BACKEND

HERE = Path(__file__).resolve().parent / "resume"
run = runpy.run_path(str(HERE / "make_golden.py"))["run"]


def test_a_run_that_was_killed_on_jax_resumes(tmp_path):
    """Oracle: the uninterrupted run on JAX; logs and weights to 1e-5, the first loss on JAX to the bit."""
    (file,) = HERE.glob("run-*.npz")
    shutil.copy(file, tmp_path)
    model, history = run(str(tmp_path))
    golden = np.load(HERE / "golden.npz")
    found = {f"logs {name}": logs for name, logs in history.items()}
    found |= {f"weight {index}": weight for index, weight in enumerate(model.get_weights())}
    assert sorted(found) == sorted(golden.files) and len(history["loss"]) == 4
    for name, values in found.items():
        np.testing.assert_allclose(values, golden[name], rtol=1e-5, atol=1e-6, err_msg=name)
    assert BACKEND != "jax" or np.array_equal(history["loss"][:1], golden["logs loss"][:1])
