"""`keras-lecture audit`: models and arrays from files, findings, exit codes, and files that are refused."""

import io
import json
import zipfile

import keras
import numpy as np
import pytest
from keras import layers
from support.command import run

from keras_lecture import diagnosis
from keras_lecture import layers as ours

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(120, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")
HELD_OUT = RANDOM.normal(size=(40, 4)).astype("float32")


class Unknown(layers.Layer):
    """A layer that only its own script defines."""

    def call(self, inputs):
        return inputs


def own_loss(y_true, y_pred):
    return keras.ops.mean((y_true - y_pred) ** 2)


def classifier(activation="sigmoid", loss="binary_crossentropy", first=()):
    model = keras.Sequential([keras.Input((4,)), *first, layers.Dense(1, activation)])
    model.compile("adam", loss)
    return model


def two(as_dicts):
    """Two inputs and two outputs, in lists or dicts, in another order than that of their names."""
    inputs = {"image": keras.Input((2,), name="image"), "age": keras.Input((3,), name="age")}
    joined = layers.Concatenate()(list(inputs.values()))
    outputs = {"sold": layers.Dense(1, "sigmoid", name="sold")(joined), "price": layers.Dense(1, name="price")(joined)}
    losses = {"sold": "binary_crossentropy", "price": "mse"}
    model = keras.Model(*((part if as_dicts else list(part.values())) for part in (inputs, outputs)))
    model.compile("adam", losses if as_dicts else list(losses.values()))
    return model


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with a healthy model and its data."""
    monkeypatch.chdir(tmp_path)
    classifier().save("model.keras")
    np.savez("data.npz", x=X, y=Y)
    return tmp_path


def test_prints_the_findings_of_audit_and_ends_with_their_code(folder):
    assert run("audit", "model.keras", "data.npz")[0] == 0
    sick = classifier(None)
    sick.save("sick.keras")
    code, out, err = run("audit", "sick.keras", "data.npz", "--json")
    found = json.loads(out)["findings"]
    assert (code, err) == (5, "")
    assert [one["rule"] for one in found] == [one.rule for one in diagnosis.audit(sick, X, Y)]
    code, out, _ = run("audit", "sick.keras", "data.npz", "--out", "page.html")
    assert code == 5 and "output-loss-mismatch" in out and "output-loss-mismatch" in (folder / "page.html").read_text()


@pytest.mark.parametrize("place", ["same file", "other file"])
def test_validation_data_and_options_reach_the_audit(place, folder):
    data = {"x": X[np.argsort(Y)], "y": np.sort(Y), "sample_weight": np.ones(120)}
    words = ["--no-shuffle", "--batch-size", 30, "--json"]
    if place == "same file":
        np.savez("data.npz", **data, x_val=X[:40], y_val=Y[:40])
    else:
        np.savez("data.npz", **data)
        np.savez("held_out.npz", x=X[:40], y=Y[:40])
        words += ["--validation", "held_out.npz"]
    code, out, err = run("audit", "model.keras", "data.npz", *words)
    assert (code, err) == (4, "")
    assert {"unshuffled-batches", "leaked-validation"} <= {found["rule"] for found in json.loads(out)["findings"]}


NUMBERS, NAMES = (("x_0", "x_1"), ("y_0", "y_1")), (("x_image", "x_age"), ("y_sold", "y_price"))


@pytest.mark.parametrize(("as_dicts", "names"), [(False, NUMBERS), (False, NAMES), (True, NAMES)])
def test_several_inputs_and_outputs_have_numbers_or_names(as_dicts, names, folder):
    """The parts have different shapes and losses, so that another order would be an error or a finding."""
    inputs, outputs = names
    two(as_dicts).save("two.keras")
    parts = dict(zip((*inputs, *outputs), (X[:, :2], X[:, 1:], Y[:, None], X[:, :1]), strict=True))
    np.savez("two.npz", **parts)
    code, out, err = run("audit", "two.keras", "two.npz", "--json")
    assert (code, err) == (0, ""), out
    del parts[inputs[1]]
    np.savez("two.npz", **parts)
    code, _, err = run("audit", "two.keras", "two.npz")
    assert code == 2 and f"`{inputs[1]}`" in err and err.endswith(f"It has `{inputs[0]}`.\n")


def test_a_model_with_dicts_needs_names(folder):
    two(as_dicts=True).save("two.keras")
    np.savez("two.npz", x_0=X[:, :2], x_1=X[:, 1:], y_sold=Y, y_price=Y)
    code, _, err = run("audit", "two.keras", "two.npz")
    assert code == 2 and "must have one array `x`, or `x_age`, `x_image`. It has `x_0`, `x_1`." in err


def test_layers_and_optimizers_of_the_package_load(folder):
    center = ours.ZeroCenter(unit_variance=True)
    center.adapt(X)
    model = classifier(first=[center, ours.Maxout(4)])
    model.save("ours.keras")
    assert run("audit", "ours.keras", "data.npz")[0] == 0


def archive(members):
    """The bytes of a zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        for name, content in members.items():
            written.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, "`MODEL.keras` must be an existing file."),
        (b"text", "`MODEL.keras` must be a .keras file."),
        (archive({"notes.txt": "a zip file"}), "it.keras cannot be loaded: "),
        (archive({"config.json": "[" * 9999, "metadata.json": "{}"}), "it.keras cannot be loaded: "),
        (lambda: classifier(first=[Unknown()]), "the class 'Unknown' is known neither to Keras nor to keras_lecture"),
        (lambda: classifier(loss=own_loss), "the function 'own_loss' is known neither to Keras nor to keras_lecture"),
        (lambda: classifier(first=[layers.Lambda(lambda x: x)]), "it contains Python code, which may do anything"),
        (
            lambda: keras.Sequential([keras.Input((4,)), layers.Dense(1)]),
            "`MODEL.keras` must be a compiled model. Received: MODEL.keras='it.keras'. Call `model.compile(…)` before",
        ),
    ],
)
def test_a_model_that_cannot_be_loaded_is_a_usage_error_of_one_line(model, message, folder):
    if callable(model):
        model().save("it.keras")
    elif model is not None:
        (folder / "it.keras").write_bytes(model)
    code, out, err = run("audit", "it.keras", "data.npz")
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert message in line and len(line) < 500


