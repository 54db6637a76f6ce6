"""Prescribed models against healthy ones written by hand, their code, their weights, and what is refused."""

import json
import re

import keras
import numpy as np
import pytest
from keras import layers
from support.harness import numpy

import keras_lecture
from keras_lecture.diagnosis._prescribe import compiled
from keras_lecture.diagnosis._prescribe.program import program
from keras_lecture.diagnosis._prescribe.rules import CHANGES, REFUSED
from keras_lecture.diagnosis._rules import RULES
from keras_lecture.diagnosis._rules.rule import Finding
from keras_lecture.diagnosis.audit import audit
from keras_lecture.diagnosis.prescribe import prescribe

CLASSES = "sparse_categorical_crossentropy"
X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = np.arange(64) % 3
SMALL = keras.initializers.RandomNormal(stddev=0.01)


def finding(rule, layer=None, severity="medium", cure="", is_open=True, **evidence):
    evidence = {name.replace("_", " "): value for name, value in evidence.items()}
    return Finding(rule, severity, 0.9, layer, 0, 0, evidence, "", cure, "", "", is_open)


def net(*stack, loss="mse", optimizer="sgd", shape=(4,), **options):
    """A compiled Sequential model; layers without a name are named by their position."""
    named = [
        type(each).from_config({**each.get_config(), "name": f"layer_{index}"}) for index, each in enumerate(stack)
    ]
    model = keras.Sequential([keras.Input(shape, name="inputs"), *named], name="net")
    model.compile(optimizer, loss, **options)
    return model


def renamed(model, names):
    """The config as text, with other names for layers."""
    text = json.dumps(model.get_config(), default=str, sort_keys=True)
    return re.sub(r'"(layer_\w+)"', lambda match: f'"{names.get(match[1], match[1])}"', text)


dense, batch = layers.Dense, layers.BatchNormalization
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

