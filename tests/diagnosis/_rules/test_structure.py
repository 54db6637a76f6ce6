"""Rules about the structure of a model, on hand-written records."""

import pytest
from diagnosis._rules.records import answers, chain, classifier, kernel, layer, severities

from keras_lecture.diagnosis._rules.structure import RULES

pytestmark = pytest.mark.once


def record(*layers, **parts):
    return {"model": {"kind": "sequential", "layers": chain(*layers)}} | parts


def later(name, equal=None, **row):
    return [{"step": 0, "layers": []}, {"step": 20, "epoch": 0, "layers": [{"layer": name, "equal": equal} | row]}]


def symmetric(**facts):
    return layer("hidden", weights=[kernel(equal_units=True, **facts)])


@pytest.mark.parametrize(
    ("expected", "probes"),
    [(["low"], []), (["high"], later("hidden", 1.0)), ([], later("hidden", 0.0))],
    ids=["before training", "still symmetric", "symmetry broken"],
)
def test_symmetric_units(expected, probes):
    assert severities(RULES, "symmetric-units", record(symmetric(), layer("output"), probes=probes)) == expected


def test_constant_kernels_in_all_layers_stay_symmetric_unless_dropout_tells_units_apart():
    constant = [
        layer(name, weights=[kernel(constant=True, equal_units=True)]) for name in ("first", "second", "output")
    ]
    assert severities(RULES, "symmetric-units", record(*constant)) == ["high"]
    drop = layer("drop", "Dropout", rate=0.5, weights=[], activation=None)
    assert severities(RULES, "symmetric-units", record(constant[0], drop, *constant[1:])) == ["low"]


def test_an_output_layer_or_a_single_unit_may_start_constant():
    assert not severities(RULES, "symmetric-units", record(layer("hidden"), symmetric()))
    assert not severities(RULES, "symmetric-units", record(symmetric() | {"units": 1}, layer("output")))


def test_frozen_layers():
    base = layer("base", trainable=False, weights=[kernel((640, 320))])
    assert severities(RULES, "frozen-layer", record(base, layer("output"))) == ["medium"]
    base["weights"][0]["untouched"] = False
    assert severities(RULES, "frozen-layer", record(base, layer("output"))) == ["low"]
    nothing = record(base, layer("output", trainable=False))
    nothing["model"]["trainable_parameters"] = 0
    assert severities(RULES, "frozen-layer", nothing) == ["high"]
    assert not severities(RULES, "frozen-layer", record(layer("hidden"), layer("output")))


def test_weights_without_a_gradient():
    probes = [{"step": step, "no_gradient": ["hidden/kernel"], "layers": []} for step in (0, 10, 20)]
    model = layer("first"), layer("hidden"), layer("output")
    assert severities(RULES, "unused-weights", record(*model, probes=probes[:1])) == ["low"]
    assert severities(RULES, "unused-weights", record(*model, probes=probes)) == ["medium"]
    # All layers up to a point: the gradient is blocked on the way back, and another rule names the cause.
    assert severities(RULES, "unused-weights", record(*model[1:], probes=probes)) == ["low"]
    # Saturated units keep it: a page asked to connect a layer that was connected.
    for probe in probes:
        probe["layers"] = [{"layer": "hidden", "saturated": 1.0}]
    assert not severities(RULES, "unused-weights", record(*model[1:], probes=probes))
    for probe in probes:
        probe["layers"] = [{"layer": "hidden", "dead": 32, "units": 32}]
    assert not severities(RULES, "unused-weights", record(*model, probes=probes))


def norm(name="norm", shape=(32,), **facts):
    return layer(name, "BatchNormalization", activation=None, weights=[], **facts) | {"shape": list(shape)}


def test_a_bias_before_batch_normalization():
    linear = layer("hidden", activation="linear")
    assert severities(RULES, "redundant-bias", record(linear, norm(), layer("output"))) == ["low"]
    assert not severities(RULES, "redundant-bias", record(layer("hidden"), norm(), layer("output")))
    assert not severities(RULES, "redundant-bias", record(linear | {"use_bias": False}, norm(), layer("output")))


@pytest.mark.parametrize(
    ("expected", "shape", "fit"),
    [
        (["high"], [32], {"batch_size": 1}),
        (["medium"], [8, 8, 32], {"batch_size": 1}),
        (["low"], [32], {"batch_size": 32, "samples": 65}),
        ([], [32], {"batch_size": 32, "samples": 66}),
        ([], [32], {}),
    ],
)
def test_batch_normalization_of_one_sample(expected, shape, fit):
    found = record(layer("hidden"), norm(shape=shape), layer("output"), fit=fit)
    assert severities(RULES, "batch-norm-batch-of-one", found) == expected