def test_other_formats_are_refused(folder):
    classifier().save("model.h5")
    code, _, err = run("audit", "model.h5", "data.npz")
    assert code == 2 and err.startswith("keras-lecture: `MODEL.keras` must be a .keras file. Received: ")


class Fires:
    """Its pickle leaves a file behind when it is read."""

    def __reduce__(self):
        return open, ("fired", "w")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (None, "`DATA.npz` must be an existing file."),
        (b"text", "`DATA.npz` must be an .npz file."),
        (archive({"x.npy": b"\x93NUMPY\x01\x00broken"}), "it.npz cannot be read: "),
        (archive({"x": b"no array"}), "it.npz cannot be read: it has members that are not arrays."),
        ({"x": np.array([Fires(), None]), "y": Y}, "it.npz cannot be read: it contains Python objects, not numbers."),
        ({"x": X}, "it.npz must have an array `y`. It has `x`."),
        ({}, "it.npz must have an array `x`. It has no arrays."),
        ({"x": X, "y": Y, "labels": Y}, "it.npz has an array `labels`, but its arrays must be sample_weight, "),
        ({"x_train": X, "y_train": Y}, "it.npz must have an array `x`. It has `x_train`."),
        ({"x": X, "y": Y, "x_val": X}, "it.npz must have an array `y_val` for validation. It has "),
        ({"x": X, "y": Y[:7]}, "audit: `y` must be of 120 rows, as `x`."),
        ({"x": X[:, :3], "y": Y}, "audit: `x` must be data that the model "),
        ({"x": np.full((120, 4), "text"), "y": Y}, "audit: `x` must be of numbers."),
    ],
)
def test_data_that_do_not_fit_are_a_usage_error_of_one_line(arrays, message, folder):
    if isinstance(arrays, dict):
        np.savez("it.npz", **arrays)
    elif arrays is not None:
        (folder / "it.npz").write_bytes(arrays)
    code, out, err = run("audit", "model.keras", "it.npz")
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("keras-lecture: ") and message in line
    assert not (folder / "fired").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.keras"], "the following arguments are required: DATA.npz"),
        (["model.keras", "data.npz", "--batch-size", 0], "`--batch-size` must be a whole number in [1, ∞)."),
        (["model.keras", "data.npz", "--out", "model.keras"], "`--out` must be the name of an .html file."),
        (["model.keras", "data.npz", "--validation", "none.npz"], "`--validation` must be an existing file."),
        (["model.keras", "both.npz", "--validation", "data.npz"], "`--validation` must be left out."),
    ],
)
def test_invalid_options_are_a_usage_error_of_one_line(words, message, folder):
    np.savez("both.npz", x=X, y=Y, x_val=HELD_OUT, y_val=Y[:40])
    code, out, err = run("audit", *words)
    assert (code, out) == (2, "")
    assert message in err and len(err.splitlines()) == 1
