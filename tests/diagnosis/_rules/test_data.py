"""Rules about data, on hand-written records."""

import pytest
from diagnosis._rules.records import answers, layer, severities

from keras_lecture.diagnosis._rules.causes import has_other_cause
from keras_lecture.diagnosis._rules.data import RULES

pytestmark = pytest.mark.once


def first(rms=1.0, std=(0.9, 1.1), offset=0.1, **parts):
    row = {"layer": "dense", "rms": rms, "mean": 0.0, "std": rms, "offset": offset}
    row |= {"feature_std_smallest": std[0], "feature_std_largest": std[1]}
    return {"start": {"first_inputs": [row]} | parts}


def at_chance(ratio=1.0):
    """A run that is at chance after five epochs, from a start at `ratio` times chance."""
    probes = [{"step": 0, "train": {"loss": 2.3 * ratio}}, {"step": 50, "epoch": 4, "train": {"loss": 2.3}}]
    return {"loss": 2.3 * ratio, "chance": {"loss": 2.3}}, probes


def test_inputs_beyond_unit_scale():
    assert not severities(RULES, "unscaled-input", first())
    assert severities(RULES, "unscaled-input", first(8.0, (6.0, 8.0))) == ["low"]
    start, probes = at_chance(ratio=20.0)
    assert severities(RULES, "unscaled-input", first(230.0, (0.01, 500.0), **start)) == ["medium"]
    stuck = first(230.0, (0.01, 500.0), **start) | {"probes": probes}
    assert severities(RULES, "unscaled-input", stuck) == ["high"]
    probes[-1]["train"]["loss"] = 0.2
    assert severities(RULES, "unscaled-input", stuck) == ["low"]
    findings, unknown = answers(RULES, "unscaled-input", {"start": {}})
    assert not findings and len(unknown) == 1


def test_features_of_different_scale_count_by_their_range_and_only_at_the_first_kernel():
    table = {"data": {"inputs": [{"name": "x", "shape": [30], "spread": 3000.0}]}}
    assert severities(RULES, "unscaled-input", first(3.0, (0.01, 4.9)) | table) == ["low"]
    # A normalization layer has removed the differences.
    assert not severities(RULES, "unscaled-input", first() | table)
    # A pixel that is rarely lit has a small standard deviation and the range of all others.
    pixels = {"data": {"inputs": [{"name": "x", "shape": [784], "spread": 1.1}]}}
    assert not severities(RULES, "unscaled-input", first(0.3, (0.001, 0.5)) | pixels)


def test_uncentered_inputs():
    assert not severities(RULES, "uncentered-input", first(offset=1.2))
    assert severities(RULES, "uncentered-input", first(offset=2.0)) == ["low"]
    start, probes = at_chance()
    far = first(100.0, (0.9, 1.1), offset=100.0, **start) | {"probes": probes}
    assert severities(RULES, "uncentered-input", far) == ["medium"]
    assert not severities(RULES, "unscaled-input", far)


def test_data_that_are_not_finite():
    bad = {"data": {"inputs": [{"name": "x", "nonfinite": 0.01}], "targets": [{"name": "y", "nonfinite": 0.0}]}}
    assert severities(RULES, "non-finite", bad) == ["high"]
    # Missing values that the model itself replaces.
    replaced = {"data": {"inputs": [{"name": "x", "nonfinite": 0.9}]}, "start": {"loss": 0.7}}
    assert severities(RULES, "non-finite", replaced) == ["low"]
    assert not severities(RULES, "non-finite", {"data": {"inputs": [{"name": "x", "nonfinite": 0.0}]}})


def test_constant_features():
    def table(constant, shape=(30,), smallest=-2.0):
        entry = {"name": "x", "kind": "numbers", "shape": list(shape), "features": 30, "smallest": smallest}
        return {"data": {"inputs": [entry | {"constant": constant}]}}

    assert severities(RULES, "constant-input", table(2)) == ["low"]
    assert severities(RULES, "constant-input", table(30)) == ["high"]
    assert not severities(RULES, "constant-input", table(0))
    assert not severities(RULES, "constant-input", table(2, smallest=0))


