"""The orders of the batches, counted by NumPy: functions of seed and epoch, and the promise of each class."""

import pickle

import keras
import numpy as np
import pytest

from keras_lecture._core.stateful import Stateful
from keras_lecture.data import BalancedBatches, Batches, Curriculum, CyclicBatches

X = np.arange(23, dtype="float64")[:, None] + [0, 0.5]
Y = np.repeat([0, 1, 2], [11, 7, 5])
MAKE = {
    "Batches": Batches,
    "BalancedBatches": BalancedBatches,
    "Curriculum": lambda x, y, *args, **more: Curriculum(x, y, *args, difficulty=x[:, 0], epochs=3, **more),
    "CyclicBatches": CyclicBatches,
}
CLASSES = {**MAKE, "Curriculum": lambda *data, **more: Curriculum(*data, difficulty=Y.tolist(), **more)}
each = pytest.mark.parametrize("name", MAKE)


def rows(batch):
    return batch[0][:, 0].astype(int)


def read(batches):
    """All batches of an epoch, as Keras reads them."""
    batches.on_epoch_begin()
    found = [batches[i] for i in range(len(batches))]
    batches.on_epoch_end()
    return found


@each
@pytest.mark.parametrize("last", ["keep", "drop", "fill"])
def test_batches_are_slices_of_the_order(name, last):
    batches = MAKE[name](X, Y, 4, seed=3, last=last)
    for epoch in range(3):
        order = batches.order(epoch)
        whole, rest = divmod(len(order), 4)
        expected = [order[4 * i : 4 * i + 4] for i in range(whole)]
        if rest and last != "drop":
            expected.append(np.concatenate([order[4 * whole :], order[: 4 - rest] if last == "fill" else []]))
        assert len(batches) == batches.num_batches == len(expected)
        for batch, chosen in zip(read(batches), expected, strict=True):
            np.testing.assert_array_equal(batch[0], X[chosen.astype(int)].astype("float32"))
            np.testing.assert_array_equal(batch[1], Y[chosen.astype(int)])
            assert batch[0].dtype == "float32"
            assert batch[1].dtype == Y.dtype
    assert batches.epoch == 3


@each
def test_order_and_batch_are_functions_of_seed_and_epoch(name):
    one, other = (MAKE[name](X, Y, 4, seed=3) for _ in range(2))
    first, second = [[rows(batch) for batch in read(one)] for _ in range(2)]
    read(other)
    for i in (4, 0, -2, 3):
        np.testing.assert_array_equal(rows(other[i]), second[i])
    np.testing.assert_array_equal(np.concatenate(first), one.order(0))
    if name != "CyclicBatches":
        assert one.order(0).tolist() != one.order(1).tolist()
    assert one.order(0).tolist() != MAKE[name](X, Y, 4, seed=4).order(0).tolist()


@each
def test_a_restored_state_continues_in_another_object(name):
    one = MAKE[name](X, Y, 4, seed=3)
    read(one)
    one[0]
    other = MAKE[name](X, Y, 4, seed=7)
    assert isinstance(one, Stateful)
    other.restore({key: np.array(value) for key, value in one.state().items()})
    for mine, theirs in zip(read(one) + read(one), read(other) + read(other), strict=True):
        np.testing.assert_array_equal(mine[0], theirs[0])
    copy = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(copy[0][0], one[0][0])


def test_without_a_seed_orders_differ_and_follow_the_seed_of_keras():
    assert Batches(X).order(0).tolist() != Batches(X).order(0).tolist()
    orders = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        orders.append(Batches(X).order(0).tolist())
    assert orders[0] == orders[1]


def test_the_epoch_advances_after_all_batches_were_read():
    batches = Batches(X, Y, 4, seed=0)
    batches.on_epoch_end()
    assert batches.epoch == 0
    list(batches)
    batches.on_epoch_end()
    assert batches.epoch == 1
    batches.on_epoch_begin()
    for i in range(5):
        batches[i]
    batches.on_epoch_end()
    batches.on_epoch_begin()
    batches[0]
    batches[5]
    batches.on_epoch_end()
    assert batches.epoch == 1, "two abandoned passes do not add up to one"
    read(batches)
    assert batches.epoch == 2


