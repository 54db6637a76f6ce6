"""Discovers the public names: listing a new unit in its subpackage's `__all__` puts it under the contracts."""

import inspect

import keras

import keras_lecture


def subpackages():
    return {name: getattr(keras_lecture, name) for name in keras_lecture.__all__}


def public_objects():
    """`{"losses.L1": class, …}` for every public name, including those in modules of the subpackages."""
    return {f"{area}.{name}": unit for area, module in subpackages().items() for name, unit in units(module)}


def units(module):
    for name in module.__all__:
        unit = getattr(module, name)
        yield from units(unit) if inspect.ismodule(unit) else [(name, unit)]


# Base classes for users, who register their own subclasses.
BASES = {"optimizers.Rule"}


def public_classes():
    return {name: unit for name, unit in public_objects().items() if inspect.isclass(unit) and name not in BASES}


# Not registered with Keras: a hostile `.keras` file must not construct a class that takes a path.
TAKING_A_PATH = {"callbacks.AverageModelCheckpoint", "callbacks.ExactResume", "callbacks.TerminateOnNonFinite"}


def configurable_classes():
    """The public classes whose config Keras can load; batches and the doctor, which hold data, have no config."""
    units = {n: unit for n, unit in public_classes().items() if n not in {"callbacks.Doctor", *TAKING_A_PATH}}
    return {name: unit for name, unit in units.items() if not issubclass(unit, keras.utils.PyDataset)}


def public_functions():
    return {name: unit for name, unit in public_objects().items() if inspect.isfunction(unit)}
