"""The tables of docs/training_or_not.md: layers in models that train, predict, or do not pass `training`.

The oracle of every cell is Keras's own layer of the same kind in the same model and the same call; where ours differs
on purpose, the table says "refused".
"""

import re
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.harness import BACKEND, numpy

from keras_lecture.layers import (
    BatchNormalization,
    DropConnect,
    Dropout,
    Jitter,
    PCAColor,
    RandomAffine,
    RandomCropFlip,
    StochasticDepth,
)

pytestmark = pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")

X = np.random.default_rng(0).uniform(1, 2, (4, 6, 6, 3)).astype("float32")
COMPONENTS = {"eigenvectors": np.eye(3), "eigenvalues": [1.0, 1.0, 1.0], "value_range": (0, 1)}
AUGMENTATIONS = {
    "Jitter": lambda: Jitter(1.0, seed=1),
    "PCAColor": lambda: PCAColor(1.0, **COMPONENTS, seed=1),
    "RandomAffine": lambda: RandomAffine(30.0, shift=0.3, seed=1),
    "RandomCropFlip": lambda: RandomCropFlip(6, 6, padding=3, seed=1),
}


def keras_augmentation():
    return keras.layers.RandomTranslation(0.3, 0.3, fill_mode="constant", seed=1)


class Calling:
    """Calls another layer without `training`, which its own `call` does not take."""

    def __init__(self, layer):
        super().__init__()
        self.inner = layer

    def call(self, inputs):
        return self.inner(inputs)


class WithoutTraining(Calling, keras.Model):
    """A model whose `call` does not take `training`."""


class LosesTraining(WithoutTraining):
    """A model whose `call` takes `training` and does not pass it on."""

    def call(self, inputs, training=None):
        return self.inner(inputs)


class PassesTraining(WithoutTraining):
    """A model as in Keras's guides."""

    def call(self, inputs, training=None):
        return self.inner(inputs, training=training)


class CustomLayer(Calling, keras.layers.Layer):
    """A user's layer that calls another layer and knows nothing of training."""

    def compute_output_shape(self, input_shape):
        return input_shape


def sequential(*layers):
    return keras.Sequential([keras.Input(X.shape[1:]), *layers])


def timed(layer):
    inputs = keras.Input(X.shape[1:])
    steps = keras.layers.Reshape((1, *X.shape[1:]))(inputs)
    return keras.Model(inputs, keras.layers.Reshape(X.shape[1:])(keras.layers.TimeDistributed(layer)(steps)))


# The rows of the table, and its columns.
MODELS = {
    "Sequential or functional": sequential,
    "nested": lambda layer: sequential(sequential(layer)),
    "inside a layer of yours": lambda layer: sequential(CustomLayer(layer)),
    "`TimeDistributed`": timed,
    "subclassed, `self.layer(x, training=training)`": PassesTraining,
    "subclassed, `self.layer(x)`": LosesTraining,
    "subclassed, `call` without `training`": WithoutTraining,
}


def changed(y):
    return bool(np.abs(numpy(y) - X).max() > 0.01)


def stateless(model):
    values = [[v.value for v in group] for group in (model.trainable_variables, model.non_trainable_variables)]
    return model.stateless_call(*values, keras.ops.convert_to_tensor(X))[0]


def fitted(model):
    model.compile(keras.optimizers.SGD(0.0), "mae")
    return model.fit(X, X, verbose=0).history["loss"][0] > 0.01


CALLS = {
    "`model(x)`": lambda model: changed(model(X)),
    "`training=True`": lambda model: changed(model(X, training=True)),
    "`training=False`": lambda model: changed(model(X, training=False)),
    "`fit`": fitted,
    "`predict`": lambda model: changed(model.predict(X, verbose=0)),
    "`stateless_call(…, x)`": lambda model: changed(stateless(model)),
}


def does(model, call):
    """What a layer does in a model: "on", "off", or "refused"."""
    if not model.built:
        model(X, training=False)
    try:
        return "on" if CALLS[call](model) else "off"
    except ValueError as error:
        assert "`training` must be given" in str(error)
        return "refused"


def page():
    """The two tables of the page, each as {row: {column: cell}}."""
    text = (Path(__file__).parents[2] / "docs/training_or_not.md").read_text(encoding="utf-8")
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    found = []
    for table in tables[:2]:
        head, _, *rows = ([cell.strip() for cell in line.strip("|\n ").split("|")] for line in table.splitlines())
        found.append({row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows})
    return found