def test_batches_visit_every_example_once():
    batches = Batches(X, Y, 4, seed=0)
    assert all(sorted(batches.order(epoch)) == list(range(23)) for epoch in range(5))
    positions = np.array([np.argsort(batches.order(epoch)) for epoch in range(400)])
    # Each example's mean position is 11 with a standard error of 6.6/20 = 0.33; five of them.
    assert np.abs(positions.mean(0) - 11).max() < 1.7


@pytest.mark.parametrize("batch_size", [1, 2, 4, 6, 7, 33, 100])
def test_all_classes_are_equally_represented(batch_size):
    batches = BalancedBatches(X, Y, batch_size, seed=0)
    assert batches.visits == 3 * 11
    for _ in range(3):
        counts = [np.bincount(y, minlength=3) for _, y in read(batches)]
        assert all(np.ptp(count) <= (batch_size % 3 > 0 or batch_size == 100) for count in counts)
        assert np.sum(counts, 0).tolist() == [11, 11, 11]


def test_examples_of_small_classes_repeat_equally_often():
    for epoch in range(5):
        visits = np.bincount(BalancedBatches(X, Y, 4, seed=0).order(epoch), minlength=23)
        assert set(visits[Y == 0]) == {1}
        assert set(visits[Y == 1]) == {1, 2}
        assert set(visits[Y == 2]) == {2, 3}


def test_equally_large_classes_are_visited_once():
    batches = BalancedBatches(X[:21], np.arange(21) % 3, 6, seed=0)
    assert sorted(batches.order(2)) == list(range(21))


@pytest.mark.parametrize("labels", [np.eye(3)[Y], np.array(["a", "b", "c"])[Y], Y[:, None], list("abc")])
def test_labels_in_several_forms(labels):
    labels = [labels[i] for i in Y] if isinstance(labels, list) else labels
    by_labels = BalancedBatches(X, {"a": X, "b": Y}, 4, labels=labels, seed=0)
    np.testing.assert_array_equal(by_labels.order(1), BalancedBatches(X, Y, 4, seed=0).order(1))
    assert set(by_labels[0][1]) == {"a", "b"}


@each
def test_lists_of_numbers_are_converted(name):
    """Oracle: the batches of the arrays. A list of arrays stays several inputs."""
    one, other = (CLASSES[name](x, y, 4, seed=0)[1] for x, y in ((X, Y), (X.tolist(), Y.tolist())))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(Batches([X, X], Y)[0][0]) == 2


@pytest.mark.parametrize("pace", ["linear", "step", lambda time: 0.25 + 0.125 * int(time)])
def test_the_easiest_examples_come_first(pace):
    difficulty = np.random.default_rng(0).permutation(40)
    batches = Curriculum(np.arange(40), None, 5, difficulty=difficulty, pace=pace, start=0.25, epochs=4, seed=0)
    for epoch in range(6):
        hardest = difficulty[batches.order(epoch)].reshape(-1, 5).max(1)
        for i, hard in enumerate(hardest):
            time = epoch + (i + 1) / 8
            share = {"linear": min(1, 0.25 + 0.75 * time / 4), "step": 0.25 if epoch < 4 else 1}
            assert hard < 40 * (pace(epoch) if callable(pace) else share[pace])
    assert hardest.max() == (39 if isinstance(pace, str) else 34)


def test_the_pace_counts_examples():
    """10 examples by hand: each pass visits all examples in use; 3 in use until 3 are visited, then 4, and so on."""
    batches = Curriculum(np.arange(10), None, 5, difficulty=np.arange(10), start=0.3, epochs=3, seed=0)
    order = batches.order(0)
    assert sorted(order[:3]) == [0, 1, 2]
    assert sorted(order[3:7]) == [0, 1, 2, 3]
    assert set(order[7:]) < {0, 1, 2, 3, 4}


