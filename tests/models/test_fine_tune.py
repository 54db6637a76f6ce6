"""Fine-tuning: new layers, frozen layers, and that the trained network does not change."""

import keras
import numpy as np
import pytest
from support.harness import assert_close, in_one, numpy

from keras_lecture import initializers, layers, models

X = np.random.default_rng(0).normal(size=(12, 8, 8, 3)).astype("float32")
Y = np.arange(12) % 3


def trained():
    """A residual network whose weights and moving statistics are not the initial ones."""
    model = models.resnet(8, (8, 8, 3), 10, width=0.25, normalization=layers.BatchNormalization(momentum=0.5))
    for place, weight in enumerate(model.weights):
        weight.assign(weight + np.random.default_rng(place).uniform(0.1, 0.2, size=weight.shape))
    return model


def learning(model):
    return [layer.name for layer in model.layers if layer.trainable and layer.weights]


def names(model):
    return [layer.name for layer in model.layers]


def test_only_the_new_last_layer_is_trained_also_after_loading(tmp_path):
    """After a step of training, all other weights and moving statistics equal those of the trained network in every
    bit, also in a loaded model; the trained network itself is unchanged."""
    model = trained()
    before = [numpy(w) for w in model.weights]
    tuned = models.fine_tune(model, 3)
    tuned.save(tmp_path / "tuned.keras")
    loaded = keras.saving.load_model(tmp_path / "tuned.keras")
    for part in (tuned, loaded):
        assert part.output_shape == (None, 3) and len(part.trainable_variables) == 2
        # Eager, because compiling takes most of the time and changes nothing here.
        part.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
        scores = numpy(part.get_layer("scores").kernel)
        part.train_on_batch(X, Y)
        for after, given in zip(part.weights[:-2], before[:-2], strict=True):
            np.testing.assert_array_equal(numpy(after), given)
        assert np.abs(numpy(part.get_layer("scores").kernel) - scores).max() > 0
    for after, given in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(numpy(after), given)
    assert all(layer.trainable for layer in model.layers)


def test_the_features_are_those_of_the_trained_network_in_training_too():
    """Frozen normalization uses its moving statistics: training and inference agree."""
    model = trained()
    tuned = models.fine_tune(model, 3)
    features = keras.Model(model.input, model.get_layer("mean").output)
    kernel, bias = (numpy(w) for w in tuned.get_layer("scores").weights)
    expected = numpy(in_one(features)(X)) @ kernel + bias
    assert_close(in_one(lambda x: tuned(x, training=True))(X), expected, rtol=1e-4, atol=1e-4)
    assert isinstance(tuned.get_layer("scores").kernel_initializer, initializers.Xavier)
    assert not bias.any()


@pytest.mark.parametrize(
    ("trainable", "expected"),
    [
        ("last", ["scores"]),
        (1, ["scores"]),
        (3, ["stage_2_1", "stage_3_1", "scores"]),
        ("all", ["convolution", "convolution_normalization", "stage_1_1", "stage_2_1", "stage_3_1", "scores"]),
    ],
)
def test_the_last_layers_are_trainable(trainable, expected):
    tuned = models.fine_tune(trained(), 3, trainable=trainable)
    assert learning(tuned) == expected
    # Also from a model that is partly frozen.
    assert len(learning(models.fine_tune(tuned, 4, trainable="all"))) == 6


