"""Facts about data, against data whose properties are known by construction."""

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from keras_lecture.diagnosis._facts.baseline import baseline_facts
from keras_lecture.diagnosis._facts.data import data_facts
from keras_lecture.diagnosis._facts.validation import _same_shares

RNG = np.random.default_rng(7)
X = RNG.normal(size=(300, 6)) * [1, 2, 3, 4, 5, 0] + [0, 4, 0, 0, 0, 7]
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 4)


def test_inputs():
    (facts,) = data_facts(X)["inputs"]
    assert (facts["features"], facts["constant"], facts["kind"], facts["nonfinite"]) == (6, 1, "numbers", 0.0)
    np.testing.assert_allclose(facts["rms"], np.sqrt(np.mean(X**2)))
    np.testing.assert_allclose(facts["feature_std_largest"], X.std(0).max())
    np.testing.assert_allclose(facts["offset"], np.median(np.abs(X.mean(0) / np.maximum(X.std(0), 1e-9))[:5]))


def test_many_features_are_measured_in_blocks_as_if_together():
    """1,000 features of 600 rows are three blocks; NumPy measures all at once, to rounding, 1e-9."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(600, 1000)).astype("float32") * np.linspace(0.1, 9, 1000) + np.linspace(-5, 50, 1000)
    x[rng.uniform(size=x.shape) < 0.01] = np.nan
    x[:, 7], x[:, 900] = 3.0, np.inf
    (facts,) = data_facts(x)["inputs"]
    kept = x[np.isfinite(x)]
    varying = np.delete(x, [7, 900], 1)
    ranges = np.sort(np.nanmax(varying, 0) - np.nanmin(varying, 0))
    expected = {
        "rms": np.sqrt(np.mean(kept**2)),
        "mean": kept.mean(),
        "std": kept.std(),
        "smallest": kept.min(),
        "largest": kept.max(),
        "constant": 2,
        "nonfinite": 1.0,
        "feature_std_smallest": np.nanstd(varying, 0).min(),
        "feature_std_largest": np.nanstd(varying, 0).max(),
        "offset": np.median(np.abs(np.nanmean(varying, 0) / np.nanstd(varying, 0))),
        "spread": ranges[-1] / ranges[(len(ranges) - 1) // 4],
    }
    np.testing.assert_allclose([facts[name] for name in expected], list(expected.values()), rtol=1e-9)
    assert facts["whole"] is False
    assert data_facts(rng.integers(0, 255, (600, 1000), dtype="uint8"))["inputs"][0]["whole"] is True


def test_images_of_one_byte_a_pixel_take_no_multiple_of_their_memory():
    """Copies of all pixels in double precision took 1.8 GB for 72 MB of images."""
    images = np.random.default_rng(0).integers(0, 255, (1200, 112, 112, 3), dtype="uint8")
    labels = np.arange(1200) % 10
    tracemalloc.start()
    data_facts(images, labels, validation_data=(images[:100], labels[:100]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * images.nbytes


def test_structures_lists_frames_and_odd_data():
    several = data_facts({"a": X, "b": np.full((300, 2), np.nan)}, [Y, X[:, 0]])
    assert [entry["name"] for entry in several["inputs"]] == ["x['a']", "x['b']"]
    assert [entry["nonfinite"] for entry in several["inputs"]] == [0.0, 1.0]
    assert [entry["name"] for entry in several["targets"]] == ["y[0]", "y[1]"]
    assert data_facts([[1.0, 2.0], [3.0, 4.0]], [0, 1])["inputs"][0]["shape"] == [2]
    assert data_facts(np.array(["one", "two"]))["inputs"][0]["kind"] == "strings"
    assert data_facts(None)["inputs"] == []
    for odd in (3.0, object(), [], np.zeros((0, 3)), {"a": None}, "text", [np.zeros(3), np.zeros(4)]):
        assert isinstance(data_facts(odd, odd, odd, (odd, odd)), dict)


@pytest.mark.parametrize(
    ("kind", "y", "family", "units"),
    [
        ("classes", Y, "sparse_categorical_crossentropy", 3),
        ("classes", Y[:, None], None, None),
        ("classes", 2 * (Y > 0) - 1, "hinge", 1),
        ("classes", Y, "squared", 1),
        ("one-hot", np.eye(3)[Y], "categorical_crossentropy", 3),
        ("multi-hot", RNG.integers(0, 2, (300, 4)), "binary_crossentropy", 4),
        ("probabilities", np.eye(3)[Y] * 0.9 + 0.1 / 3, "categorical_crossentropy", 3),
        ("numbers", X[:, 0], "squared", 1),
        ("numbers", RNG.integers(20, 300, 300), "squared", 1),
        ("classes", RNG.integers(0, 2, (300, 8, 8)), "sparse_categorical_crossentropy", 2),
        ("strings", Y.astype(str), "sparse_categorical_crossentropy", 3),
    ],
)
def test_kinds_of_targets(kind, y, family, units):
    (facts,) = data_facts(X, y, family=[family], units=[units])["targets"]
    assert facts["kind"] == kind


def test_counts_and_order_of_classes():
    (facts,) = data_facts(X, np.sort(Y))["targets"]
    assert dict(facts["counts"]) == dict(enumerate(np.bincount(Y)))
    order = facts["order"]
    assert order["changes"] == 2 / 299 and order["z"] < -15 and order["purity"] > 0.9
    np.testing.assert_allclose(order["expected"], 1 - np.sum((np.bincount(Y) / 300) ** 2))
    (shuffled,) = data_facts(X, Y)["targets"]
    assert abs(shuffled["order"]["z"]) < 4


def test_the_correlation_of_consecutive_numbers():
    walk = np.cumsum(RNG.normal(size=300))
    assert data_facts(X, walk)["targets"][0]["autocorrelation"] > 0.9
    assert abs(data_facts(X, X[:, 0])["targets"][0]["autocorrelation"]) < 0.2


def held_out(x, y, x_val, y_val):
    return data_facts(x, y, None, (x_val, y_val))["validation"]


def test_shared_rows_and_twins():
    assert held_out(X[:200], Y[:200], X[200:], Y[200:])["shared"] == 0.0
    assert held_out(X, Y, X[:100], Y[:100])["shared"] == 1.0
    half = held_out(X[:200], Y[:200], X[150:250], Y[150:250])
    assert half["shared"] == 0.5 and half["twins"] == 0.0
    grid = RNG.integers(0, 2, (300, 3)).astype("float32")
    twins = held_out(grid[:200], Y[:200], grid[200:], Y[200:])
    assert twins["shared"] == twins["twins"] == 1.0 and not twins["copies"]


def test_rows_repeated_before_the_split_are_no_twins_by_chance():
    """Rare rows repeated tenfold and then divided at random lie in both parts; a column of real numbers proves it."""
    x = np.random.default_rng(0).permutation(np.concatenate([X[30:], np.repeat(X[:30], 10, axis=0)]))
    repeated = held_out(x[:400], np.zeros(400), x[400:], np.zeros(len(x) - 400))
    assert repeated["copies"] and repeated["shared"] > 0.3 and abs(repeated["shared"] - repeated["twins"]) < 0.2


def test_equal_numbers_in_one_column_may_be_chance():
    """A healthy table of one rounded column was accused of rows repeated before the split."""
    radius = np.round(np.random.default_rng(0).normal(14, 3.5, (569, 1)), 1)
    facts = held_out(radius[:427], np.zeros(427), radius[427:], np.zeros(142))
    assert facts["twins"] > 0.3 and not facts["copies"]


def test_differences_between_the_parts():
    order = np.argsort(Y, kind="stable")
    apart = held_out(X[order[:200]], Y[order[:200]], X[order[200:]], Y[order[200:]])
    assert apart["label_p"] < 1e-12 and apart["label_shift"] > 0.3 and apart["missing"][0][2] < 1e-6
    even = held_out(X[:200], Y[:200], X[200:], Y[200:])
    assert even["label_p"] > 1e-3 and even["missing"] == [] and even["input_p"] > 1e-3
    assert held_out(X, Y, 255 * X, Y)["scale"] == pytest.approx(255)
    assert held_out(X[Y < 2], Y[Y < 2], X, Y)["new"] == pytest.approx(np.mean(Y == 2))


@pytest.mark.parametrize(
    "counts", [[[30, 40, 50], [35, 50, 30]], [[100, 20], [60, 40]], [[12, 9, 30, 8], [10, 12, 20, 9]]]
)
def test_the_test_of_equal_shares_is_that_of_scipy(counts):
    expected = stats.chi2_contingency(counts, correction=False).pvalue
    assert _same_shares(np.array(counts)) == pytest.approx(expected, rel=1e-9)


def baseline(x, y, kind):
    return baseline_facts({"x": x}, {"y": y}, [kind], False)


def test_a_baseline_tells_labels_that_can_be_learned_from_permuted_ones():
    assert baseline(X, Y, "classes")["p"] < 1e-12 and baseline(X, Y, "classes")["accuracy"] > 0.7
    assert baseline(X, X[:, 0] - X[:, 1], "numbers")["r2"] > 0.9
    probabilities = [baseline(X, np.random.default_rng(seed).permutation(Y), "classes")["p"] for seed in range(20)]
    assert min(probabilities) > 0.01 and np.mean(np.array(probabilities) > 0.05) > 0.8


def test_a_baseline_sees_exclusive_or_and_frequencies_of_shifted_signals():
    xor = ((X[:, 0] > 0) ^ (X[:, 2] > 0)).astype(int)
    assert baseline(X[:, [0, 2]], xor, "classes")["p"] < 1e-12
    fast = RNG.integers(0, 2, 200)
    phase = RNG.uniform(0, 6, (200, 1))
    signals = np.sin(np.linspace(0, 20, 40) * np.where(fast, 1.6, 1.0)[:, None] + phase)[..., None]
    assert baseline(signals, fast, "classes")["p"] < 1e-12


def test_no_baseline_for_tokens_and_few_rows():
    assert data_facts(RNG.integers(0, 50, (300, 12)), Y)["baseline"] is None
    assert baseline(X[:10], Y[:10], "classes") is None