def test_after_its_epochs_a_curriculum_has_the_order_of_batches():
    curriculum = Curriculum(X, Y, 4, difficulty=X[:, 0], start=0.2, epochs=2, seed=3)
    for epoch in (2, 3, 9):
        np.testing.assert_array_equal(curriculum.order(epoch), Batches(X, Y, 4, seed=3).order(epoch))


def test_difficulty_may_be_a_function_and_may_change():
    seen = []

    def difficulty(x, y):
        seen.append((x.shape, y.shape))
        return keras.ops.convert_to_tensor(-x[:, :1])

    batches = Curriculum(X, Y, 4, difficulty=difficulty, pace="step", start=0.2, epochs=1, seed=0)
    assert seen == [((23, 2), (23,))]
    assert set(batches.order(0)) == set(range(18, 23))
    batches.difficulty = X[:, 0]
    assert set(rows(batches[0])) <= set(range(5))
    other = Curriculum(X, Y, 4, difficulty=difficulty, pace="step", start=0.2, epochs=1, seed=0)
    other.restore(batches.state())
    np.testing.assert_array_equal(other.order(0), batches.order(0))


def test_ties_in_difficulty_are_in_random_order():
    batches = Curriculum(np.arange(100), difficulty=np.zeros(100), start=0.1, pace="step", seed=0)
    used = set(batches.order(0))
    assert len(used) == 10
    assert used == set(batches.order(1))
    assert used != set(range(10))


def test_cyclic_batches_continue_the_cycle():
    assert [rows(batch).tolist() for batch in read(CyclicBatches(X[:5], batch_size=2))] == [[0, 1], [2, 3], [4]]
    filled = CyclicBatches(X[:5], batch_size=2, last="fill")
    endless = np.concatenate([rows(batch) for _ in range(4) for batch in read(filled)])
    assert endless.tolist() == (np.arange(24) % 5).tolist()
    drawn = CyclicBatches(X, batch_size=2, seed=1)
    assert drawn.order(0).tolist() == drawn.order(7).tolist() == Batches(X, seed=1).order(0).tolist()


def test_structures_sample_weights_and_array_types(tmp_path):
    np.save(tmp_path / "x.npy", X)
    x = {"a": np.load(tmp_path / "x.npy", mmap_mode="r"), "b": [keras.ops.convert_to_tensor(X[:, :1]), Y]}
    (inputs, targets, weights) = CyclicBatches(x, [Y, X], 4, sample_weight=[X[:, 0], X[:, 1]])[1]
    np.testing.assert_array_equal(inputs["a"], X[4:8])
    assert isinstance(inputs["b"], tuple)
    np.testing.assert_array_equal(inputs["b"][0], X[4:8, :1])
    assert [target.shape for target in targets] == [(4,), (4, 2)]
    np.testing.assert_array_equal(weights[1], X[4:8, 1])
    assert CyclicBatches(X, batch_size=30)[0][0].shape == (23, 2)
    with pytest.raises(IndexError):
        CyclicBatches(X, batch_size=30)[1]


@each
@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"x": 3.0}, "x"),
        ({"x": []}, "x"),
        ({"x": np.zeros((0, 1)), "y": np.zeros(0, int)}, "x"),
        ({"x": [X, X[:5]]}, "x"),
        ({"y": Y[:5]}, "y"),
        ({"sample_weight": np.ones(5)}, "sample_weight"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"batch_size": 100, "last": "drop"}, "batch_size"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"seed": "a"}, "seed"),
        ({"last": "pad"}, "last"),
    ],
)
def test_rejects(name, arguments, argument):
    cls = {"Batches": Batches, "BalancedBatches": BalancedBatches, "Curriculum": Curriculum}.get(name, CyclicBatches)
    more = {"difficulty": X[:, 0]} if cls is Curriculum else {}
    with pytest.raises((ValueError, TypeError), match=f"^{name}: `{argument}` must be .* Received: "):
        cls(**{"x": X, "y": Y, **more, **arguments})


