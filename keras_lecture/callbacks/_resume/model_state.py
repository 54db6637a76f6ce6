"""All variables of a compiled model as named arrays: to save, compare and restore."""

import itertools
import re

import numpy as np
from keras import ops

from keras_lecture._training.variables import groups_of


def state(model) -> dict[str, list]:
    """The current values, by group."""
    return {
        group: [{"path": v.path, "dtype": v.dtype, "value": np.asarray(ops.convert_to_numpy(v))} for v in members]
        for group, members in groups_of(model).items()
    }


def difference(model, saved, groups) -> str | None:
    """The first difference between the variables of the model and the saved ones, in words."""
    for group in groups:
        here = [_described(v.path, v.dtype, v.shape) for v in groups_of(model)[group]]
        there = [_described(entry["path"], entry["dtype"], entry["value"].shape) for entry in saved[group]]
        for index, pair in enumerate(itertools.zip_longest(there, here, fillvalue="missing")):
            if pair[0] != pair[1]:
                name = group.replace("_", "-")
                return f"{name} variable {index} is {pair[0]} in the file and {pair[1]} in the model"
    return None


def assign(model, saved, groups):
    """Assigns saved values to the variables of these groups."""
    for group in groups:
        for variable, entry in zip(groups_of(model)[group], saved[group], strict=True):
            value = entry["value"]
            variable.assign(value.astype(variable.dtype) if value.dtype.kind in "iu" else value)


def _described(path, dtype, shape):
    # Keras numbers names within a process, and the integer types differ between backends.
    name = re.sub(r"_\d+(?=[_/]|$)", "", path)
    return f"{name} {tuple(shape)} of {'integers' if 'int' in dtype else dtype}"
