"""Examples in memory: arrays, or nested structures of arrays, with one row per example."""

import keras
import numpy as np

from keras_lecture import checks


def arrays(owner: str, **named):
    """NumPy arrays in the structure of each argument, `None` left out, lists as tuples; and the number of examples.

    Tuples, because TensorFlow's pipelines stack what stands in a list.
    """
    structures, count = [], None
    for argument, value in named.items():
        if value is None:
            continue
        structure = keras.tree.lists_to_tuples(keras.tree.map_structure(array, value))
        shapes = [leaf.shape for leaf in keras.tree.flatten(structure)]
        if not shapes or () in shapes:
            kind = "an array, or a list, tuple or dict of arrays, with one row per example"
            checks.reject(owner, argument, kind, _glance(value), error=TypeError)
        count = shapes[0][0] if count is None else count
        if any(shape[0] != count for shape in shapes):
            checks.reject(owner, argument, f"arrays of {count} rows each", _glance(value), "One row is one example.")
        structures.append(structure)
    if count == 0:
        checks.reject(owner, next(iter(named)), "at least one example", _glance(next(iter(named.values()))))
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
    """A NumPy array of an array, list or tensor; a memory-mapped one stays one, read where a batch asks for it."""
    return np.asarray(value if isinstance(value, np.ndarray | list) else keras.ops.convert_to_numpy(value))


def _glance(value):
    """What an error shows of data: shapes, where there are any."""
    return keras.tree.map_structure(lambda leaf: getattr(leaf, "shape", leaf), value)
