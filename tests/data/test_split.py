"""`split` against its definition, counted by NumPy, and against scikit-learn's StratifiedShuffleSplit."""

import time

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit

from keras_lecture.data import split, split_indices
from keras_lecture.data._rows import apportionment

FRACTIONS = [(0.6, 0.2, 0.2), (0.8, 0.2), (0.5, 0.25, 0.25), (1 / 3, 1 / 3, 1 / 3)]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), st.sampled_from([*FRACTIONS, (0.4, 0.3, 0.2, 0.1)]))
def test_each_share_is_rounded_and_the_totals_are_exact(counts, fractions):
    counts, exact = np.array(counts), np.outer(counts, fractions)
    table = apportionment.table(counts, fractions)
    assert (table.sum(1) == counts).all()
    total = counts.sum() * np.array(fractions)
    assert (np.abs(table.sum(0) - total) < 1).all()
    assert (np.abs(table - exact) < 1 - 1e-9).all()


def test_many_small_classes_are_distributed_in_linear_time():
    """40,000 classes of two took minutes: each class searched all classes before it for one that could move."""
    fractions = np.array(FRACTIONS[0])
    table = apportionment.table(np.full(40_000, 2), fractions)
    assert (table.sum(1) == 2).all()
    assert table.sum(0).tolist() == [48_000, 16_000, 16_000]
    assert (np.abs(table - 2 * fractions) < 1).all()


@given(st.integers(1, 10**6), st.sampled_from(FRACTIONS))
def test_sizes_follow_the_largest_remainders(count, fractions):
    sizes = apportionment.sizes(count, fractions)
    remainders = np.round(count * np.array(fractions), 9) % 1
    up = sizes - np.floor(np.round(count * np.array(fractions), 9))
    assert sizes.sum() == count
    assert set(up) <= {0.0, 1.0}
    assert not up.any() or remainders[up == 1].min() >= remainders[up == 0].max(initial=0)


@pytest.mark.parametrize("fractions", FRACTIONS)
@pytest.mark.parametrize("labels", ["integers", "strings", "one-hot", "column", "bool"])
def test_parts_hold_equal_shares_of_each_class(fractions, labels):
    numbers = np.random.default_rng(0).choice(2 if labels == "bool" else 4, size=203)
    y = {
        "integers": numbers,
        "strings": np.array(["red", "green", "blue", "gray"])[numbers],
        "one-hot": np.eye(4)[numbers],
        "column": numbers[:, None].astype("float32"),
        "bool": numbers.astype(bool),
    }[labels]
    x = np.arange(203)
    parts = split(x, y, fractions, seed=3)
    assert len(parts) == len(fractions)
    assert sorted(np.concatenate([x for x, _ in parts])) == x.tolist()
    for (rows, targets), fraction in zip(parts, fractions, strict=True):
        np.testing.assert_array_equal(targets, y[rows])
        shares = np.bincount(numbers[rows], minlength=numbers.max() + 1) - fraction * np.bincount(numbers)
        assert (np.abs(shares) < 1).all()
        assert np.diff(rows).min() < 0, "the order within a part is random"


def test_two_parts_have_the_counts_of_scikit_learn():
    y = np.random.default_rng(1).choice(5, p=[0.4, 0.3, 0.2, 0.05, 0.05], size=500)
    for fraction in (0.1, 0.25, 0.3):
        theirs = next(StratifiedShuffleSplit(1, test_size=fraction, random_state=0).split(y, y))
        ours = split_indices(500, (1 - fraction, fraction), stratify=y, seed=0)
        for mine, other in zip(ours, theirs, strict=True):
            assert len(mine) == len(other)
            assert np.abs(np.bincount(y[mine], minlength=5) - np.bincount(y[other], minlength=5)).max() <= 1