@pytest.mark.parametrize(
    ("cls", "arguments", "argument"),
    [
        (Batches, {"sample_weight": Y, "y": None}, "sample_weight"),
        (BalancedBatches, {"y": None}, "y"),
        (BalancedBatches, {"y": [Y, Y]}, "y"),
        (BalancedBatches, {"y": X[:, 1]}, "y"),
        (BalancedBatches, {"y": X}, "y"),
        (BalancedBatches, {"labels": Y[:5]}, "labels"),
        (BalancedBatches, {"y": [None, *Y[1:].tolist()]}, "y"),
        (BalancedBatches, {"y": np.where(Y == 0, np.nan, Y)}, "y"),
        (BalancedBatches, {"labels": [None, *Y[1:].tolist()]}, "labels"),
        (Batches, {"x": X.astype(object)}, "x"),
        (Batches, {"y": [None, *Y[1:].tolist()]}, "y"),
        (Batches, {"sample_weight": [None, *Y[1:].tolist()]}, "sample_weight"),
        (Curriculum, {"difficulty": ["hard"] * 23}, "difficulty"),
        (Curriculum, {"difficulty": Y[:5]}, "difficulty"),
        (Curriculum, {"difficulty": np.full(23, np.nan)}, "difficulty"),
        (Curriculum, {"difficulty": Y, "pace": "slow"}, "pace"),
        (Curriculum, {"difficulty": Y, "pace": 0.5}, "pace"),
        (Curriculum, {"difficulty": Y, "start": 0}, "start"),
        (Curriculum, {"difficulty": Y, "epochs": 0}, "epochs"),
    ],
)
def test_rejects_arguments_of_one_class(cls, arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"^{cls.__name__}: `{argument}` must be .* Received: "):
        cls(**{"x": X, "y": Y, **arguments})


def test_columns_of_several_types_are_told_to_become_one_type():
    """`pandas.get_dummies` adds columns of booleans; the error spoke of missing values and categories alone."""
    with pytest.raises(TypeError, match=r"columns of several types one type, as in `x\.astype\(\"float32\"\)`"):
        Batches(np.array([[0.5, True], [1.5, False]], dtype=object))


def test_masked_values_are_refused():
    """Keras ignores the mask of a NumPy array and trained on the −9999 behind it."""
    x = np.ma.masked_equal([[1.0, -9999.0], [2.0, 3.0]], -9999.0)
    with pytest.raises(ValueError, match="Batches: `x` must be free of masked values"):
        Batches(x)
    assert Batches(x[1:])[0][0].tolist() == [[2.0, 3.0]]


def test_a_pace_outside_its_range_is_an_error():
    batches = Curriculum(X, Y, difficulty=Y, pace=lambda time: 1 + time)
    with pytest.raises(ValueError, match=r"Curriculum: `pace` must be a function with values in \(0, 1\]"):
        batches.order(1)


@each
def test_rejects_unknown_arguments(name):
    with pytest.raises(TypeError, match="unheard_of"):
        MAKE[name](X, Y, unheard_of=1)


def test_an_order_of_another_length_is_refused():
    """The batches after its end were empty, and rows beyond `visits` were left out, without a word."""

    class Half(Batches):
        def order(self, epoch):
            return super().order(epoch)[:12]

    with pytest.raises(ValueError, match="Half: `order` must be as many rows as `visits`, 24. Received: order=12"):
        Half(np.arange(24), None, 5, seed=0)[0]


def test_structured_arrays_are_refused():
    """Their rows are records, on which Keras cannot train."""
    with pytest.raises(TypeError, match="Batches: `x` must be numbers or strings, one type per array"):
        Batches(np.zeros(6, [("a", "f4"), ("b", "f4")]))
