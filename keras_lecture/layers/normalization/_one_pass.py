"""One pass over training data: its batches, their moments, and the weights that keep what was found."""

import keras
import numpy as np

from keras_lecture._core import checks

# Values that are held in float64 at a time: 8 MB.
_PART = 2**20


class Moments:
    """Mean and scatter of rows that come in parts, in float64, and the smallest and largest value.

    Two parts of n and m rows, means a and b, scatters S and T about their own means, merge without cancellation:

        mean a + (b − a)·m/(n + m),   scatter S + T + (b − a)(b − a)ᵀ·n·m/(n + m)

    (Chan, Golub and LeVeque, 1979). `products` of centered rows is what the scatter sums: `squares` or `outer`.
    """

    def __init__(self, products):
        self.products = products
        self.count = 0
        self.mean = self.scatter = 0.0
        self.low, self.high = np.inf, -np.inf

    def update(self, rows):
        """Adds a matrix of rows, of any type of number."""
        part = max(1, _PART // rows.shape[1])
        for start in range(0, len(rows), part):
            self._merge(np.asarray(rows[start : start + part], "float64"))

    def _merge(self, rows):
        total, mean = self.count + len(rows), rows.mean(0)
        shift = np.atleast_2d(mean - self.mean)
        self.scatter = self.scatter + self.products(rows - mean) + self.products(shift) * self.count * len(rows) / total
        self.mean = self.mean + shift[0] * len(rows) / total
        self.count = total
        self.low, self.high = min(self.low, rows.min()), max(self.high, rows.max())


def squares(rows):
    """Σ xᵢ² of each column."""
    return np.einsum("ij,ij->j", rows, rows)


def outer(rows):
    """Σ x xᵀ."""
    return rows.T @ rows


def moments(owner: str, data, rows, products, verbose: int) -> tuple[Moments, tuple]:
    """The moments of `rows(batch)` over all batches of `data`, and the shape of a batch with an open first axis."""
    checks.one_of(owner, "verbose", verbose, (0, 1))
    found, shape = Moments(products), None
    parts, length = batches(data, 256)
    bar = keras.utils.Progbar(length, verbose=verbose)
    for done, part in enumerate(parts, start=1):
        x = _host(part[0] if isinstance(part, tuple | list) else part)
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


def batches(data, batch_size: int):
    """The batches of `data` and how many there are, `None` if nobody knows.

    `data` is a structure of arrays, a `PyDataset`, or anything else that yields batches.
    """
    if isinstance(data, keras.utils.PyDataset):
        return (data[i] for i in range(len(data))), len(data)
    leaves = keras.tree.flatten(data)
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
    """A weight that `adapt`, a saved file or `set_weights` gives its value; `known` says whether one has."""

    known = False

    def assign(self, value):
        # NaN is what a layer that never was adapted has saved. Once known, a tensor is what training gives back.
        if not (self.known and keras.ops.is_tensor(value)):
            self.known = not np.isnan(_host(value.value if isinstance(value, keras.Variable) else value)).any()
        return super().assign(value)


def statistic(name: str, shape: tuple, dtype: str, given=None) -> Statistic:
    """A weight for a layer to keep: of the `given` value (numbers that broadcast), else NaN and not `known`."""
    start = np.full(shape, np.nan if given is None else given)

    # By an initializer: in a data pipeline an assignment would become part of the pipeline.
    def initializer(shape, dtype):
        return keras.ops.convert_to_tensor(start, dtype)

    weight = Statistic(initializer, shape=shape, dtype=dtype, trainable=False, autocast=False, name=name)
    weight.known = given is not None
    return weight


def given(owner: str, argument: str, value, *ranks: int):
    """The numbers that a user gives in place of `adapt`, as (nested) lists of floats for the configuration."""
    try:
        array = np.asarray(value, "float64")
    except (TypeError, ValueError):
        array = np.asarray(np.nan)
    if array.ndim not in ranks or not np.isfinite(array).all():
        axes = " or ".join(map(str, ranks))
        checks.reject(owner, argument, f"finite numbers with {axes} axes", value)
    return array.tolist()


def _host(x):
    """A NumPy array from an array or tensor of whatever framework."""
    return keras.ops.convert_to_numpy(x) if keras.ops.is_tensor(x) else np.asarray(x)


def _cut(data, rows):
    return keras.tree.map_structure(lambda x: x[rows], data)