def test_a_continuous_target_is_split_by_tenths_of_its_distribution():
    y = np.random.default_rng(2).lognormal(size=300)
    tenth = np.argsort(np.argsort(y)) // 30
    for part, fraction in zip(split(y, y, seed=0), (0.6, 0.2, 0.2), strict=True):
        held = np.bincount(tenth[np.isin(y, part[1])], minlength=10)
        assert (np.abs(held - 30 * fraction) < 1).all()
    by_chance = [np.mean(part[1]) for part in split(y, y, stratify=False, seed=0)]
    assert np.std([np.mean(part[1]) for part in split(y, y, seed=0)]) < np.std(by_chance)


def test_integers_that_rarely_repeat_are_a_continuous_target():
    y = np.random.default_rng(2).integers(25, 347, size=442).astype("float32")
    (_, train), _, (_, test) = split(y, y, seed=0)
    assert abs(np.mean(train < np.median(y)) - np.mean(test < np.median(y))) < 0.02


@pytest.mark.parametrize(
    "y",
    [
        np.random.default_rng(3).integers(0, 10**6, 4000),
        np.random.default_rng(3).integers(0, 10**6, 4000).astype(float),
        np.arange(4000).astype(str),
    ],
    ids=["integers", "floats", "names"],
)
def test_distinct_labels_are_split_quickly(y):
    """L12: 4,000 integers, each its own class, took 43 s. Oracle: the sizes, and for numbers tenths by NumPy."""
    start = time.perf_counter()
    parts = split_indices(4000, stratify=y, seed=0)
    assert time.perf_counter() - start < 5
    assert [len(part) for part in parts] == [2400, 800, 800]
    if y.dtype.kind != "U":
        tenths = np.searchsorted(np.quantile(y, np.arange(1, 10) / 10), y)
        for part, fraction in zip(parts, (0.6, 0.2, 0.2), strict=True):
            assert np.abs(np.bincount(tenths[part], minlength=10) - 400 * fraction).max() <= 2


@pytest.mark.parametrize("dtype", ["int64", "float64"])
@pytest.mark.parametrize("step", [1, 0.5])
def test_numbers_that_repeat_are_classes(dtype, step):
    """Five times on average is enough, for integers and floats. Oracle: the definition, per value."""
    y = (np.repeat(np.arange(20), 5) * step).astype(dtype)
    values, counts = np.unique(y, return_counts=True)
    for part, fraction in zip(split_indices(100, stratify=y, seed=0), (0.6, 0.2, 0.2), strict=True):
        held = np.array([(y[part] == value).sum() for value in values])
        assert (np.abs(held - counts * fraction) < 1).all()


class Frame:
    """A stand-in for a frame of pandas or polars: NumPy can read it."""

    def __init__(self, values):
        self.values = np.asarray(values)
        self.shape = self.values.shape

    def __array__(self, dtype=None, copy=None):
        return self.values


@pytest.mark.parametrize(
    "kind", [list, tuple, lambda y: Frame(y), lambda y: y.astype(object), lambda y: [[label] for label in y.tolist()]]
)
@pytest.mark.parametrize("y", [np.arange(40) % 4, np.array(["a", "b"])[np.arange(40) % 2]])
def test_lists_and_frames_are_converted(kind, y):
    """L17: a plain list `y` was refused. Oracle: the array of the same values."""
    given = kind(y.tolist() if kind in (list, tuple) else y)
    expected = split(np.arange(40), y, seed=0)
    for (x, labels), (rows, _) in zip(split(list(range(40)), given, seed=0), expected, strict=True):
        np.testing.assert_array_equal(x, rows)
        assert np.asarray(labels).ravel().tolist() == y[rows].tolist()


def test_a_class_with_fewer_examples_than_parts():
    y = np.array([0] * 30 + [1, 2, 2])
    parts = split_indices(33, stratify=y, seed=0)
    assert [len(part) for part in parts] == [20, 7, 6]
    assert sum(1 in y[part] for part in parts) == 1
    assert 2 in y[parts[0]]


