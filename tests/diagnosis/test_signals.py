"""Signals and gradients of each layer. Oracle: a network in NumPy, and the decks' ten layers of 500 units."""

import contextlib

import keras
import numpy as np
import pytest
from support.harness import BACKEND

from keras_lecture import initializers
from keras_lecture.callbacks import Doctor
from keras_lecture.diagnosis import signals
from keras_lecture.diagnosis._facts import batches
from keras_lecture.diagnosis._facts.passes import Pass
from keras_lecture.layers import DenseBlock


def values_of(model):
    """Copies of all variables of a model and its optimizer."""
    optimizer = model.optimizer.variables if model.compiled else []
    return [np.array(keras.ops.convert_to_numpy(v)) for v in [*model.variables, *optimizer]]


def two_layers():
    """A ReLU layer with a dead unit and a twin pair, and a linear output; weights and data."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 3)), rng.normal(size=(12, 1))
    w1, b1 = rng.normal(size=(3, 5)), rng.normal(size=5) * 0.1
    w1[:, 4], b1[4] = w1[:, 3], b1[3]
    b1[0] = -100.0
    w2, b2 = rng.normal(size=(5, 1)), rng.normal(size=1)
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(5, activation="relu", name="hidden"), keras.layers.Dense(1, name="head")]
    )
    model.compile("sgd", "mse")
    model.set_weights([w1, b1, w2, b2])
    return model, x, y, (w1, b1, w2, b2)


def test_the_numbers_are_those_of_a_network_in_numpy():
    """Oracle: NumPy in float64; tolerance 1e-4 relative, as for a record on three backends."""
    model, x, y, (w1, b1, w2, b2) = two_layers()
    found = signals(model, x, y)
    z = x @ w1 + b1
    a = np.maximum(z, 0.0)
    p = a @ w2 + b2
    to_p = 2.0 * (p - y)  # of the loss summed over the samples
    to_a = to_p @ w2.T
    to_z = to_a * (z > 0)
    hidden, head = found.rows
    np.testing.assert_allclose(found.loss, np.mean((p - y) ** 2), rtol=1e-4)
    for row, signal, gradient in ((hidden, a, to_a), (head, p, to_p)):
        np.testing.assert_allclose(row["mean"], signal.mean(), rtol=1e-4)
        np.testing.assert_allclose(row["std"], signal.std(), rtol=1e-4)
        np.testing.assert_allclose(row["gradient"], np.sqrt(np.mean(gradient**2)), rtol=1e-4)
    np.testing.assert_allclose(hidden["zeros"], np.mean(a == 0), rtol=1e-6)
    assert (hidden["dead"], hidden["units"], head["dead"]) == (1, 5, None)
    np.testing.assert_allclose(hidden["equal"], 0.5)  # two of the four active units
    weights = {"/".join(w["path"].split("/")[-2:]): w for row in found.rows for w in row["weights"]}
    expected = {"hidden/kernel": (w1, x.T @ to_z), "hidden/bias": (b1, to_z.sum(0)), "head/kernel": (w2, a.T @ to_p)}
    for name, (value, gradient) in expected.items():
        np.testing.assert_allclose(weights[name]["norm"], np.linalg.norm(value), rtol=1e-4)
        np.testing.assert_allclose(weights[name]["gradient"], np.linalg.norm(gradient) / len(x), rtol=1e-4)
        assert weights[name]["update"] is None  # no step has been taken


@pytest.mark.parametrize(
    ("initializer", "activation", "low", "high"),
    [
        (initializers.Gaussian(0.01), "tanh", 0.0, 1e-5),
        (initializers.Xavier(), "tanh", 0.2, 0.7),
        (initializers.Kaiming(), "relu", 0.3, 3.0),
    ],
    ids=["N(0, 0.01²) dies", "Xavier holds for tanh", "Kaiming holds for ReLU"],
)
def test_ten_layers_of_500_units(initializer, activation, low, high):
    """Deck C: the spread of the tenth layer is 0 under N(0, 0.01²); Xavier and Kaiming keep it."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((500,)), *(keras.layers.Dense(500, activation) for _ in range(10))])
    initializers.initialize(model, initializer)
    rows = signals(model, np.random.default_rng(0).normal(size=(64, 500))).rows
    assert len(rows) == 10
    assert low <= rows[-1]["std"] <= high


