"""The public names, discovered: a new unit is under contract by being listed in its subpackage's `__all__`."""

import inspect

import keras

import keras_lecture


def subpackages():
    return {name: getattr(keras_lecture, name) for name in keras_lecture.__all__}


def public_objects():
    """`{"losses.L1": class, …}` for every name of every public subpackage, those of its modules included."""
    return {f"{area}.{name}": unit for area, module in subpackages().items() for name, unit in units(module)}


def units(module):
    for name in module.__all__:
        unit = getattr(module, name)
        yield from units(unit) if inspect.ismodule(unit) else [(name, unit)]


# For users to derive from; a rule of their own registers itself.
BASES = {"optimizers.Rule"}


def public_classes():
    return {name: unit for name, unit in public_objects().items() if inspect.isclass(unit) and name not in BASES}


def configurable_classes():
    """Those that a configuration describes; batches are made of the examples they hold."""
    return {name: unit for name, unit in public_classes().items() if not issubclass(unit, keras.utils.PyDataset)}


def public_functions():
    return {name: unit for name, unit in public_objects().items() if inspect.isfunction(unit)}