@pytest.mark.parametrize("wrap", [list, tuple, lambda pair: dict(zip("ab", pair, strict=True))])
def test_several_inputs_and_outputs_are_split_alike(wrap):
    first, labels = np.arange(40), np.arange(40) % 2
    x, y = wrap((first, np.stack([first, -first], 1))), wrap((labels, first + 0.5))
    for part_x, part_y in split(x, y, stratify=labels, seed=1):
        (a, b), (c, d) = keras.tree.flatten(part_x), keras.tree.flatten(part_y)
        assert np.bincount(c).tolist() == [len(a) // 2] * 2
        np.testing.assert_array_equal(b, np.stack([a, -a], 1))
        np.testing.assert_array_equal([c, d], [a % 2, a + 0.5])
        assert isinstance(part_x, dict) == isinstance(x, dict)


def test_tensors_without_targets():
    x = keras.ops.reshape(keras.ops.arange(20), (10, 2))
    train, val, test = split(x, seed=0)
    assert [part.shape for part in (train, val, test)] == [(6, 2), (2, 2), (2, 2)]
    assert sorted(np.concatenate([train, val, test])[:, 0]) == list(range(0, 20, 2))


def test_equal_seeds_give_equal_parts_also_of_split_indices():
    y = np.arange(100) % 3
    one, two, other = (split(np.arange(100), y, seed=seed) for seed in (5, 5, 6))
    indices = split_indices(100, stratify=y, seed=5)
    for (a, _), (b, _), (c, _), rows in zip(one, two, other, indices, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, rows)
        assert a.tolist() != c.tolist()
    free = [split_indices(100)[0].tolist() for _ in range(2)]
    assert free[0] != free[1]


def test_every_example_is_equally_likely_in_each_part():
    """χ² of 400 seeds × 15 examples in the middle part: mean 15, plus five standard errors 42."""
    counts = sum(
        np.bincount(split_indices(15, stratify=np.arange(15) % 3, seed=s)[1], minlength=15) for s in range(400)
    )
    assert (((counts - 80) ** 2) / (80 * 0.8)).sum() < 42


X, Y = np.arange(12), np.arange(12) % 2


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"fractions": (0.6, 0.2)}, "fractions"),
        ({"fractions": (1.0,)}, "fractions"),
        ({"fractions": (1.2, -0.2)}, "fractions"),
        ({"fractions": 0.2}, "fractions"),
        ({"fractions": "abc"}, "fractions"),
        ({"fractions": (0.98, 0.02)}, "fractions"),
        ({"y": np.arange(11)}, "y"),
        ({"y": 3}, "y"),
        ({"x": np.zeros((0, 2)), "y": None}, "x"),
        ({"y": {"a": Y, "b": Y}}, "stratify"),
        ({"y": np.random.default_rng(0).random((12, 3))}, "stratify"),
        ({"y": np.array([np.nan] * 12)}, "stratify"),
        ({"y": [None, *"ababababab", "a"]}, "stratify"),
        ({"y": [None, *Y[1:].tolist()]}, "stratify"),
        ({"y": np.array([np.nan, *"ababababab", "a"], object)}, "stratify"),
        ({"y": np.array([1, *"ababababab", "a"], object)}, "stratify"),
        ({"y": [[1], [2, 3]] * 6}, "y"),
        ({"y": []}, "y"),
        ({"y": iter(Y)}, "y"),
        ({"y": (X, None)}, "y"),
        ({"stratify": {"a": Y}}, "stratify"),
        ({"stratify": [[1], [2, 3]] * 6}, "stratify"),
        ({"stratify": np.arange(5)}, "stratify"),
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
    ],
)
def test_rejects(arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"^split: `{argument}` must be .* Received: "):
        split(**{"x": X, "y": Y, **arguments})


def test_a_list_of_numpy_scalars_is_a_list_of_numbers():
    """`list(array)` used to be refused as a list of arrays."""
    numbers = np.array([0, 1] * 10)
    for part, want in zip(split(numbers, list(numbers), seed=0), split(numbers, numbers, seed=0), strict=True):
        for a, b in zip(part, want, strict=True):
            np.testing.assert_array_equal(a, b)
