"""The arrays of a data set, and samples of their rows."""

from typing import Any

import keras
import numpy as np

ROWS = 20_000
BYTES = 64 * 2**20


def leaves(data: Any, name: str) -> dict[str, np.ndarray]:
    """The arrays by name: `"x"`, or `"x[0]"`, `"x['image']"` of a structure; a list of numbers or rows is one array."""
    if data is None:
        return {}
    if isinstance(data, dict):
        parts = [leaves(part, f"{name}[{key!r}]") for key, part in data.items()]
    elif isinstance(data, list | tuple) and any(_is_array(part) for part in data):
        parts = [leaves(part, f"{name}[{index}]") for index, part in enumerate(data)]
    else:
        return {name: _array(data)}
    return {key: array for part in parts for key, array in part.items()}


def _is_array(part):
    return isinstance(part, dict) or bool(np.shape(part) if hasattr(part, "shape") else False)


def _array(data):
    if isinstance(data, np.ndarray):
        array = data
    elif keras.ops.is_tensor(data):
        array = np.asarray(keras.ops.convert_to_numpy(data))
    else:
        array = np.asarray(data)
    if array.ndim == 0:
        raise ValueError("it has no rows")
    if array.dtype == object:
        # A frame of numbers of several types.
        try:
            array = array.astype("float64")
        except (TypeError, ValueError):
            return array
    if array.dtype.kind not in "biufUSO":
        # Types that NumPy does not know itself, such as bfloat16.
        array = array.astype("float32")
    return array


def rows_within(array: np.ndarray, rows: int = ROWS, size: int = BYTES) -> int:
    """The number of rows that fit the limits."""
    row = max(1, array.nbytes // max(1, len(array)))
    return min(len(array), rows, max(1, size // row))


def sample(array: np.ndarray, rows: int = ROWS, size: int = BYTES) -> np.ndarray:
    """The array, or rows of it within the limits, in order."""
    count = rows_within(array, rows, size)
    return array if count == len(array) else array[chosen(len(array), count)]


def chosen(total: int, count: int, seed: int = 0) -> np.ndarray:
    """`count` of `total` row numbers in increasing order, drawn by a fixed generator."""
    if count >= total:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, count, replace=False))


def blocks(count: int, size: int) -> list[slice]:
    """`count` rows or columns of `size` values in blocks of 2 MB in double precision.

    A copy of a whole array of bytes in double precision takes eight times its memory.
    """
    step = max(1, 2**18 // max(1, size))
    return [slice(start, start + step) for start in range(0, max(1, count), step)]


def has_strings(array: np.ndarray) -> bool:
    """Whether an array holds text."""
    return array.dtype.kind in "US" or any(isinstance(value, str) for value in array.reshape(-1)[:1000])


def summary(values: np.ndarray) -> dict[str, float]:
    """Mean, spread and range of finite values."""
    return {
        "rms": float(np.sqrt(np.mean(values**2))),
        "mean": float(values.mean()),
        "std": float(values.std()),
        "smallest": float(values.min()),
        "largest": float(values.max()),
    }
