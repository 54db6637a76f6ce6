"""Rules about outputs, losses and targets, on hand-written records."""

import pytest
from diagnosis._rules.records import answers, classifier, severities

from keras_lecture.diagnosis._rules.outputs import RULES

pytestmark = pytest.mark.once

SPARSE, CATEGORICAL, BINARY = (
    "sparse_categorical_crossentropy",
    "categorical_crossentropy",
    "binary_crossentropy",
)
ONE_HOT = {"kind": "one-hot", "shape": [10], "largest": 1.0}
BITS = {"largest": 1.0, "distinct": 2, "mean": 0.5}
NORMAL = {"kind": "numbers", "whole": False, "smallest": -3.0, "largest": 3.0, "mean": 0.0, "std": 1.0, "rms": 1.0}
NORMAL |= {"negative": 0.5, "above_one": 0.16, "below_minus_one": 0.16, "distinct": 500}
# One-hot rows that were divided by 255 like the pixels.
ROWS = {"kind": "numbers", "whole": False, "shape": [10], "smallest": 0.0, "largest": 1 / 255, "mean": 0.1 / 255}
SCALED = {"kind": "numbers", "whole": False, "smallest": 0.0, "largest": 9 / 255, "distinct": 10}


@pytest.mark.parametrize(
    ("expected", "head", "target"),
    [
        ([], ("softmax", SPARSE, False), {}),
        ([], ("linear", SPARSE, True), {}),
        ([], ("sigmoid", BINARY, False, 1), BITS),
        ([], ("linear", BINARY, True, 1), BITS),
        ([], ("sigmoid", BINARY, False, 10), ONE_HOT | {"kind": "multi-hot"}),
        ([], ("linear", "squared", None, 1), NORMAL),
        ([], ("linear", "hinge", None, 1), {"smallest": -1.0, "largest": 1.0}),
        (["medium"], ("softmax", SPARSE, True), {}),
        (["high"], ("linear", SPARSE, False), {}),
        (["high"], ("relu", CATEGORICAL, False), ONE_HOT),
        (["medium"], ("sigmoid", CATEGORICAL, False), ONE_HOT),
        (["high"], ("softmax", BINARY, False, 1), BITS),
        (["high"], ("softmax", "squared", None, 1), NORMAL),
        (["high"], ("softmax", "other", None, 1), NORMAL),
        (["high"], ("linear", BINARY, False, 1), BITS),
        (["high"], ("tanh", BINARY, False, 1), BITS),
        (["medium"], ("sigmoid", BINARY, True, 1), BITS),
        (["medium"], ("softmax", BINARY, False), ONE_HOT),
        (["low"], ("softmax", BINARY, False, 2), ONE_HOT | {"shape": [2]}),
        (["low"], ("sigmoid", BINARY, False), ONE_HOT),
        (["high"], ("relu", "squared", None, 1), NORMAL),
        (["high"], ("sigmoid", "absolute", None, 1), NORMAL),
        (["medium"], ("tanh", "squared", None, 1), NORMAL),
        (["low"], ("relu", "squared", None, 1), NORMAL | {"smallest": 0.1, "negative": 0.0, "mean": 1.0}),
        (["low"], ("linear", "squared", None, 1), {}),
        (["medium"], ("sigmoid", "hinge", None, 1), BITS),
    ],
)
def test_output_loss_mismatch(expected, head, target):
    assert severities(RULES, "output-loss-mismatch", classifier(*head, **target)) == expected


