"""One pass over training data: batches, their moments, and weights that store the result."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from keras_lecture import _backend
from keras_lecture._core import checks
from keras_lecture._core.types import Tensor

# Number of values converted to float64 at a time: 8 MB.
_PART = 2**20


class Moments:
    """Running mean and scatter of rows, in float64, with the smallest and largest value.

    Two parts of n and m rows, means a and b, scatters S and T about their own means, merge without cancellation:

        mean a + (b − a)·m/(n + m),   scatter S + T + (b − a)(b − a)ᵀ·n·m/(n + m)

    (Chan, Golub and LeVeque, 1979). The scatter is the sum of the `products` of centered rows, `squares` or `outer`.
    """

    def __init__(self, products: Callable[[np.ndarray], np.ndarray]) -> None:
        self.products = products
        self.count: Any = 0
        self.mean: Any = 0.0
        self.scatter: Any = 0.0
        self.low: float = np.inf
        self.high: float = -np.inf

    def update(self, rows: Any) -> None:
        """Adds the rows of a matrix of any numeric dtype."""
        part = max(1, _PART // rows.shape[1])
        for start in range(0, len(rows), part):
            x = np.asarray(rows[start : start + part], "float64")
            mean = x.mean(0)
            self.merge(len(x), mean, self.products(x - mean))
            self.low, self.high = min(self.low, x.min()), max(self.high, x.max())

    def merge(self, count: Any, mean: np.ndarray, scatter: np.ndarray) -> None:
        """Adds `count` rows, at least one, by their mean and their scatter about it."""
        total, shift = self.count + count, np.atleast_2d(mean - self.mean)
        self.scatter = self.scatter + scatter + self.products(shift) * self.count * count / total
        self.mean = self.mean + shift[0] * count / total
        self.count = total


def squares(rows: np.ndarray) -> np.ndarray:
    """Σ xᵢ² of each column."""
    return np.einsum("ij,ij->j", rows, rows)


def outer(rows: np.ndarray) -> np.ndarray:
    """Σ x xᵀ."""
    return rows.T @ rows


def moments(
    owner: str, data: Any, rows: Callable, products: Callable, verbose: int
) -> tuple[Moments, tuple[int | None, ...]]:
    """The moments of `rows(batch)` over all batches of `data`, and the shape of a batch with None as the first size."""
    checks.one_of(owner, "verbose", verbose, (0, 1))
    found, shape = Moments(products), None
    parts, length = batches(data, 256)
    bar = keras.utils.Progbar(length, verbose=verbose)
    for done, part in enumerate(parts, start=1):
        batch = part[0] if isinstance(part, tuple | list) else part
        if np.ma.is_masked(batch):
            checks.reject(owner, "data", "free of masked values", type(batch), "Leave out their rows.")
        x = _host(batch)
        if x.dtype == object:
            checks.reject(owner, "data", "an array of samples, or batches of them", type(batch), error=TypeError)
        here, shape = rows(x), shape or (None, *x.shape[1:])
        if found.count and here.shape[1] != len(found.mean):
            checks.reject(owner, "data", f"batches like the first, {shape}", x.shape)
        found.update(here)
        bar.update(done)
    if not found.count:
        checks.reject(owner, "data", "at least one batch", data)
    if not np.isfinite(found.mean).all():
        checks.reject(owner, "data", "finite numbers", float(found.mean.sum()))
    return found, shape


def batches(data: Any, batch_size: int) -> tuple[Iterable, int | None]:
    """The batches of `data` and their number, None if it is unknown.

    `data` is a structure of arrays, a `PyDataset`, or another iterable of batches, also a list of them.
    """
    if isinstance(data, keras.utils.PyDataset):
        return (data[i] for i in range(len(data))), len(data)
    leaves = keras.tree.flatten(data)
    if isinstance(data, list) and leaves and not any(hasattr(leaf, "shape") for leaf in leaves):
        # Nested lists of numbers are one array, and no list of batches.
        data = np.asarray(data)
        leaves = [data]
    if not isinstance(data, list) and all(hasattr(leaf, "shape") for leaf in leaves):
        size = leaves[0].shape[0]
        starts = range(0, size, batch_size)
        return (_cut(data, slice(i, i + batch_size)) for i in starts), len(starts)
    try:
        length = len(data)
    except TypeError:
        length = None
    return data, length


class Statistic(keras.Variable):
    """A weight set by `adapt`, by loading or by `set_weights`; NaN until then."""

    _known: bool = False

    @property
    def known(self) -> bool:
        """Whether it is set."""
        if not self._known:
            # The loaders of the frameworks write values without `assign`.
            with _backend.outside_of_traces():
                self._known = _is_set(self._value)
        # A stateless call may bring another value along.
        return self._known or _is_set(self)

    @known.setter
    def known(self, value: bool) -> None:
        self._known = value

    def assign(self, value: Tensor) -> Tensor:
        # NaN was saved by a layer that was never adapted. Once known, a tensor is the value that training writes back.
        if not (self._known and keras.ops.is_tensor(value)):
            self._known = _is_set(value)
        return super().assign(value)


def _is_set(value):
    try:
        return not np.isnan(_host(value.value if isinstance(value, keras.Variable) else value)).any()
    except Exception:
        # In a trace a value has no numbers.
        return False


def statistic(name: str, shape: tuple, dtype: str, given: Any = None) -> Statistic:
    """A weight with the `given` value, broadcast to `shape`; without one it is NaN."""
    start = np.full(shape, np.nan if given is None else given)

    # Set by an initializer: in a data pipeline an assignment would become part of the pipeline.
    def initializer(shape, dtype):
        return keras.ops.convert_to_tensor(start, dtype)

    weight = Statistic(initializer, shape=shape, dtype=dtype, trainable=False, autocast=False, name=name)
    # In a trace its value has no numbers yet.
    weight.known = given is not None
    return weight


def given(owner: str, argument: str, value: Any, *ranks: int) -> Any:
    """Statistics given in place of `adapt`, checked, as a number or (nested) lists of floats for the config."""
    try:
        array = np.asarray(value, "float64")
    except (TypeError, ValueError):
        array = np.asarray(np.nan)
    if array.ndim not in ranks or not np.isfinite(array).all():
        axes = " or ".join(map(str, ranks))
        checks.reject(owner, argument, f"finite numbers with {axes} axes", value)
    return array.tolist()


def _host(x):
    """A NumPy array from an array or a tensor of any framework."""
    return keras.ops.convert_to_numpy(x) if keras.ops.is_tensor(x) else np.asarray(x)


def _cut(data, rows):
    return keras.tree.map_structure(lambda x: x[rows], data)