# A finding, the sick layers, the healthy layers as written by hand, and names of new layers by their position.
STACKS = {
    "softmax twice": (finding("output-loss-mismatch", "layer_0"), [dense(3, "softmax")], [dense(3)], {}, LOGITS),
    "separate softmax": (
        finding("output-loss-mismatch", "layer_1"),
        [dense(3), layers.Activation("softmax")],
        [dense(3)],
        {},
        LOGITS,
    ),
    "rectified regression": (finding("output-loss-mismatch", "layer_0"), [dense(1, "relu")], [dense(1)], {}, "mse"),
    "tanh as a probability": (
        finding("output-loss-mismatch", "layer_0"),
        [dense(1, "tanh")],
        [dense(1, "sigmoid")],
        {},
        "binary_crossentropy",
    ),
    "fewer units than classes": (
        finding("label-mismatch", "layer_0", targets="shape ('samples',), values 0 to 6"),
        [dense(3, "softmax")],
        [dense(7, "softmax")],
        {},
        CLASSES,
    ),
    "constant kernels": (
        finding("symmetric-units", "layer_0"),
        [dense(8, "relu", kernel_initializer="zeros"), dense(3)],
        [dense(8, "relu", kernel_initializer="he_normal"), dense(3)],
        {},
        "mse",
    ),
    "biases of minus ten": (
        finding("dead-relu", "layer_0"),
        [dense(8, "relu", bias_initializer=keras.initializers.Constant(-10.0)), dense(3)],
        [dense(8, "relu"), dense(3)],
        {},
        "mse",
    ),
    "dead units": (
        finding("dead-relu", "layer_0"),
        [dense(8, "relu"), dense(3)],
        [dense(8, "leaky_relu", kernel_initializer="he_normal"), dense(3)],
        {},
        "mse",
    ),
    "small kernels": (
        finding("shrinking-signal", "layer_0"),
        [dense(8, "tanh", kernel_initializer=SMALL), dense(8, "selu", kernel_initializer=SMALL), dense(3)],
        [dense(8, "tanh"), dense(8, "selu", kernel_initializer="lecun_normal"), dense(3)],
        {},
        "mse",
    ),
    "growth with a good start": (
        finding("growing-signal", "layer_0"),
        [dense(8, "relu"), dense(3)],
        [dense(8, use_bias=False), batch(), layers.Activation("relu"), dense(3)],
        {"layer_0_normalization": "layer_1", "layer_0_activation": "layer_2", "layer_1": "layer_3"},
        "mse",
    ),
    "sigmoids": (
        finding("vanishing-gradient", "layer_0"),
        [dense(8, "sigmoid"), dense(3)],
        [dense(8, "relu", kernel_initializer="he_normal"), dense(3)],
        {},
        "mse",
    ),
    "two linear layers": (
        finding("linear-stack", "layer_0"),
        [dense(8), dense(3)],
        [dense(8, "relu"), dense(3)],
        {},
        "mse",
    ),
    "bias before batch norm": (
        finding("redundant-bias", "layer_0", "low"),
        [dense(8), batch(), dense(3)],
        [dense(8, use_bias=False), batch(), dense(3)],
        {},
        "mse",
    ),
    "batches of one": (
        finding("batch-norm-batch-of-one", "layer_1"),
        [dense(8), batch(), dense(3)],
        [dense(8), layers.LayerNormalization(), dense(3)],
        {},
        "mse",
    ),
    "slow statistics": (
        finding("batch-norm-drift"),
        [dense(8), batch(momentum=0.999), dense(3)],
        [dense(8), batch(momentum=0.9), dense(3)],
        {},
        "mse",
    ),
    "strong penalty": (
        finding("too-much-regularization", penalty="x"),
        [dense(8, kernel_regularizer=keras.regularizers.L2(1.0)), layers.Dropout(0.9), dense(3)],
        [dense(8, kernel_regularizer=keras.regularizers.L2(1e-4)), layers.Dropout(0.9), dense(3)],
        {},
        "mse",
    ),
    "strong dropout": (
        finding("too-much-regularization", dropout="x"),
        [dense(8), layers.Dropout(0.9), dense(3)],
        [dense(8), layers.Dropout(0.25), dense(3)],
        {},
        "mse",
    ),
    "dropout of the output": (
        finding("misplaced-dropout", "layer_2"),
        [dense(8), dense(3), layers.Dropout(0.5)],
        [dense(8), layers.Dropout(0.5), dense(3)],
        {"layer_1": "layer_2", "layer_2_moved": "layer_1"},
        "mse",
    ),
    "too few units": (
        finding("bottleneck", "layer_0", units="2 (criterion: more than 2 before 32)"),
        [dense(2), dense(32), dense(3)],
        [dense(32), dense(32), dense(3)],
        {},
        "mse",
    ),
    "frozen": (
        finding("frozen-layer", "layer_0"),
        [dense(8, trainable=False), dense(3)],
        [dense(8), dense(3)],
        {},
        "mse",
    ),
    "scaled data": (
        finding("unscaled-input", "layer_1"),
        [layers.Flatten(), dense(3)],
        [keras_lecture.layers.ZeroCenter(unit_variance=True), layers.Flatten(), dense(3)],
        {"layer_1": "layer_2", "layer_0": "layer_1", "layer_0_scaling": "layer_0"},
        "mse",
    ),
}


@pytest.mark.parametrize("name", STACKS)
def test_the_prescribed_model_has_the_config_of_the_healthy_one_written_by_hand(name):
    found, sick, healthy, names, loss = STACKS[name]
    prescription = prescribe(net(*sick, loss=loss), [found], X)
    expected = net(*healthy, loss=loss)
    assert not prescription.refused and len(prescription.changes) == 1
    assert renamed(prescription.model, names) == renamed(expected, {})
    assert prescription.model.count_params() == expected.count_params()
    assert getattr(prescription.model.loss, "from_logits", False) == getattr(loss, "from_logits", False)
    prescription.model.fit(X, np.zeros((64, 1)), epochs=1, batch_size=64, verbose=0)


RATE = {"update_relative_to_the_weights,_steps_1–3": "2e+00 (criterion: above 0.2)"}
LOW = {"update_relative_to_the_weights": "1.0e-06 in the kernel that moves most (criterion: at most 1e-4)"}


