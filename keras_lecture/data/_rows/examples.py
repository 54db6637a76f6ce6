"""Examples in memory: arrays, or nested structures of arrays, with one row per example."""

import keras
import numpy as np

from keras_lecture._core import checks


def arrays(owner: str, **named):
    """The arguments as structures of NumPy arrays, without `None` and with lists as tuples, and the number of examples.

    Tuples, because TensorFlow's pipelines stack the elements of a list.
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
    """The `chosen` rows of every array; with `cast`, in the types that `fit` takes: floats in `floatx`."""

    def take(leaf):
        taken = leaf[chosen]
        if cast and taken.dtype.kind == "f" and taken.dtype != keras.config.floatx():
            return taken.astype(keras.config.floatx())
        if cast and taken.dtype.kind in "SUO" and keras.backend.backend() == "tensorflow":
            # Keras has no name for NumPy's types of strings.
            return keras.ops.convert_to_tensor(taken)
        return taken

    return keras.tree.map_structure(take, structure)


def array(value):
    """A NumPy array from an array, list, frame or tensor; a memory-mapped array is not read yet."""
    if isinstance(value, np.ndarray):
        return value
    return np.asarray(keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else value)


def _structure(value):
    """`value` as a structure of arrays, with lists as tuples; a list of numbers, strings or rows is one array."""
    if isinstance(value, dict):
        return {name: _structure(part) for name, part in value.items()}
    return tuple(_structure(part) for part in value) if is_several(value) else array(value)


def is_several(value) -> bool:
    """Whether `value` holds several arrays: a dict, or a list or tuple that contains an array."""
    leaves = keras.tree.flatten(value) if isinstance(value, list | tuple) else ()
    return isinstance(value, dict) or any(hasattr(leaf, "shape") and len(leaf.shape) for leaf in leaves)


def check_values(owner: str, argument: str, structure):
    """Refuses objects other than strings, such as missing values or mixed types, on which Keras cannot train.

    Masked values, too: Keras would silently train on what is behind the mask.
    """
    for leaf in keras.tree.flatten(structure):
        if np.ma.is_masked(leaf):
            remedy = f"Fill them in with `{argument}.filled(…)`, or leave out their rows."
            checks.reject(owner, argument, "free of masked values", type(leaf), remedy)
        is_mixed = leaf.dtype == object and not all(isinstance(value, str | bytes) for value in leaf.flat)
        if is_mixed or leaf.dtype.kind == "V":
            remedy = (
                "Fill in or leave out missing values, turn categories into numbers, and give columns of several types "
                f'one type, as in `{argument}.astype("float32")`.'
            )
            checks.reject(owner, argument, "numbers or strings, one type per array", leaf.dtype, remedy, TypeError)


def _shapes(structure):
    """The shapes of all arrays, for error messages."""
    return keras.tree.map_structure(lambda leaf: leaf.shape, structure)
