"""Every kernel has the room, name and arguments of its formula, and names are unique."""

import inspect
import types

import pytest

from keras_lecture._backend import _part, acceleration

KERNELS = _part("kernels").KERNELS


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_a_kernel_has_the_signature_of_its_formula(name):
    """The tests of each unit compare the numbers of formula and kernel with the same oracle."""
    assert name in acceleration.formulas, f"{name} is the kernel of no accelerated formula"
    ours, theirs = inspect.signature(KERNELS[name]), inspect.signature(acceleration.formulas[name])
    assert [(p.name, p.kind) for p in ours.parameters.values()] == [
        (p.name, p.kind) for p in theirs.parameters.values()
    ]


def _module(name, *functions):
    """A module that defines functions of these names, as a file of kernels or of formulas would."""
    module = types.ModuleType(name)
    exec("\n".join(f"def {function}(x): return 2 * x" for function in functions), module.__dict__)
    return module


def test_kernels_of_the_same_name_in_two_rooms_are_kept_apart():
    """A formula `drop` of another room once got the kernel of the dropout layers."""
    layers, data = _module("kernels.layers", "drop"), _module("kernels.data", "drop")
    found = acceleration.kernels(layers=[layers], data=[data])
    assert found == {"layers.drop": layers.drop, "data.drop": data.drop}
    formula = _module("keras_lecture.data.batches", "drop").drop
    assert acceleration.qualified(formula) == "data.drop"
    assert acceleration.qualified(_module("keras_lecture._core.kinks", "drop").drop) == "_core.drop"


def test_two_kernels_of_the_same_name_in_a_room_are_an_error():
    modules = [_module("kernels.layers", "drop", "_helper"), _module("kernels.random_bits", "drop", "_helper")]
    with pytest.raises(ValueError, match=r"Two kernels .* layers\.drop, in kernels\.layers and kernels\.random_bits"):
        acceleration.kernels(layers=modules)


def test_two_formulas_of_the_same_name_in_a_room_are_an_error(monkeypatch):
    monkeypatch.setattr(acceleration, "formulas", {})
    accelerate = acceleration.accelerator({})
    accelerate(_module("keras_lecture.layers.crops", "place").place)
    with pytest.raises(ValueError, match=r"Two formulas .* layers\.place, in .*crops and .*affine"):
        accelerate(_module("keras_lecture.layers.affine", "place").place)


def test_imported_functions_and_classes_are_not_kernels():
    module = _module("kernels.layers", "drop")
    module.sqrt, module.Leak = _module("other", "sqrt").sqrt, type("Leak", (), {})
    assert set(acceleration.kernels(layers=[module])) == {"layers.drop"}
