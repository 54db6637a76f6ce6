"""`split` and `split_indices`: random splits into representative parts."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_lecture._core import checks
from keras_lecture.data._rows import apportionment, examples
from keras_lecture.data._rows.labels import strata


def split(
    x: Any,
    y: Any = None,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    *,
    stratify: Any = True,
    seed: int | None = None,
) -> tuple[Any, ...]:
    """Splits examples at random into representative parts, such as training, validation and test sets.

    Use it once, before anything is learned from the data; `validation_split` of `fit` takes the last examples, which
    are all of one class if the data are sorted. It costs a copy of the data.

        n_cp = n_c·f_p  rounded down or up, so that Σ_p n_cp = n_c and the parts have Σ_c n_cp = N·f_p, rounded

    n_c examples of class c, f_p `fractions`. Equal seeds give equal parts.

    Args:
        x: Inputs: an array, a list of numbers or strings, or a list, tuple or dict of arrays, with one row per example.
            Frames and series of pandas and polars become arrays.
        y: Targets, in the same forms.
        fractions: Two or more fractions, one per part, with sum 1. Defaults to `(0.6, 0.2, 0.2)`.
        stratify: `True` for equal fractions of each class of `y` (integers, strings, one-hot rows) in all parts, or of
            each tenth of the distribution of a continuous `y`. Integers and floats are continuous if they have more
            than ten distinct values and each occurs fewer than five times on average; else they are classes. `False`
            for a purely random split. Or an array with one label per example, used instead of `y`. Without `y`, `True`
            has no effect. Defaults to `True`.
        seed: Seed of the split. Defaults to a random seed.

    Returns:
        One pair `(x, y)` per part, or only `x` if there is no `y`; the examples of a part are in random order.

    Example:
        >>> x, y = np.arange(20), np.arange(20) % 2
        >>> (x_train, y_train), (x_val, y_val), (x_test, y_test) = keras_lecture.data.split(x, y, seed=0)
        >>> [np.bincount(part).tolist() for part in (y_train, y_val, y_test)]
        [[6, 6], [2, 2], [2, 2]]

    Reference:
        Decks A and D (60 % training, 20 % validation, 20 % test; three representative subsets). A class with fewer
        examples than parts goes to the largest parts, as far as their sizes allow; all classes of one example are
        treated as one class. `keras.utils.split_dataset` makes two purely random parts.
    """
    data, count = examples.arrays("split", x=x, y=y)
    by = stratify
    if stratify is True:
        by = data[1] if len(data) == 2 else False
        if isinstance(by, dict | tuple):
            remedy = "`y` holds several arrays: pass one of them, or `False` for a random split."
            checks.reject("split", "stratify", "labels or False", stratify, remedy)
    parts = _parts("split", count, by, fractions, seed)
    cut = [examples.rows(data, rows) for rows in parts]
    return tuple(part if len(data) == 2 else part[0] for part in cut)


def split_indices(
    count: int, fractions: Sequence[float] = (0.6, 0.2, 0.2), *, stratify: Any = None, seed: int | None = None
) -> tuple[np.ndarray, ...]:
    """Splits row indices at random into representative parts, for data that are not in memory.

    Use it if the rows are read later: `split` with the same labels and seed selects the same examples. It costs one
    permutation.

        n_cp = n_c·f_p  rounded down or up, so that Σ_p n_cp = n_c and the parts have Σ_c n_cp = N·f_p, rounded

    n_c examples of class c, f_p `fractions`, N `count`. Together the parts are the integers below `count`.

    Args:
        count: Number of examples.
        fractions: Two or more fractions, one per part, with sum 1. Defaults to `(0.6, 0.2, 0.2)`.
        stratify: An array with one label or continuous target per example, see `split`. Defaults to `None`, a purely
            random split.
        seed: Seed of the split. Defaults to a random seed.

    Returns:
        One array of row indices per part, in random order.

    Example:
        >>> train, rest = keras_lecture.data.split_indices(6, (0.5, 0.5), stratify=["a", "a", "b", "b", "b", "b"])
        >>> int(np.sum(train < 2)), int(np.sum(rest < 2)), sorted([*train.tolist(), *rest.tolist()])
        (1, 1, [0, 1, 2, 3, 4, 5])

    Reference:
        Decks A and D (60 % training, 20 % validation, 20 % test; three representative subsets).
    """
    checks.whole("split_indices", "count", count)
    return _parts("split_indices", count, False if stratify is None else stratify, fractions, seed)


def _parts(owner, count, by, fractions, seed):
    """The row indices of each part; `by` is an array of labels, or `False`."""
    _check_fractions(owner, count, fractions)
    classes = (
        np.zeros(count, int)
        if by is False
        else strata(owner, "stratify", by, count, "Pass `False` for a random split.")
    )
    if seed is not None:
        checks.whole(owner, "seed", seed, "[0, 4294967295]")
    random = np.random.Generator(np.random.Philox(key=int(np.random.randint(2**31)) if seed is None else int(seed)))
    # A stable sort of a random permutation: each class in random order.
    order = random.permutation(count)
    by_class = order[np.argsort(classes[order], kind="stable")]
    table = apportionment.table(np.bincount(classes), fractions)
    bounds = np.cumsum(table).reshape(table.shape)
    pieces = np.split(by_class, bounds.reshape(-1)[:-1])
    columns = (np.concatenate(pieces[part :: len(fractions)]) for part in range(len(fractions)))
    return tuple(random.permutation(column) for column in columns)


def _check_fractions(owner, count, fractions):
    expected = "two or more numbers in (0, 1) that add up to 1"
    try:
        numbers = [float(fraction) for fraction in fractions]
    except (TypeError, ValueError):
        checks.reject(owner, "fractions", expected, fractions, error=TypeError)
    valid = len(numbers) > 1 and all(0 < number < 1 for number in numbers)
    if not valid or not math.isclose(sum(numbers), 1, abs_tol=1e-9):
        checks.reject(owner, "fractions", expected, fractions)
    if not apportionment.sizes(count, numbers).all():
        checks.reject(owner, "fractions", f"large enough for at least one of {count} examples per part", fractions)