@pytest.mark.parametrize(
    ("found", "optimizer", "expected"),
    [
        (finding("learning-rate-too-high", **RATE), keras.optimizers.Adam(1.0), keras.optimizers.Adam(0.005)),
        (finding("learning-rate-too-low", **LOW), keras.optimizers.Adam(1e-6), keras.optimizers.Adam(0.01)),
        (
            finding("learning-rate-too-high", **RATE),
            keras.optimizers.SGD(keras.optimizers.schedules.PiecewiseConstantDecay([20], [1.0, 0.1])),
            keras.optimizers.SGD(0.005),
        ),
        (finding("oscillating-loss"), keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.01)),
        (finding("exploding-loss"), keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.01, global_clipnorm=1.0)),
        (finding("zig-zag"), keras.optimizers.SGD(0.5), keras.optimizers.SGD(0.1, momentum=0.9)),
        (finding("slow-learning"), keras.optimizers.SGD(0.01), keras.optimizers.Adam()),
        (finding("trainable-changed"), keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01)),
    ],
)
def test_the_new_optimizer_has_the_config_of_the_one_written_by_hand(found, optimizer, expected):
    given, wanted = net(dense(3), optimizer=optimizer), expected.get_config()
    prescription = prescribe(given, [found])
    config = prescription.model.optimizer.get_config()
    assert {**config, "name": ""} == {**wanted, "name": ""}
    assert prescription.model.optimizer is not given.optimizer
    np.testing.assert_array_equal(prescription.model.layers[0].kernel, given.layers[0].kernel)


AUDITED = {
    "output-loss-mismatch": (lambda: net(dense(8, "tanh"), dense(3), loss=CLASSES), (X, Y)),
    "label-mismatch": (lambda: net(dense(3, "softmax"), loss="categorical_crossentropy"), (X, Y)),
    "unscaled-input": (lambda: net(dense(8, "tanh"), dense(1)), (100 * X, X[:, :1])),
    "uncentered-input": (lambda: net(dense(8, "tanh"), dense(1)), (X + 30, X[:, :1])),
    "redundant-bias": (lambda: net(dense(8), batch(), layers.ReLU(), dense(1)), (X, X[:, :1])),
    "normalized-output": (lambda: net(dense(8, "tanh"), dense(1), batch()), (X, X[:, :1])),
    "misplaced-dropout": (
        lambda: net(dense(8, "tanh"), dense(3, "softmax"), layers.Dropout(0.5), loss=CLASSES),
        (X, Y),
    ),
    "frozen-layer": (lambda: net(dense(8, "tanh", trainable=False), dense(1, trainable=False)), (X, X[:, :1])),
    "shrinking-signal": (lambda: net(*[dense(8, "tanh", kernel_initializer=SMALL)] * 4, dense(1)), (X, X[:, :1])),
}


@pytest.mark.parametrize("rule", AUDITED)
def test_the_audit_of_the_prescribed_model_no_longer_has_the_finding(rule):
    make, (x, y) = AUDITED[rule]
    model = make()
    findings = [each for each in audit(model, x, y, rules=[rule])]
    assert [each.rule for each in findings] == [rule]
    prescription = prescribe(model, findings, x)
    assert not prescription.refused
    assert not audit(prescription.model, x, y, rules=[rule])


def test_the_given_model_remains_as_it_is():
    """Oracle: config, weights, `trainable`, optimizer, loss and nodes before and after, compared exactly."""
    model = branched()
    model.get_layer("base").trainable = False
    before, config, optimizer, loss = model.get_weights(), model.get_config(), model.optimizer, model.loss
    trainable = [layer.trainable for layer in model.layers]
    prescription = prescribe(model, [finding("symmetric-units", "shared"), finding("frozen-layer", "inner")])
    assert len(prescription.changes) == 2
    assert json.dumps(model.get_config()) == json.dumps(config)
    assert [layer.trainable for layer in model.layers] == trainable
    assert model.optimizer is optimizer and model.loss is loss
    for value, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, other)
    assert not {id(v) for v in model.variables} & {id(v) for v in prescription.model.variables}


def square_error(y, y_pred):
    return keras.ops.mean(keras.ops.square(y - y_pred), axis=-1)