def cells(table):
    return [(row, column) for row, columns in page()[table].items() for column in columns]


def here(cell):
    """The part of a cell such as "on (JAX with Keras 3.15: refused)" for this backend and version."""
    usual, _, special = cell.removesuffix(")").partition(" (JAX with Keras 3.15: ")
    return special if special and BACKEND == "jax" and keras.__version__.startswith("3.15.") else usual


def test_the_page_has_every_model_and_every_call():
    assert [list(table) for table in page()] == [list(MODELS)] * 2
    assert all(list(columns) == list(CALLS) for table in page() for columns in table.values())


@pytest.mark.parametrize("row", MODELS)
def test_augmentations_do_what_the_page_says_and_what_keras_does(row):
    """L2, L18: they changed predictions of subclassed models on JAX and did nothing in `model(x)`. Oracle: Keras's
    RandomTranslation, in each cell that is not "refused"."""
    for column, cell in page()[0][row].items():
        ours = does(MODELS[row](AUGMENTATIONS["RandomCropFlip"]()), column)
        assert ours == here(cell), column
        if ours != "refused":
            assert does(MODELS[row](keras_augmentation()), column) == ours, column


@pytest.mark.parametrize("row", MODELS)
def test_dropout_does_what_the_page_says_and_what_keras_does(row):
    """Oracle: Keras's Dropout in each cell."""
    for column, cell in page()[1][row].items():
        layers = keras.layers.Dropout(0.5, seed=1), Dropout(0.5, seed=1)
        assert [does(MODELS[row](layer), column) for layer in layers] == [here(cell)] * 2, column


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("row", ["Sequential or functional", "subclassed, `call` without `training`"])
def test_all_augmentations_follow_the_first_table(name, row):
    for column in ("`model(x)`", "`training=True`", "`training=False`"):
        assert does(MODELS[row](AUGMENTATIONS[name]()), column) == here(page()[0][row][column])


@pytest.mark.parametrize(
    "make",
    [
        lambda: StochasticDepth(0.5, seed=1),
        lambda: DropConnect(keras.layers.Dense(3, kernel_initializer="identity"), rate=0.5, seed=1),
        BatchNormalization,
    ],
    ids=["StochasticDepth", "DropConnect", "BatchNormalization"],
)
@pytest.mark.parametrize("row", ["Sequential or functional", "subclassed, `call` without `training`"])
def test_the_other_layers_follow_the_second_table(make, row):
    """BatchNormalization at inference divides by √1.001: its change is 0.001, below the threshold of `changed`."""
    for column in ("`model(x)`", "`training=True`", "`training=False`"):
        assert does(MODELS[row](make()), column) == here(page()[1][row][column])


@pytest.mark.parametrize("name", ["Jitter", "RandomCropFlip"])
def test_a_pipeline_augments(name):
    """L18: a Sequential of augmentations did nothing in `map` on TensorFlow. On other backends Keras runs a `Pipeline`
    there, but no model."""
    make = AUGMENTATIONS[name]
    maps = [make(), keras.layers.Pipeline([make()])]
    maps += [sequential(make())] if BACKEND == "tensorflow" else []
    data = tf.data.Dataset.from_tensors(X)
    for mapped in maps:
        assert changed(next(iter(data.map(mapped))).numpy())
    layer = make()
    assert not changed(next(iter(data.map(lambda x: layer(x, training=False)))).numpy())


def test_the_training_flag_of_an_augmentation_does_not_reach_the_layers_after_it():
    """With `self.layer(x)`, RandomFlip of Keras 3.15 turns on the dropout and batch normalization after it."""

    class Two(LosesTraining):
        def call(self, inputs, training=None):
            return dropout(self.inner(inputs))

    dropout = Dropout(0.5, seed=1)
    assert np.all(numpy(Two(Jitter(0.1, seed=1))(X)) != 0)


# On PyTorch, Keras 3.15 fails to export such a model anyway.
if BACKEND != "torch":

    def test_an_export_that_would_augment_is_rejected(tmp_path):
        """Keras's `export` does not pass `training=False`."""
        model = sequential(Jitter(1.0), keras.layers.Flatten(), keras.layers.Dense(1))
        with warnings.catch_warnings(), pytest.raises(Exception, match="Jitter: `training` must be given"):
            # Keras passes a deprecated parameter to the exporter of JAX.
            warnings.simplefilter("ignore")
            model.export(tmp_path / "model", verbose=False)
