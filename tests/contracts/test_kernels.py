"""Every kernel stands for a formula: same name, same arguments, same numbers and gradients, or it declines."""

import inspect

import pytest
from harness import BACKEND

from keras_lecture.backend import _part
from keras_lecture.backend.acceleration import formulas

MODULE = _part("kernels")
KERNELS = {name: getattr(MODULE, name) for name in getattr(MODULE, "__all__", [])}


@pytest.mark.parametrize("name", sorted(KERNELS) or ["none"])
def test_a_kernel_has_the_signature_of_its_formula(name):
    """The numbers are compared where each unit is tested: there the same oracle judges formula and kernel."""
    if name == "none":
        assert BACKEND == "jax", "a backend without kernels"
        return
    assert name in formulas, f"{name} computes nothing that `accelerate` knows"
    ours, theirs = inspect.signature(KERNELS[name]), inspect.signature(formulas[name])
    assert [(p.name, p.kind) for p in ours.parameters.values()] == [
        (p.name, p.kind) for p in theirs.parameters.values()
    ]