class Scale(keras.layers.Layer):
    """A layer that is not registered."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return self.factor * x

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def branched():
    """Two inputs, a nested model, a shared layer, operations, a class and functions of the user, two outputs."""
    left, right = keras.Input((8, 8, 1), name="left"), keras.Input((4,), name="right")
    inner = layers.Conv2D(2, 3, activation="sigmoid", name="inner")
    base = keras.Sequential([inner, batch(name="norm"), layers.ReLU(name="relu")], name="base")
    shared = layers.Conv2D(2, 3, padding="same", kernel_initializer="ones", name="shared")
    x = base(left)
    x = shared(x) + shared(x) * 2.0
    x = keras.ops.mean(x, axis=(1, 2))
    x = layers.Concatenate(name="joined")([x, layers.Dense(3, "tanh", name="side")(right)])
    x = Scale(2.0, name="scale")(layers.Dropout(0.9, name="dropped")(x[:, :5]))
    x = layers.Lambda(lambda x: -x, name="minus")(x)
    outputs = {"kind": layers.Dense(3, name="kind")(x), "size": layers.Dense(1, "relu", name="size")(x)}
    model = keras.Model({"left": left, "right": right}, outputs, name="branched")
    loss = {"kind": CLASSES, "size": square_error}
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, loss_weights={"kind": 0.5, "size": 2.0})
    return model


def plain(model):
    """The config without the names of operations, which Keras numbers."""
    config = model.get_config()
    names = [layer["name"] for layer in config["layers"] if layer["module"].startswith("keras.src.ops")]
    text = json.dumps(config, sort_keys=True)
    for name in sorted(names, reverse=True):
        text = text.replace(f'"{name}"', f'"{name.rstrip("_0123456789")}"')
    return text


def executed(text, **names):
    space = {"keras": keras, "keras_lecture": keras_lecture, **names}
    exec(text, space)
    return space["model"]


def test_the_code_of_a_graph_builds_a_model_with_the_same_config():
    """The finding of one output of two, a nested frozen layer and data scaling by one input of two."""
    model = branched()
    model.get_layer("base").trainable = False
    x = {"left": np.random.default_rng(0).normal(10, 50, (8, 8, 8, 1)), "right": X[:8]}
    found = [
        finding("output-loss-mismatch", "kind"),
        finding("symmetric-units", "shared"),
        finding("frozen-layer", "inner"),
        finding("unscaled-input", "inner"),
        finding("too-much-regularization", dropout="90 % in dropped"),
    ]
    prescription = prescribe(model, found, x)
    new = prescription.model
    assert not prescription.refused
    assert new.get_layer("base").get_layer("inner").trainable and new.get_layer("base").trainable
    np.testing.assert_array_equal(new.get_layer("side").kernel, model.get_layer("side").kernel)
    text = program(new, compiled.arguments(new), {"base_scaling": 'x["left"]'})
    for line in prescription.diff.splitlines()[2:]:
        assert line[0] in "-@" or line[1:] in text
    again = executed(text, x=x, Scale=Scale, square_error=square_error, your_function=new.get_layer("minus").function)
    assert plain(again) == plain(new) and again.count_params() == new.count_params()
    assert {**again.optimizer.get_config(), "name": ""} == {**new.optimizer.get_config(), "name": ""}
    again.set_weights(new.get_weights())
    for one, other in zip(again(x).values(), new(x).values(), strict=True):
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-5, atol=1e-6)
    new.fit(x, {"kind": Y[:8], "size": X[:8, :1]}, verbose=0)


DIFF = """\
--- before
+++ after
@@ -1,9 +1,12 @@
+layer_0_scaling = keras_lecture.layers.ZeroCenter(unit_variance=True, name="layer_0_scaling")
+layer_0_scaling.adapt(x)
 model = keras.Sequential([
     keras.Input((4,), name="inputs"),
+    layer_0_scaling,
     keras.layers.Dense(8, activation="relu", name="layer_0"),
-    keras.layers.Dense(3, activation="softmax", name="layer_1"),
+    keras.layers.Dense(3, name="layer_1"),
 ], name="net")
 model.compile(
     optimizer=keras.optimizers.Adam(learning_rate=0.01),
-    loss=keras.losses.SparseCategoricalCrossentropy(),
+    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
 )"""


def test_the_diff_and_the_code_behind_it():
    model = net(dense(8, "relu"), dense(3, "softmax"), loss=keras.losses.SparseCategoricalCrossentropy())
    model.compile(keras.optimizers.Adam(0.01), model.loss)
    found = [finding("output-loss-mismatch", "layer_1"), finding("unscaled-input", "layer_0")]
    prescription = prescribe(model, found, X)
    assert prescription.diff == DIFF
    assert str(prescription) == "\n".join([*prescription.changes, DIFF])
    lines = [line[1:] for line in DIFF.splitlines()[3:] if line[0] in " +"]
    again = executed("\n".join(lines), x=X)
    assert again.get_config() == prescription.model.get_config()
    assert executed(prescription.code, x=X).get_config() == prescription.model.get_config()
    np.testing.assert_allclose(numpy(prescription.model.layers[0](X)).std(axis=0), 1.0, rtol=1e-5)


def test_findings_of_a_saved_record_are_as_good():
    """A file holds dicts, which were refused with the message that a list is needed, and received a list."""
    model = net(dense(3, "softmax"), loss=LOGITS)
    found = finding("output-loss-mismatch", "layer_0")
    saved = json.loads(json.dumps([found.to_dict()]))
    assert prescribe(model, saved).diff == prescribe(model, [found]).diff != ""


def test_scaling_in_front_of_a_trained_model_says_train_again():
    """Its weights stay, and were trained on inputs of another scale: accuracy fell without a word."""
    model = net(dense(3), loss="mse")
    found = [finding("unscaled-input", "layer_0")]
    assert "train again" not in prescribe(model, found, X).changes[0]
    model.fit(X, np.zeros((64, 3)), verbose=0)
    assert "train again" in prescribe(model, found, X).changes[0]


def test_a_prescribed_model_is_saved_and_loaded(tmp_path):
    model = net(dense(8, "relu"), dense(3), loss=CLASSES)
    found = [finding("output-loss-mismatch", "layer_1"), finding("uncentered-input", "layer_0")]
    new = prescribe(model, found, X).model
    new.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(numpy(loaded(X)), numpy(new(X)), rtol=1e-6, atol=1e-6)
    assert loaded.loss.get_config()["from_logits"]


def test_layers_that_stay_keep_their_weights_and_a_trained_model_its_predictions():
    """A bias before batch normalization leaves no trace in the outputs if the normalization has been trained."""
    model = net(dense(8), batch(momentum=0.0), dense(3))
    model.fit(X, X[:, :3], batch_size=64, epochs=2, verbose=0)
    # With a momentum of 0 the moving mean is that of the last batch; a bias moves it by itself.
    model.layers[0].bias.assign(np.ones(8))
    model.layers[1].moving_mean.assign(model.layers[1].moving_mean + 1.0)
    new = prescribe(model, [finding("redundant-bias", "layer_0", "low")]).model
    for index in (1, 2):
        for value, other in zip(new.layers[index].get_weights(), model.layers[index].get_weights(), strict=True):
            np.testing.assert_array_equal(value, other)
    np.testing.assert_array_equal(new.layers[0].kernel, model.layers[0].kernel)


def test_weights_that_are_not_finite_are_drawn_again():
    model = net(dense(8, "relu"), dense(3))
    model.layers[0].kernel.assign(np.full((4, 8), np.nan))
    prescription = prescribe(model, [finding("exploding-loss")])
    assert np.isfinite(numpy(prescription.model(X))).all()
    assert "not finite: layer_0." in prescription.changes[-1]
    np.testing.assert_array_equal(prescription.model.layers[1].kernel, model.layers[1].kernel)


def test_an_optimizer_that_evaluates_the_loss_is_bound_to_the_new_model():
    model = net(dense(3, "softmax"), loss=LOGITS)
    model.compile(keras_lecture.optimizers.Armijo().bind(model), LOGITS)
    prescription = prescribe(model, [finding("output-loss-mismatch", "layer_0")])
    assert prescription.model.optimizer is not model.optimizer
    prescription.model.fit(X, Y, verbose=0)


class Subclassed(keras.Model):
    """A model with a `call` of its own."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x):
        return self.dense(x)


