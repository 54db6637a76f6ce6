"""Dispatch from a formula to the backend's kernel of the same room and name, which may decline the call."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import keras

# "room.name" → formula. The tests compare every kernel with its formula through this table.
formulas = {}

Formula = TypeVar("Formula", bound=Callable[..., Any])


class Decorator(Protocol):
    """A decorator that keeps the signature of a formula."""

    def __call__(self, formula: Formula) -> Formula: ...


def kernels(**rooms):
    """`{"room.name": kernel}` for the public functions defined in the modules of each room."""
    found = {}
    for room, modules in rooms.items():
        for module in modules:
            for name, function in vars(module).items():
                if inspect.isfunction(function) and function.__module__ == module.__name__ and name[0] != "_":
                    _enter(found, f"{room}.{name}", function, "kernels")
    return found


def accelerator(kernels: dict[str, Callable[..., Any]]) -> Decorator:
    """The decorator `accelerate` for the kernels of one backend.

    A kernel has the room, the name and the signature of its formula and returns `None` to decline a call (an
    unsupported device, dtype or shape). The room is the part of the package that contains the formula. The formula in
    `keras.ops` remains the definition and is the kernel's oracle in the tests.
    """

    def accelerate(formula: Formula) -> Formula:
        definition = inspect.unwrap(formula)
        name = qualified(definition)
        _enter(formulas, name, definition, "formulas")
        kernel = kernels.get(name)
        if kernel is None:
            return formula

        @functools.wraps(formula)
        def fastest(*args, **options):
            # Symbolic tensors have no values: only `keras.ops` accepts them.
            if any(isinstance(arg, keras.KerasTensor) for arg in args):
                return formula(*args, **options)
            result = kernel(*args, **options)
            return formula(*args, **options) if result is None else result

        return fastest

    return accelerate


def qualified(formula):
    """`"layers.drop"` for `drop` of `keras_lecture.layers.random_bits`."""
    room = formula.__module__.split(".")[:2][-1]
    return f"{room}.{formula.__name__}"


def _enter(table, name, function, kind):
    if name in table:
        modules = " and ".join(f.__module__ for f in (table[name], function))
        raise ValueError(f"Two {kind} have the name {name}, in {modules}: rename one of them.")
    table[name] = function
