"""Batches of a user's data as tensors, and rows taken from data of any form."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture._core import checks


def as_tensors(owner: str, model: keras.Model, batch: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    """`(x, y, sample_weight)` as tensors with Keras's float type; an error for data that cannot become numbers."""
    names = ("x", "y", "sample_weight")
    parts = [_converted(owner, name, part) for name, part in zip(names, batch, strict=True)]
    sizes = {int(leaf.shape[0]) for leaf in keras.tree.flatten(parts) if leaf is not None and len(leaf.shape)}
    if parts[0] is None or sizes == {0} or not sizes:
        checks.reject(owner, "x", "a batch of at least one sample", batch[0])
    if len(sizes) > 1:
        checks.reject(owner, "x", "of the same length as `y` and `sample_weight`", sorted(sizes))
    return tuple(parts)


def _converted(owner, name, part):
    def leaf(value):
        if value is None or ops.is_tensor(value):
            return value
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            remedy = "Encode text and objects as numbers first."
            checks.reject(owner, name, "of numbers", str(array.dtype), remedy, TypeError)
        is_float = array.dtype.kind == "f"
        return ops.convert_to_tensor(array, dtype=keras.config.floatx() if is_float else None)

    if hasattr(part, "to_numpy"):
        part = part.to_numpy()
    # A list of numbers is an array; a list of arrays stands for several inputs.
    if isinstance(part, list | tuple) and part and np.ndim(part[0]) == 0 and not ops.is_tensor(part[0]):
        part = np.asarray(part)
    return keras.tree.map_structure(leaf, part)


def copied(structure: Any) -> Any:
    """Copies of the tensors: on PyTorch, `RandomBrightness` of Keras 3.15 changes its input in place."""
    return keras.tree.map_structure(lambda leaf: ops.copy(leaf) if ops.is_tensor(leaf) else leaf, structure)


def size(x: Any) -> int | None:
    """The number of rows of arrays in a structure; `None` if it is not known or they differ."""
    try:
        sizes = {len(leaf) for leaf in keras.tree.flatten(x) if leaf is not None}
    except TypeError:
        return None
    return sizes.pop() if len(sizes) == 1 else None


def sampled(data: tuple[Any, ...], count: int, size: int, seed: int = 0) -> tuple[Any, ...]:
    """At most `size` of the `count` rows of each part, chosen with a generator of their own; a part may be `None`."""
    chosen = np.sort(np.random.default_rng(seed).permutation(count)[:size])
    return tuple(None if part is None else rows(part, chosen) for part in data)


def rows(structure: Any, chosen: np.ndarray) -> Any:
    """The chosen rows (in ascending order) of each array, frame or tensor in a structure, as NumPy arrays."""

    def take(leaf):
        if leaf is None:
            return None
        if hasattr(leaf, "iloc"):
            return leaf.iloc[chosen].to_numpy()
        if isinstance(leaf, np.ndarray):
            return leaf[chosen]
        if ops.is_tensor(leaf):
            return ops.convert_to_numpy(ops.take(leaf, ops.convert_to_tensor(chosen), axis=0))
        return np.asarray(leaf)[chosen]

    if hasattr(structure, "iloc"):
        return take(structure)
    return keras.tree.map_structure(take, structure)