def subclassed():
    model = Subclassed()
    model.compile("sgd", "mse")
    model(X)
    return model


def with_lora():
    model = net(dense(3), dense(3))
    model.layers[0].enable_lora(1)
    return model


def shared():
    inputs = keras.Input((4,))
    twice = layers.Dense(4, name="twice")
    model = keras.Model(inputs, layers.Dense(1, name="last")(twice(twice(inputs))))
    model.compile("sgd", "mse")
    return model


def two_outputs(loss):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [layers.Dense(1, "relu", name=name)(inputs) for name in ("a", "b")])
    model.compile("sgd", loss)
    return model


@pytest.mark.parametrize(
    ("model", "found", "why"),
    [
        (subclassed, finding("unscaled-input", "dense"), "Subclassed is a class of its own"),
        (with_lora, finding("exploding-loss"), "layer_0 is quantized or has LoRA"),
        (shared, finding("growing-signal", "twice"), "twice is shared: it is called 2 times"),
        (lambda: two_outputs("mse"), finding("output-loss-mismatch"), "does not say which of the outputs"),
        (
            lambda: two_outputs("binary_crossentropy"),
            finding("output-loss-mismatch", "a"),
            "One loss serves all outputs",
        ),
        (lambda: net(dense(3)), finding("unscaled-input", "layer_0"), "pass `x`"),
        (lambda: net(layers.Rescaling(9.0), dense(3)), finding("uncentered-input", "layer_1"), "pass `x`"),
        (lambda: net(dense(3)), finding("unbalanced-batches"), "in the data"),
        (lambda: net(dense(3)), finding("inactive-dropout", "x"), "in the code of a layer"),
        (lambda: net(dense(3)), finding("redundant-bias", "missing"), "no layer named missing"),
        (lambda: net(dense(3)), finding("exploding-loss", is_open=False), "is closed"),
        (lambda: net(dense(3, trainable=False)), finding("frozen-layer", "layer_0", "low"), "of low severity"),
        (lambda: net(dense(3)), finding("learning-rate-too-high"), "no measured update"),
        (
            lambda: net(dense(3, "softmax"), loss=CLASSES),
            finding("label-mismatch", "layer_0", targets="shape ('samples',), values 1 to 3"),
            "Number the classes in the data",
        ),
        (
            lambda: net(layers.Bidirectional(layers.LSTM(2)), dense(3), shape=(3, 2)),
            finding("redundant-bias", "forward_lstm"),
            "is built by layer_0",
        ),
    ],
)
def test_a_change_that_cannot_be_made_right_is_refused(model, found, why):
    prescription = prescribe(model(), [found])
    assert prescription.model is None and not prescription.changes and prescription.diff == ""
    assert [entry[:2] for entry in prescription.refused] == [(found.rule, found.layer)]
    assert why in prescription.refused[0][2]


