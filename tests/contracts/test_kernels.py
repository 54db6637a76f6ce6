"""Every kernel stands for a formula: same room, same name, same arguments, and the same numbers, or it declines."""

import inspect
import types

import pytest

from keras_lecture._backend import _part, acceleration

KERNELS = getattr(_part("kernels"), "KERNELS", {})


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_a_kernel_has_the_signature_of_its_formula(name):
    """The numbers are compared where each unit is tested: there the same oracle judges formula and kernel."""
    assert name in acceleration.formulas, f"{name} computes nothing that `accelerate` knows"
    ours, theirs = inspect.signature(KERNELS[name]), inspect.signature(acceleration.formulas[name])
    assert [(p.name, p.kind) for p in ours.parameters.values()] == [
        (p.name, p.kind) for p in theirs.parameters.values()
    ]


def _module(name, *functions):
    """A module that defines functions of these names, as a file of kernels or of formulas would."""
    module = types.ModuleType(name)
    exec("\n".join(f"def {function}(x): return 2 * x" for function in functions), module.__dict__)
    return module


def test_two_rooms_may_have_kernels_of_one_name_and_each_formula_finds_its_own():
    """A formula `drop` of another room once took the kernel of the dropout layers."""
    layers, data = _module("kernels.layers", "drop"), _module("kernels.data", "drop")
    found = acceleration.kernels(layers=[layers], data=[data])
    assert found == {"layers.drop": layers.drop, "data.drop": data.drop}
    formula = _module("keras_lecture.data.batches", "drop").drop
    assert acceleration.qualified(formula) == "data.drop"
    assert acceleration.qualified(_module("keras_lecture._core.kinks", "drop").drop) == "_core.drop"


def test_two_kernels_of_one_name_in_a_room_are_an_error():
    modules = [_module("kernels.layers", "drop", "_helper"), _module("kernels.random_bits", "drop", "_helper")]
    with pytest.raises(ValueError, match=r"Two kernels .* layers\.drop, in kernels\.layers and kernels\.random_bits"):
        acceleration.kernels(layers=modules)


def test_two_formulas_of_one_name_in_a_room_are_an_error(monkeypatch):
    monkeypatch.setattr(acceleration, "formulas", {})
    accelerate = acceleration.accelerator({})
    accelerate(_module("keras_lecture.layers.crops", "place").place)
    with pytest.raises(ValueError, match=r"Two formulas .* layers\.place, in .*crops and .*affine"):
        accelerate(_module("keras_lecture.layers.affine", "place").place)


def test_what_a_file_of_kernels_imports_is_no_kernel():
    """Only what is written in the file counts: imported functions and classes are tools."""
    module = _module("kernels.layers", "drop")
    module.sqrt, module.Leak = _module("other", "sqrt").sqrt, type("Leak", (), {})
    assert set(acceleration.kernels(layers=[module])) == {"layers.drop"}