def test_data_types_and_token_numbers():
    text = {"name": "x", "kind": "strings", "dtype": "<U4"}
    assert severities(RULES, "input-dtype", {"data": {"inputs": [text]}}) == ["high"]
    tokens = {"name": "x", "kind": "tokens", "dtype": "int64", "smallest": 0, "largest": 100}
    embedding = layer("embedding", "Embedding", weights=[{"shape": [100, 8]}])
    model = {"model": {"layers": [embedding]}}
    assert severities(RULES, "input-dtype", model | {"data": {"inputs": [tokens]}}) == ["high"]
    assert not severities(RULES, "input-dtype", model | {"data": {"inputs": [tokens | {"largest": 99}]}})
    vectorized = {"model": {"layers": [layer("text", "TextVectorization")]}, "data": {"inputs": [text]}}
    assert not severities(RULES, "input-dtype", vectorized)


def ordered(shuffle, **order):
    plain = {"changes": 0.005, "expected": 0.9, "z": -120.0, "purity": 0.95, "expected_purity": 0.2}
    target = {"name": "y", "kind": "classes", "rows": 1000, "distinct": 10, "order": plain | order}
    return {"data": {"targets": [target], "whole": True}, "fit": {"shuffle": shuffle}}


def test_sorted_rows():
    assert severities(RULES, "unshuffled-batches", ordered(False)) == ["medium"]
    assert not severities(RULES, "unshuffled-batches", ordered(True))
    assert not severities(RULES, "unshuffled-batches", ordered(False, z=-0.5, purity=0.21))
    # Batches of one class need not come from sorted rows: here the batch is the whole data set.
    assert not severities(RULES, "unshuffled-batches", ordered(False, purity=None))


def test_a_first_batch_of_one_class_is_the_cause_where_the_validation_data_have_others():
    """A page named dead units and classes that the training data lack, because a generator's first batch had one."""

    def generator(new, **target):
        facts = {"name": "y", "kind": "classes", "rows": 128, "units": 10, "distinct": 1} | target
        held_out = {"rows": 449, "new": new, "missing": [], "shared": 0.0, "twins": 0.0, "label_p": 1e-70}
        held_out |= {"label_shift": 0.9, "input_shift": 0.8, "input_shift_largest": 35.0, "input_p": 1e-200}
        return {"data": {"targets": [facts], "whole": False, "validation": held_out}, "fit": {"shuffle": None}}

    sick = generator(0.9)
    assert severities(RULES, "unshuffled-batches", sick) == ["medium"]
    assert severities(RULES, "bad-split", sick) == []
    assert has_other_cause(sick)
    # Rare classes: most validation rows are of the same class, too.
    assert severities(RULES, "unshuffled-batches", generator(0.02)) == ["low"]
    assert severities(RULES, "unshuffled-batches", generator(0.9, rows=8)) == []
    assert not has_other_cause(generator(0.9, distinct=9))


def test_consecutive_rows_of_a_regression():
    target = {"name": "y", "kind": "numbers", "rows": 500, "autocorrelation": 0.9}
    record = {"data": {"targets": [target], "whole": True}, "fit": {"shuffle": False}}
    assert severities(RULES, "unshuffled-batches", record) == ["low"]
    target["autocorrelation"] = 0.1
    assert not severities(RULES, "unshuffled-batches", record)
    # Rows sorted by the target: the loss rose and fell with each epoch, and a page blamed the learning rate.
    target["autocorrelation"] = 0.99
    assert severities(RULES, "unshuffled-batches", record) == ["medium"]
    assert has_other_cause(record)
    assert not has_other_cause({**record, "fit": {"shuffle": True}})


def test_class_balance():
    def classes(common, rare, **parts):
        target = {"name": "y", "kind": "classes", "shape": [], "rows": 500, "distinct": 2}
        return {"data": {"targets": [target | {"commonest": common, "rarest": rare}]} | parts}

    assert not severities(RULES, "unbalanced-batches", classes(0.6, 0.4))
    assert severities(RULES, "unbalanced-batches", classes(0.95, 0.05)) == ["low"]
    ignored = classes(0.95, 0.05, baseline={"accuracy": 0.99, "chance": 0.95})
    ignored["probes"] = [{"step": 0}, {"step": 90, "epoch": 5, "train": {"accuracy": 0.95}}]
    assert severities(RULES, "unbalanced-batches", ignored) == ["medium"]