def test_low_findings_wait_until_the_serious_ones_are_cured():
    model = net(dense(8), batch(), dense(3, "softmax"), loss=LOGITS)
    low, high = finding("redundant-bias", "layer_0", "low"), finding("output-loss-mismatch", "layer_2", "high")
    assert [entry[0] for entry in prescribe(model, [low, high]).refused] == ["redundant-bias"]
    assert not prescribe(model, [low]).refused


def test_consequences_wait_until_their_cause_is_cured():
    """The loss of a net with raw inputs explodes, but not because of its learning rate."""
    found = [finding("exploding-loss", severity="high"), finding("unscaled-input", "layer_0")]
    prescription = prescribe(net(dense(3)), found, X)
    assert [entry[0] for entry in prescription.refused] == ["exploding-loss"]
    assert "learning_rate" not in prescription.diff


def test_a_low_finding_leads_to_a_change_only_where_the_start_is_wrong_by_itself():
    low = finding("dead-relu", "layer_0", "low")
    assert prescribe(net(dense(8, "relu"), dense(3)), [low]).model is None
    assert prescribe(net(dense(8, "relu", kernel_initializer=SMALL), dense(3)), [low]).model is not None


def test_every_rule_is_either_cured_or_refused():
    assert set(CHANGES) | set(REFUSED) == set(RULES)
    assert not set(CHANGES) & set(REFUSED)


@pytest.mark.parametrize(
    ("model", "findings", "message"),
    [
        ("model", [], "`model` must be a Keras model"),
        (keras.Sequential([layers.Dense(1)]), [], "`model` must be built"),
        (keras.Sequential([keras.Input((1,)), layers.Dense(1)]), [], "`model` must be compiled"),
        (net(dense(1)), "unscaled-input", "`findings` must be a list of findings"),
    ],
)
def test_wrong_arguments_are_named(model, findings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        prescribe(model, findings)


def test_a_prescription_that_changes_nothing_says_why():
    """Findings about another instance of the model, whose layers have other names, printed an empty line."""

    def classifier():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    findings = audit(classifier(), x, np.arange(64) % 3, rules=["output-loss-mismatch"])
    prescription = prescribe(classifier(), findings)
    assert prescription.model is None
    assert str(prescription).splitlines()[0] == "Nothing is changed."
    assert f"output-loss-mismatch [{findings[0].layer}] is refused: " in str(prescription)
