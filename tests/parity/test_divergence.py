"""A run that was recorded under another backend: no divergence, and a changed layer is found."""

import importlib.util
from pathlib import Path

import pytest

from keras_lecture.diagnosis import divergence

HERE = Path(__file__).resolve().parent / "divergence"


def _maker():
    spec = importlib.util.spec_from_file_location("make_golden_divergence", HERE / "make_golden.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("epsilon", "expected"), [(1e-3, (None, None)), (1.1e-3, ("forward", "norm"))])
def test_a_run_under_another_backend_agrees_except_for_a_changed_layer(epsilon, expected):
    """Oracle: `golden.npz`, written under JAX; the tolerances are those of `compare`."""
    found = divergence.compare(_maker().network(epsilon), HERE / "golden.npz")
    assert (found.stage, found.layer) == expected, str(found)
    assert found.runs[0]["backend"].startswith("jax")
    assert len(found.table) > 50