@pytest.mark.parametrize(
    ("make", "end"),
    [
        (lambda: models.all_conv((9, 9, 3), 5, width=0.05), ["convolution_3_2_relu", "scores", "mean"]),
        (lambda: models.vgg(11, (32, 32, 3), 5, width=1 / 64), ["dense_2_relu", "dense_2_dropout", "scores"]),
        # Ends in a 1×1 convolution, a reshape to the number of classes, and softmax.
        (
            lambda: keras.applications.MobileNet((32, 32, 3), alpha=0.25, weights=None, classes=7),
            ["global_average_pooling2d", "dropout", "scores", "flat"],
        ),
        # Without a top: global average pooling and the score layer are new.
        (
            lambda: keras.applications.VGG16(False, None, input_shape=(32, 32, 3)),
            ["block5_conv3", "block5_pool", "global_average_pooling2d", "scores"],
        ),
        # A Sequential model with a softmax layer.
        (
            lambda: keras.Sequential(
                [keras.Input((4,)), *map(keras.layers.Dense, (6, 5)), keras.layers.Softmax(name="softmax")]
            ),
            ["input_layer", "dense", "scores"],
        ),
        # A hidden layer at the end is kept.
        (
            lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(6, "relu")]),
            ["input_layer", "dense", "scores"],
        ),
    ],
    ids=["all_conv", "vgg", "applications", "applications without top", "softmax layer", "hidden layer"],
)
def test_the_score_layer_is_replaced_and_the_features_are_kept(make, end):
    model = make()
    if "block5_pool" in names(model):
        # Only the last layers matter here; the weights of all take half a gigabyte.
        model = keras.Model(model.get_layer("block5_conv2").output, model.output)
    tuned = models.fine_tune(model, 3)
    assert tuned.output_shape == (None, 3)
    assert names(tuned)[-len(end) :] == end
    assert learning(tuned) == ["scores"]
    assert getattr(tuned.get_layer("scores"), "activation", None) is keras.activations.linear


def test_a_nested_model_counts_as_one_layer():
    inner = keras.Model((x := keras.Input((8, 8, 3))), layers.ResidualBlock(4)(x), name="inner")
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Rescaling(2.0), inner])
    assert learning(models.fine_tune(model, 3)) == ["scores"]
    assert learning(models.fine_tune(model, 3, trainable=2)) == ["inner", "scores"]


def test_a_trained_model_is_copied_with_its_seed_generators():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(6), layers.Dropout(0.5, seed=1), keras.layers.Dense(2)]
    )
    model.compile("adam", "mse", metrics=["mae"])
    model.train_on_batch(np.ones((2, 4)), np.ones((2, 2)))
    tuned = models.fine_tune(model, 3)
    streams = [part.layers[-2].seed_generator.state for part in (model, tuned)]
    np.testing.assert_array_equal(numpy(streams[0]), numpy(streams[1]))
    assert_close(tuned.layers[1].kernel, numpy(model.layers[0].kernel))


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def two_outputs():
    inputs = keras.Input((4,))
    return keras.Model(inputs, [keras.layers.Dense(1)(inputs), keras.layers.Dense(2)(inputs)])


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (Subclassed, {}, "`model` must be a built functional or Sequential .* replace the score layer yourself"),
        (lambda: keras.Sequential([keras.layers.Dense(2)]), {}, "`model` must be a built functional or Sequential"),
        (two_outputs, {}, "`model` must be a built functional or Sequential model with one output"),
        (lambda: keras.layers.Dense(2), {}, "`model` must be a functional or Sequential Keras model"),
        (lambda: models.mlp((4,), 2, units=()), {"trainable": 2}, "`trainable` must be at most 1, the layers with"),
        (lambda: models.mlp((4,), 2, units=()), {"trainable": 0}, '`trainable` must be .* Or "last", the score layer'),
        (lambda: models.mlp((4,), 2, units=()), {"trainable": "most"}, "`trainable` must be a whole number"),
        (lambda: models.mlp((4,), 2, units=()), {"classes": 0}, "`classes` must be a whole number"),
        (
            lambda: keras.Sequential([keras.Input((4,)), models.mlp((4,), 2, name="inner")]),
            {},
            "`model` must be one that does not end in another model.*Fine-tune the model `inner` inside it",
        ),
    ],
)
def test_rejects(model, options, message):
    with pytest.raises((ValueError, TypeError), match=f"fine_tune: {message}"):
        models.fine_tune(model(), **{"classes": 3, **options})


def normalized(x):
    """A network that begins with Keras's `Normalization`, as those of `keras.applications.EfficientNet*`."""
    norm = keras.layers.Normalization(name="norm")
    norm.adapt(x)
    return keras.Sequential([keras.Input(x.shape[1:]), norm, keras.layers.Dense(5, "relu"), keras.layers.Dense(3)])