SPLIT = {"rows": 200, "new": 0.0, "missing": [], "scale": 1.0, "input_p": 0.3, "input_shift": 0.05}
SPLIT |= {"input_shift_largest": 0.2, "label_shift": 0.02, "label_p": 0.7, "shared": 0.0, "twins": 0.0}


@pytest.mark.parametrize(
    ("expected", "facts"),
    [
        ([], {}),
        ([], {"label_shift": 0.3, "label_p": 0.01}),
        (["low"], {"rows": 20}),
        (["low"], {"missing": [[7, 0.002, 0.6]]}),
        (["medium"], {"missing": [[7, 0.1, 1e-9]]}),
        (["medium"], {"new": 0.5}),
        (["medium"], {"scale": 255.0}),
        # Balanced by repeated training rows: other shares of the classes, the same inputs.
        (["low"], {"label_shift": 0.6, "label_p": 1e-30}),
        (["medium"], {"label_shift": 0.6, "label_p": 1e-30, "input_shift": 0.5, "input_p": 1e-9}),
        (["low"], {"input_shift": 0.5, "input_p": 1e-9}),
    ],
)
def test_validation_data_unlike_the_training_data(expected, facts):
    assert severities(RULES, "bad-split", {"data": {"validation": SPLIT | facts}}) == expected


def test_another_scale_is_cured_by_equal_preparation_and_not_by_another_split():
    (found,), _ = answers(RULES, "bad-split", {"data": {"validation": SPLIT | {"scale": 129.0}}})
    assert "same code" in found.cure and "adapt" in found.code
    (found,), _ = answers(RULES, "bad-split", {"data": {"validation": SPLIT | {"new": 0.5}}})
    # Another split of training data alone still lacks the classes.
    assert "Put both parts together" in found.cure and "x_val" in found.code and "split" in found.code


@pytest.mark.parametrize(
    ("expected", "shared", "twins", "rows"),
    [
        ([], 0.0, 0.0, 1000),
        (["medium"], 1.0, 0.0, 1000),
        (["medium"], 0.2, 0.0, 1000),
        # Few different rows have twins in any split; four rows of XOR are validated on themselves.
        ([], 0.97, 0.96, 1000),
        # One column and two classes: a healthy twin of the ward was accused.
        (["low"], 0.45, 0.32, 1000),
        (["low"], 1.0, 0.0, 4),
    ],
)
def test_validation_rows_among_the_training_rows(expected, shared, twins, rows):
    held_out = SPLIT | {"shared": shared, "twins": twins, "rows": min(rows, 200), "same": rows == 4}
    assert severities(RULES, "leaked-validation", {"data": {"validation": held_out, "rows": rows}}) == expected


def test_copies_made_before_the_split_are_leaks():
    """Oversampling before the split: training rows have as many twins as validation rows, but not by chance."""
    held_out = SPLIT | {"shared": 0.5, "twins": 0.5, "copies": True}
    assert severities(RULES, "leaked-validation", {"data": {"validation": held_out, "rows": 1000}}) == ["medium"]


def test_labels_without_relation_to_the_inputs():
    data = {"targets": [{"name": "y"}], "baseline": {"rows": 500, "p": 0.4}}
    assert severities(RULES, "unlearnable-labels", {"data": data}) == ["low"]
    data["baseline"]["p"] = 1e-9
    assert not severities(RULES, "unlearnable-labels", {"data": data})
    data["baseline"] = None
    findings, unknown = answers(RULES, "unlearnable-labels", {"data": data})
    assert not findings and len(unknown) == 1


def test_several_inputs_are_scaled_one_by_one():
    """The code of a page put one normalization in front of a model with two inputs, and could not run."""
    row = {"layer": "dense", "rms": 300.0, "feature_std_smallest": 90.0, "feature_std_largest": 100.0, "offset": 0.5}
    facts = {"start": {"first_inputs": [row]}, "data": {"inputs": [{"name": "a"}, {"name": "b"}]}}
    (found,), _ = answers(RULES, "unscaled-input", facts)
    assert "normalize.adapt(x[0])" in found.code and "Sequential" not in found.code
    facts["data"]["inputs"].pop()
    (found,), _ = answers(RULES, "unscaled-input", facts)
    assert "keras.Sequential([normalize" in found.code