def test_batch_normalization_as_the_last_layer():
    assert severities(RULES, "normalized-output", record(layer("hidden"), norm())) == ["low"]
    assert not severities(RULES, "normalized-output", record(norm(), layer("output")))


def test_rules_about_batch_normalization_say_that_there_is_none():
    """A page listed them under "found nothing" for a model without batch normalization."""
    model = record(layer("hidden"), layer("output"), fit={"batch_size": 1})
    for rule in ("redundant-bias", "batch-norm-batch-of-one", "normalized-output"):
        found, (unknown,) = answers(RULES, rule, model)
        assert not found and unknown.needed == ""


def drop(**facts):
    return layer("drop", "Dropout", rate=0.5, weights=[], activation=None, **facts)


def test_dropout_behind_the_output():
    sick = classifier()
    sick["model"]["layers"] = chain(layer("hidden"), layer("output", units=10, activation="softmax"), drop())
    sick["model"]["layers"][1]["is_output"] = False
    assert severities(RULES, "misplaced-dropout", sick) == ["high"]
    scores = layer("output", units=10, activation="linear")
    softmax = layer("softmax", "Softmax", units=10, weights=[], activation="softmax")
    sick["model"]["layers"] = chain(layer("hidden"), scores, drop(), softmax)
    assert severities(RULES, "misplaced-dropout", sick) == ["medium"]
    healthy = classifier()
    healthy["model"]["layers"] = chain(layer("hidden"), drop(), layer("output", units=10, activation="softmax"))
    assert not severities(RULES, "misplaced-dropout", healthy)


def test_linear_stacks():
    linear = layer("first", activation="linear")
    assert severities(RULES, "linear-stack", record(linear, layer("second"), layer("output"))) == ["low"]
    between = layer("act", "ReLU", weights=[])
    assert not severities(RULES, "linear-stack", record(linear, between, layer("output")))
    narrow = layer("narrow", units=4, activation="linear")
    assert not severities(RULES, "linear-stack", record(layer("hidden"), narrow, layer("output")))


def test_bottlenecks():
    assert severities(RULES, "bottleneck", record(layer("a"), layer("b", units=2), layer("output", units=10))) == [
        "low"
    ]
    assert not severities(RULES, "bottleneck", record(layer("a"), layer("b", units=2), layer("output", units=1)))
    assert not severities(RULES, "bottleneck", record(layer("a"), layer("b", units=16), layer("output", units=64)))


def test_the_loss_at_the_start_against_chance():
    start = {"loss": 12.0, "error": 0.1, "regularization": 0.0, "chance": {"loss": 2.3}}
    assert severities(RULES, "bad-start", record(layer("hidden"), layer("output"), start=start)) == ["low"]
    # The loss of a single sample has no error, and a constant fits it exactly.
    single = start | {"error": None}
    assert not severities(RULES, "bad-start", record(layer("hidden"), layer("output"), start=single))
    start = {"loss": 12.0, "regularization": 9.5, "chance": {"loss": 2.3}}
    assert not severities(RULES, "bad-start", record(layer("hidden"), layer("output"), start=start))
    findings, unknown = answers(RULES, "bad-start", record(layer("hidden"), layer("output")))
    assert not findings and len(unknown) == 1


def test_a_trained_model_may_start_with_any_loss():
    trained = layer("hidden", weights=[kernel(untouched=False)])
    start = {"loss": 12.0, "regularization": 0.0, "chance": {"loss": 2.3}}
    assert not severities(RULES, "bad-start", record(trained, layer("output"), start=start))


@pytest.mark.parametrize(
    ("expected", "model"),
    [
        (["high"], {"shared_paths": ["hidden/kernel"]}),
        (["low"], {"shared_paths": ["hidden/kernel"], "custom_train_step": True}),
        ([], {"shared_paths": []}),
    ],
    ids=["Keras's step", "an own step", "unique"],
)
def test_weights_with_one_path(expected, model):
    assert severities(RULES, "shared-weight-path", {"model": model}) == expected


def test_the_paths_of_weights_are_unknown_in_earlier_records():
    assert [each.reason for each in answers(RULES, "shared-weight-path", {"model": {}})[1]]