@pytest.mark.parametrize("is_nested", [False, True])
def test_adapted_statistics_go_into_the_copy(is_nested, tmp_path):
    """`Normalization` computes with constants beside its variables: the copy trained on data that it left as they were.

    Saved and loaded, it did normalize, so that the served network was not the trained one.
    """
    x = np.random.default_rng(1).normal(50, 10, (40, 4)).astype("float32")
    base = normalized(x)
    if is_nested:
        features = keras.Model(base.inputs, base.layers[-2].output)
        base = keras.Sequential([keras.Input((4,)), features, keras.layers.Dense(3)])
    tuned = models.fine_tune(base, 3)
    tuned.layers[-1].set_weights(base.layers[-1].get_weights())
    assert_close(tuned.predict(x, verbose=0), base.predict(x, verbose=0), rtol=1e-5, atol=1e-5)
    tuned.save(tmp_path / "tuned.keras")
    loaded = keras.models.load_model(tmp_path / "tuned.keras")
    assert_close(loaded.predict(x, verbose=0), tuned.predict(x, verbose=0), rtol=1e-5, atol=1e-5)


# On JAX Keras's lookup asks for int64.
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64")
@pytest.mark.parametrize("kind", ["IntegerLookup", "Discretization", "StringLookup", "TextVectorization"])
def test_an_adapted_vocabulary_goes_into_the_copy(kind):
    """The copy of a lookup had no table and raised in its first call."""
    if kind in ("StringLookup", "TextVectorization") and keras.backend.backend() != "tensorflow":
        # Strings are no tensors of the other frameworks.
        assert models.fine_tune(normalized(np.ones((4, 2), "float32")), 2).output_shape == (None, 2)
        return
    data = {
        "IntegerLookup": np.array([[5], [5], [7], [9]]),
        "Discretization": np.array([[0.1], [0.5], [0.7], [3.0]], "float32"),
    }.get(kind, np.array([["red"], ["red"], ["green"], ["blue"]]))
    layer = {
        "Discretization": lambda: keras.layers.Discretization(num_bins=3),
        "TextVectorization": lambda: keras.layers.TextVectorization(output_sequence_length=1),
    }.get(kind, lambda: getattr(keras.layers, kind)())()
    layer.adapt(data)
    dtype = {"i": "int64", "f": "float32", "U": "string"}[data.dtype.kind]
    ends = [keras.layers.Embedding(8, 3), keras.layers.Flatten(), keras.layers.Dense(2)]
    base = keras.Sequential([keras.Input((1,), dtype=dtype), layer, *ends])
    tuned = models.fine_tune(base, 2)
    tuned.layers[-1].set_weights(base.layers[-1].get_weights())
    data = keras.ops.convert_to_tensor(data)
    assert_close(numpy(tuned(data)), numpy(base(data)))


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_pooling_follows_the_layout_of_the_network(layout):
    """It followed Keras's configured layout, and averaged over channels and height."""
    x = keras.Input((3, 8, 6) if layout == "channels_first" else (8, 6, 3))
    base = keras.Model(x, keras.layers.Conv2D(5, 3, data_format=layout, activation="relu")(x))
    for configured in ("channels_first", "channels_last"):
        keras.config.set_image_data_format(configured)
        assert models.fine_tune(base, 2).layers[-1].input.shape == (None, 5)


def test_pooling_does_not_take_the_layout_of_a_layer_before_a_permutation():
    """The configured layout holds then; behind a recurrent layer the channels are last under any."""
    x = keras.Input((3, 8, 6))
    moved = keras.layers.Permute((2, 3, 1))(keras.layers.Conv2D(5, 3, data_format="channels_first")(x))
    assert models.fine_tune(keras.Model(x, moved), 2).layers[-1].input.shape == (None, 5)
    keras.config.set_image_data_format("channels_first")
    x = keras.Input((7, 3))
    states = keras.layers.Dropout(0.1)(keras.layers.GRU(5, return_sequences=True)(x))
    assert models.fine_tune(keras.Model(x, states), 2).layers[-1].input.shape == (None, 5)