@pytest.mark.parametrize(
    ("rule", "head", "target", "cure", "code"),
    [
        ("output-loss-mismatch", ("softmax", "absolute", None, 1), BITS, "sigmoid", 'Dense(1, activation="sigmoid"'),
        ("output-loss-mismatch", ("softmax", "squared", None, 1), NORMAL, "linear unit", "Dense(1, "),
        ("label-mismatch", ("softmax", "squared", None), {}, "cross entropy of class numbers", '"sparse_categorical'),
        ("label-mismatch", ("linear", "squared", None), {}, "cross entropy of class numbers", "from_logits=True"),
        ("label-mismatch", ("linear", "squared", None), NORMAL, "shape of the targets", ""),
        ("label-mismatch", ("sigmoid", BINARY, False, 1), NORMAL, "Scale the targets to 0 … 1", "(high - low)"),
        ("label-mismatch", ("softmax", CATEGORICAL, False), ROWS, "Divide each row by its sum", "y.sum("),
        ("label-mismatch", ("softmax", SPARSE, False), SCALED, "Keep class numbers", "np.unique"),
        ("label-mismatch", ("softmax", SPARSE, False), NORMAL, "regression loss", "np.unique"),
    ],
)
def test_the_cure_fits_the_targets(rule, head, target, cure, code):
    """Pages told classes to become numbers, numbers to become classes, and gave code that changed nothing."""
    (found,), _ = answers(RULES, rule, classifier(*head, **target))
    assert cure in found.cure and code in found.code and found.severity == "high"


def test_a_loss_that_is_not_known_gives_unknown():
    findings, unknown = answers(RULES, "output-loss-mismatch", classifier("linear", "other", None))
    assert not findings and len(unknown) == 1


def test_values_that_sum_to_one_are_a_softmax_whatever_the_layer_is_called():
    record = classifier(None, SPARSE, False)
    record["model"]["outputs"][0] |= {"sums_to_one": True, "smallest": 0.0, "largest": 0.3}
    assert not severities(RULES, "output-loss-mismatch", record)
    record["model"]["outputs"][0] |= {"sums_to_one": False, "smallest": -1.0}
    assert severities(RULES, "output-loss-mismatch", record) == ["high"]


def test_two_softmaxes_after_each_other():
    """`Dense(10, "softmax")`, then `Softmax()`: it trains, but the second levels the probabilities of the first."""
    record = classifier("softmax", SPARSE, False)
    second = {"name": "soft", "class": "Softmax", "activation": "softmax", "sources": ["output"], "is_output": True}
    record["model"]["layers"][-1]["is_output"] = False
    record["model"]["layers"].append(second)
    record["model"]["outputs"][0] |= {"layer": "soft", "activation": "softmax"}
    assert severities(RULES, "output-loss-mismatch", record) == ["medium"]
    record["model"]["layers"][-2]["activation"] = "linear"
    assert not severities(RULES, "output-loss-mismatch", record)


def test_dropout_after_a_softmax_is_still_a_softmax():
    record = classifier("softmax", SPARSE, False)
    record["model"]["layers"][-1]["is_output"] = False
    record["model"]["layers"].append({"name": "drop", "class": "Dropout", "sources": ["output"], "is_output": True})
    record["model"]["outputs"][0] |= {"layer": "drop", "activation": None}
    assert not severities(RULES, "output-loss-mismatch", record)


@pytest.mark.parametrize(
    ("expected", "head", "target"),
    [
        ([], ("softmax", SPARSE), {}),
        ([], ("softmax", SPARSE), {"shape": [1]}),
        ([], ("softmax", CATEGORICAL), ONE_HOT),
        ([], ("sigmoid", BINARY, False, 1), BITS | {"shape": [1]}),
        ([], ("sigmoid", BINARY, False, 784), {"kind": "numbers", "shape": [784], "largest": 1.0, "whole": False}),
        ([], ("linear", "squared", None, 1), NORMAL),
        (["high"], ("softmax", SPARSE), {"smallest": 1.0, "largest": 10.0}),
        (["high"], ("softmax", SPARSE), {"smallest": -1.0, "largest": 1.0}),
        (["high"], ("softmax", SPARSE), ONE_HOT),
        (["high"], ("softmax", SPARSE), NORMAL | {"smallest": 0.2}),
        (["high"], ("softmax", CATEGORICAL), {}),
        (["high"], ("softmax", CATEGORICAL), ONE_HOT | {"shape": [12]}),
        (["medium"], ("softmax", CATEGORICAL), ONE_HOT | {"kind": "multi-hot"}),
        (["high"], ("sigmoid", BINARY, False, 1), BITS | {"smallest": -1.0}),
        (["high"], ("sigmoid", BINARY, False, 1), BITS | {"smallest": 1.0, "largest": 2.0}),
        (["high"], ("sigmoid", BINARY, False, 1), {}),
        (["high"], ("sigmoid", BINARY, False, 1), NORMAL),
        (["high"], ("sigmoid", BINARY, False, 3), BITS | {"shape": [1]}),
        (["high"], ("linear", "squared", None, 4), NORMAL | {"shape": [1]}),
        (["high"], ("softmax", SPARSE), {"distinct": 1, "largest": 0.0}),
    ],
)
def test_label_mismatch(expected, head, target):
    assert severities(RULES, "label-mismatch", classifier(*head, **target)) == expected