def test_large_weights_saturate_tanh():
    """Deck C: under N(0, 1) nearly all units of a layer are at ±1, and the gradient does not pass."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((500,)), *(keras.layers.Dense(500, "tanh") for _ in range(5))])
    initializers.initialize(model, initializers.Gaussian(1.0))
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    rows = signals(model, rng.normal(size=(64, 500)), rng.normal(size=(64, 500))).rows
    assert all(row["saturated"] > 0.8 for row in rows)


def test_update_is_that_of_the_next_step_and_the_model_does_not_change():
    """Oracle: the weights before and after `train_on_batch`; tolerance 1e-4."""
    model, x, y, _ = two_layers()
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.train_on_batch(x, y)
    before = values_of(model)
    found = {weight["path"]: weight["update"] for row in signals(model, x, y).rows for weight in row["weights"]}
    for old, new in zip(before, values_of(model), strict=True):
        np.testing.assert_array_equal(old, new)
    weights = [np.array(w) for w in model.get_weights()]
    model.train_on_batch(x, y)
    for variable, old in zip(model.trainable_variables, weights, strict=True):
        new = np.array(keras.ops.convert_to_numpy(variable))
        np.testing.assert_allclose(found[variable.path], np.linalg.norm(new - old) / np.linalg.norm(old), rtol=1e-3)


class Nested(keras.Model):
    """A subclassed model with a shared layer, a recurrent one, attention and two outputs."""

    def __init__(self):
        super().__init__()
        self.embed = keras.layers.Embedding(20, 8, mask_zero=True)
        self.shared = keras.layers.Dense(8, activation="tanh")
        self.attend = keras.layers.MultiHeadAttention(2, 4)
        self.recur = keras.layers.Bidirectional(keras.layers.SimpleRNN(4))
        self.block = keras.Sequential([keras.layers.Dense(6, activation="relu"), keras.layers.Dropout(0.5)])
        self.one, self.two = keras.layers.Dense(1, name="one"), keras.layers.Dense(3, activation="softmax", name="two")

    def call(self, inputs, training=None):
        h = self.shared(self.shared(self.embed(inputs["words"])))
        h = self.attend(h, h, training=training)
        h = self.block(keras.ops.concatenate([self.recur(h), inputs["numbers"]], axis=-1), training=training)
        return {"one": self.one(h), "two": self.two(h)}


def test_nested_recurrent_attention_and_dictionaries():
    """Every leaf layer has a row, in call order, with finite numbers; nothing of the model changes."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = {"words": rng.integers(1, 20, (8, 3)), "numbers": rng.normal(size=(8, 2)).astype("float32")}
    y = {"one": rng.normal(size=(8, 1)).astype("float32"), "two": rng.integers(0, 3, 8)}
    model = Nested()
    model.compile("adam", {"one": "mse", "two": "sparse_categorical_crossentropy"})
    model.fit(x, y, epochs=1, verbose=0)
    before = values_of(model)
    found = signals(model, x, y)
    names = [row["layer"] for row in found.rows]
    assert names[0].startswith("embedding") and {"one", "two"} <= set(names) and len(names) == len(set(names)) == 12
    assert all(np.isfinite(row["std"]) and row["gradient"] > 0 for row in found.rows)
    for old, new in zip(before, values_of(model), strict=True):
        np.testing.assert_array_equal(old, new)


def test_without_a_loss_only_the_forward_pass_is_measured():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    rows = signals(model, np.ones((4, 3))).rows
    assert rows[0]["gradient"] is None and rows[0]["std"] > 0


def test_a_model_without_trainable_weights():
    """PyTorch cannot stack an empty list of gradients."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5)])
    model.compile("sgd", "mse")
    batch = batches.as_tensors("test", model, (np.ones((4, 3)), np.zeros((4, 3)), None))
    assert Pass(model, batch)(batch).rows[0]["gradient"] > 0


def test_the_table_fits_80_columns():
    model, x, y, _ = two_layers()
    lines = str(signals(model, x, y)).splitlines()
    assert max(map(len, lines)) <= 80 and len(lines) == 7
    assert "1/5" in lines[1]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    if BACKEND == "torch" and policy == "mixed_float16":
        policy = "mixed_bfloat16"
    keras.config.set_dtype_policy(policy)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(1, dtype="float32")])
    model.compile("adam", "mse")
    rows = signals(model, np.ones((8, 3)), np.ones((8, 1))).rows
    assert all(np.isfinite(row["gradient"]) for row in rows)


def test_bad_input_is_named():
    model, x, y, _ = two_layers()
    with pytest.raises(TypeError, match="signals: `x` must be of numbers"):
        signals(model, np.array([["a", "b", "c"]]), y[:1])
    with pytest.raises(ValueError, match="at least one sample"):
        signals(model, x[:0], y[:0])
    with pytest.raises(ValueError, match="of the same length"):
        signals(model, x, y[:3])
    with pytest.raises(ValueError, match="built"):
        signals(keras.Sequential([keras.layers.Dense(1)]), x)


def _dense_block(memory_efficient):
    keras.utils.set_random_seed(0)
    block = DenseBlock(2, layers=4, memory_efficient=memory_efficient)
    model = keras.Sequential([keras.Input((6, 6, 3)), block, keras.layers.GlobalAveragePooling2D()])
    model.compile("sgd", "mse")
    return model


def _convolutional(scope):
    keras.utils.set_random_seed(0)
    with scope:
        convolution = keras.layers.Conv2D(4, 3)
    model = keras.Sequential([keras.Input((6, 6, 3)), convolution, keras.layers.Flatten()])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("name", ["a dense block", "RematScope"])
def test_signals_of_layers_that_recompute_them_are_seen(name):
    """Interception was off when PyTorch computed these layers again, and JAX's tracers left their trace.

    Oracle: the same layers without recomputation, to 1e-5.
    """
    if name == "a dense block":
        plain, saving = _dense_block(False), _dense_block(True)
    else:
        # Not the whole model: TensorFlow cannot recompute a call with keywords.
        plain, saving = (_convolutional(scope) for scope in (contextlib.nullcontext(), keras.RematScope(mode="full")))
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 3)).astype("float32")
    y = np.zeros((8, *plain.output_shape[1:]), "float32")
    expected, found = (signals(model, x, y).rows for model in (plain, saving))
    assert len(found) == len(expected) > 1
    for one, other in zip(expected, found, strict=True):
        for key in ("mean", "std", "gradient"):
            np.testing.assert_allclose(one[key], other[key], rtol=1e-5, atol=1e-7)
    doctor = Doctor(verbose=0)
    saving.fit(x, y, epochs=1, verbose=0, callbacks=[doctor])
    assert doctor.record["unseen"] == []
    assert not [fact for fact in doctor.record["invariants"].values() if "Error" in fact["detail"]]
