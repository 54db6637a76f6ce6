"""How a formula finds its kernel: by name, with the right to decline."""

import functools
import inspect

import keras

# name → formula: the tests hold every kernel against its formula through this table.
formulas = {}


def accelerator(kernels):
    """The decorator `accelerate` over one backend's module of kernels.

    A kernel has the name and the signature of its formula and returns `None` to decline a call (a device, a dtype, a
    shape it is not made for). The formula in `keras.ops` stays the definition and is the kernel's oracle in the tests.
    """

    def accelerate(formula):
        definition = inspect.unwrap(formula)
        formulas[definition.__name__] = definition
        kernel = getattr(kernels, definition.__name__, None)
        if kernel is None:
            return formula

        @functools.wraps(formula)
        def fastest(*args, **options):
            # Symbolic tensors have no values: they go through `keras.ops`.
            if any(isinstance(arg, keras.KerasTensor) for arg in args):
                return formula(*args, **options)
            result = kernel(*args, **options)
            return formula(*args, **options) if result is None else result

        return fastest

    return accelerate