def test_an_ignored_class_is_outside_of_the_classes_on_purpose():
    record = classifier(smallest=-1.0)
    record["model"]["losses"][0]["ignore_class"] = -1
    assert not severities(RULES, "label-mismatch", record)


@pytest.mark.parametrize(
    ("expected", "held_out", "is_measured", "target"),
    [
        ([], [], True, NORMAL),
        (["medium"], [3], True, NORMAL),
        (["medium"], [], True, NORMAL | {"shape": [3]}),
        (["high"], [4, 3], False, NORMAL),
        # Losses of this library take class numbers and one column for each class.
        ([], [3], True, {}),
        (["high"], [3], False, {}),
        # Sequences of another length.
        ([], [12], True, {"shape": [10]}),
    ],
)
def test_validation_targets_of_another_shape(expected, held_out, is_measured, target):
    """`fit` meets them at the end of its first epoch, or never: squared differences are repeated to one shape."""
    record = classifier("linear", "squared", None, 1, **target)
    record["model"]["losses"] = []
    shape = target.get("shape", [])
    record["data"]["targets"][0]["units"] = shape[0] if shape else 1
    record["data"]["validation"] = {"other_shapes": [["y", shape, held_out]] if held_out != shape else []}
    record["probes"] = [{"step": 0, "train": {"loss": 1.0}, "validation": {"loss": 1.0} if is_measured else None}]
    assert severities(RULES, "label-mismatch", record) == expected


def test_text_labels():
    record = {"data": {"targets": [{"name": "y", "kind": "strings", "dtype": "<U3"}]}}
    assert severities(RULES, "label-mismatch", record) == ["high"]


def test_targets_of_a_regression_far_from_unit_scale():
    raw = {"rms": 170.0, "std": 77.0, "mean": 152.0, "largest": 346.0, "smallest": 25.0, "negative": 0.0}
    record = classifier("linear", "squared", None, 1, **(NORMAL | raw))
    assert severities(RULES, "unscaled-target", record) == ["low"]
    record["start"] = {"loss": 29000.0, "chance": {"loss": 5900.0}}
    record["probes"] = [{"step": 0}, {"step": 40, "epoch": 4, "train": {"loss": 28000.0}}]
    assert severities(RULES, "unscaled-target", record) == ["medium"]
    assert not severities(RULES, "unscaled-target", classifier("linear", "squared", None, 1, **NORMAL))


def test_a_loss_of_the_users_own_may_broadcast():
    """Targets (n, 1) against outputs (n, 1, 1): Keras's losses align them, `y_true - y_pred` compares all pairs."""
    facts = {"name": "y", "kind": "numbers", "shape": [1], "smallest": -1.0, "largest": 1.0, "rows": 100}
    model = {"losses": [{"output": "", "class": "Own", "family": "other"}]}
    for shape, expected in (([1, 1], ["low"]), ([1], [])):
        model["outputs"] = [{"name": "out", "shape": shape, "layer": "out"}]
        record = {"model": model, "data": {"targets": [facts]}}
        assert severities(RULES, "label-mismatch", record) == expected


def test_the_code_for_ratings_with_one_unit_has_a_unit_for_each_class():
    """The code was a cross entropy of classes for one unit: an error on PyTorch, a loss of 0 on JAX."""
    ratings = classifier("linear", "squared", units=1, smallest=1.0, largest=5.0, distinct=5)
    found = [each for each in answers(RULES, "output-loss-mismatch", ratings)[0] if "contains classes" in each.cause]
    assert len(found) == 1 and "Dense(len(classes)" in found[0].code and "compile" not in found[0].code
