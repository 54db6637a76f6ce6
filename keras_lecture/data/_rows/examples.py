"""Examples in memory: arrays, or nested structures of arrays, with one row per example."""

import keras
import numpy as np

from keras_lecture._core import checks


def arrays(owner: str, **named):
    """NumPy arrays in the structure of each argument, `None` left out, lists as tuples; and the number of examples.

    Tuples, because TensorFlow's pipelines stack what stands in a list.
    """
    structures, count = [], None
    for argument, value in named.items():
        if value is None:
            continue
        kind = "an array, or a list, tuple or dict of arrays, with one row per example"
        try:
            structure = _structure(value)
        except (TypeError, ValueError):
            checks.reject(owner, argument, kind, type(value), error=TypeError)
        shapes = [leaf.shape for leaf in keras.tree.flatten(structure)]
        if not shapes or () in shapes:
            checks.reject(owner, argument, kind, type(value), error=TypeError)
        count = shapes[0][0] if count is None else count
        if count == 0:
            checks.reject(owner, argument, "at least one example", _shapes(structure))
        if any(shape[0] != count for shape in shapes):
            remedy = "One row is one example."
            checks.reject(owner, argument, f"arrays of {count} rows each", _shapes(structure), remedy)
        structures.append(structure)
    return tuple(structures), count


def rows(structure, chosen, cast: bool = False):
    """The `chosen` rows of every array; with `cast`, floating ones in Keras's float type, as `fit` has it of arrays."""

    def take(leaf):
        taken = leaf[chosen]
        if cast and taken.dtype.kind == "f" and taken.dtype != keras.config.floatx():
            return taken.astype(keras.config.floatx())
        return taken

    return keras.tree.map_structure(take, structure)


def array(value):
    """A NumPy array of an array, list, frame or tensor; a memory-mapped one is read where a batch asks for it."""
    if isinstance(value, np.ndarray):
        return value
    return np.asarray(keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else value)


def _structure(value):
    """Arrays in the structure of `value`, lists as tuples; a list of numbers, strings or rows of them is one array."""
    if isinstance(value, dict):
        return {name: _structure(part) for name, part in value.items()}
    return tuple(_structure(part) for part in value) if is_several(value) else array(value)


def is_several(value) -> bool:
    """Whether `value` holds arrays, and is not one: a dict, or a list or tuple with an array in it."""
    leaves = keras.tree.flatten(value) if isinstance(value, list | tuple) else ()
    return isinstance(value, dict) or any(hasattr(leaf, "shape") and len(leaf.shape) for leaf in leaves)


def check_values(owner: str, argument: str, structure):
    """Refuses objects that are not strings: missing values, columns of several types; Keras trains on none of them."""
    for leaf in keras.tree.flatten(structure):
        if leaf.dtype == object and not all(isinstance(value, str) for value in leaf.flat):
            remedy = "Fill in or leave out missing values, and turn categories into numbers."
            checks.reject(owner, argument, "numbers or strings, one type per array", leaf.dtype, remedy, TypeError)


def _shapes(structure):
    """What an error shows of data."""
    return keras.tree.map_structure(lambda leaf: leaf.shape, structure)
