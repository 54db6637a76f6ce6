"""The model families: outputs against PyTorch's functions, sizes, data formats, precision, rejected arguments."""

import keras
import numpy as np
import pytest
from oracles import models as model_oracles
from oracles.blocks import tensor
from support.harness import BACKEND, assert_close, in_one, numpy
from support.unweighted import unweighted

from keras_lecture import initializers, layers, losses, models

# A small network of every family, by the shape of an image.
SMALL = {
    "alexnet": lambda shape, **more: models.alexnet(shape, 5, width=1 / 48, **more),
    "all_conv": lambda shape, **more: models.all_conv(shape, 5, width=0.05, **more),
    "densenet": lambda shape, **more: models.densenet(7, shape, 5, growth=4, **more),
    "densenet_121": lambda shape, **more: models.densenet(121, shape, 5, growth=2, **more),
    "fcn": lambda shape, **more: models.fcn(shape, 5, width=1 / 64, **more),
    "mlp": lambda shape, **more: models.mlp(shape, 5, units=(7, 6), **more),
    "plain": lambda shape, **more: models.plain(8, shape, 5, width=0.25, **more),
    "resnet": lambda shape, **more: models.resnet(8, shape, 5, width=0.25, **more),
    "resnet_18": lambda shape, **more: models.resnet(18, shape, 5, width=1 / 16, **more),
    "vgg": lambda shape, **more: models.vgg(11, shape, 5, width=1 / 64, **more),
}
IMAGES = [name for name in SMALL if name != "mlp"]


SMALLEST = {"alexnet": 15, "all_conv": 9, "densenet": 4, "densenet_121": 29, "vgg": 32}


@pytest.fixture
def symbolic():
    """For tests of shapes and configurations, which need no values of weights."""
    with unweighted():
        yield


@pytest.mark.parametrize(
    ("make", "oracle"),
    [
        (lambda s: models.mlp(s, 5, units=(7, 6), activation="tanh"), model_oracles.mlp),
        (SMALL["all_conv"], model_oracles.all_conv),
        (SMALL["vgg"], lambda x, w: model_oracles.vgg(x, w, (1, 1, 2, 2, 2))),
        (SMALL["alexnet"], model_oracles.alexnet),
    ],
    ids=["mlp", "all_conv", "vgg", "alexnet"],
)
def test_the_networks_are_those_of_their_papers(make, oracle):
    """Oracle: the layers of the papers, built from PyTorch's functions in float64."""
    shape = (32, 33, 3)
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    model = make(shape)
    weights = [np.random.default_rng(1).normal(scale=0.3, size=w.shape).astype("float32") for w in model.weights]
    model.set_weights(weights)
    images = tensor(x).flatten(1) if model.name == "mlp" else tensor(x).movedim(-1, 1)
    expected = oracle(images, model_oracles.Weights(weights)).numpy()
    assert_close(in_one(model)(x), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", IMAGES)
def test_the_smallest_image(name, symbolic):
    """One pixel less is rejected with the smallest size; networks without a smallest size take a single pixel."""
    smallest = SMALLEST.get(name, 1)
    assert SMALL[name]((smallest, smallest + 1, 3)).output_shape[-1] == 5
    if smallest > 1:
        with pytest.raises(ValueError, match=f"`input_shape` must be of images of at least {smallest} × {smallest}"):
            SMALL[name]((smallest + 1, smallest - 1, 3))


@pytest.mark.parametrize("name", IMAGES)
def test_sides_may_be_unknown_unless_dense_layers_follow(name, symbolic):
    if name in ("alexnet", "vgg"):
        with pytest.raises(ValueError, match="`input_shape` must be of known height and width"):
            SMALL[name]((None, 64, 3))
    else:
        assert SMALL[name]((None, None, 3)).output_shape == ((None, None, None, 5) if name == "fcn" else (None, 5))


@pytest.mark.parametrize("name", IMAGES)
def test_channels_first_has_the_same_weights(name, symbolic):
    """The shapes are the same (the rows of the first dense layer after flattening are in another order)."""
    last = SMALL[name]((67, 65, 3))
    keras.config.set_image_data_format("channels_first")
    first = SMALL[name]((3, 67, 65))
    assert [w.shape for w in first.weights] == [w.shape for w in last.weights]
    assert first.output_shape == ((None, 5, 67, 65) if name == "fcn" else (None, 5))


@pytest.mark.parametrize("name", ["all_conv", "fcn", "resnet"])
def test_channels_first_computes_the_same(name):
    """Oracle: the network for channels last. On a CPU, TensorFlow convolves channels first only with XLA."""
    x = np.random.default_rng(0).normal(size=(1, 21, 18, 3)).astype("float32")
    last = SMALL[name](x.shape[1:])
    expected = numpy(in_one(last)(x))
    keras.config.set_image_data_format("channels_first")
    x = np.moveaxis(x, -1, 1)
    first = SMALL[name](x.shape[1:])
    first.set_weights(last.get_weights())
    first.compile(jit_compile=BACKEND != "torch")
    result = first.predict_on_batch(x)
    assert_close(np.moveaxis(result, 1, -1) if name == "fcn" else result, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_the_initializers_of_every_layer(name, symbolic):
    """Kaiming before ReLU, Xavier for the scores, zeros for those of skips; hidden biases are positive."""
    model = SMALL[name]((32, 32, 3))
    for layer in model.layers:
        if not isinstance(layer, keras.layers.Dense | keras.layers.Conv2D):
            continue
        scores, skip = layer.name == "scores", layer.name in ("scores_3", "scores_4")
        rule = initializers.Xavier if scores else initializers.Zeros if skip else initializers.Kaiming
        assert isinstance(layer.kernel_initializer, rule), layer.name
        hidden = initializers.PositiveBias if layer.use_bias and not (scores or skip) else keras.initializers.Zeros
        assert type(layer.bias_initializer) is hidden, layer.name
        assert layer.use_bias or not name.startswith(("alexnet", "all_conv", "fcn", "mlp", "vgg"))


@pytest.mark.parametrize("name", SMALL)
def test_options_of_all_families(name, symbolic):
    """A normalization layer, dropout, a name, and scores in float32 in mixed precision."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = SMALL[name]((32, 32, 3), normalization=layers.BatchNormalization(momentum=0.5), dropout=0.3, name="mine")
    assert model.name == "mine"
    assert model.output.dtype == "float32"
    inside = list(model._flatten_layers())
    normalizations = [layer for layer in inside if isinstance(layer, layers.BatchNormalization)]
    assert normalizations and all(layer.momentum == 0.5 for layer in normalizations)
    assert [layer.rate for layer in inside if isinstance(layer, layers.Dropout)][-1] == 0.3
    again = keras.Model.from_config(model.get_config())
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


@pytest.mark.parametrize("skips", [0, 1, 2])
def test_fcn_starts_from_the_coarse_scores_and_adds_the_scores_of_its_skips(skips):
    """Oracle: constant scores stay constant up to the borders, and the scores of the stages are added."""
    x = np.random.default_rng(0).normal(size=(1, 45, 38, 3)).astype("float32")
    model = models.fcn(x.shape[1:], 2, skips=skips, width=1 / 64)
    expected = np.zeros(2)
    for place, name in enumerate(["scores", "scores_4", "scores_3"][: skips + 1]):
        layer, bias = model.get_layer(name), np.array([3.0, -1.0]) * 10**place
        if place:
            assert not numpy(layer.kernel).any() and not numpy(layer.bias).any()
        layer.set_weights([np.zeros(layer.kernel.shape), bias])
        expected = expected + bias
    assert_close(in_one(model)(x), np.broadcast_to(expected, (1, 45, 38, 2)), rtol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_group_normalization_chooses_groups_for_narrow_networks(name, symbolic):
    """The layer's default of 32 groups did not divide 16 channels, and a group of one value is constant.

    Oracle: the definition, the largest divisor up to 32 with at least two channels per group.
    """
    model = SMALL[name]((45, 45, 3), normalization="group")
    found = [layer for layer in model._flatten_layers() if isinstance(layer, layers.GroupNormalization)]
    assert found
    for layer in found:
        channels = layer.gamma.shape[0]
        assert layer.groups == max(n for n in range(1, 33) if channels % n == 0 and (n == 1 or channels // n > 1))


@pytest.mark.parametrize("normalization", ["batch", "group", "layer", keras.layers.UnitNormalization()])
def test_a_normalized_mlp_depends_on_its_input(normalization):
    """Instance normalization of a single unit would be constant; all other choices depend on the input."""
    model = models.mlp((6,), 3, units=(4,), normalization=normalization)
    y = numpy(model(np.random.default_rng(0).normal(size=(5, 6)).astype("float32")))
    assert y.std(0).min() > 1e-3


def test_all_conv_trains_on_its_smallest_images():
    keras.utils.set_random_seed(0)
    x, y = np.random.default_rng(0).normal(size=(64, 9, 9, 1)), np.arange(64) % 2
    x[y == 1] += 1.0
    model = models.all_conv((9, 9, 1), 2, width=0.1, dropout=0.0, input_dropout=0.0)
    model.compile("adam", losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
    model.fit(x, y, batch_size=16, epochs=10, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] > 0.9


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.resnet(21), r"resnet: `depth` must be one of the known depths. Received: depth=21. 18, 34, 50"),
        (lambda: models.plain(50), "plain: `depth` must be one of the known depths"),
        (lambda: models.vgg(12), r"vgg: `depth` must be one of 11, 13, 16, 19. Received: depth=12"),
        (lambda: models.densenet(41), "densenet: `depth` must be one of the known depths"),
        (lambda: models.densenet(40, bottleneck=1), "densenet: `bottleneck` must be True or False"),
        (lambda: models.densenet(40, growth=0), r"densenet: `growth` must be a whole number in \[1, ∞\)"),
        (lambda: models.fcn(skips=3), "fcn: `skips` must be one of 0, 1, 2"),
        (lambda: models.alexnet(towers=0), r"alexnet: `towers` must be a whole number in \[1, ∞\)"),
        (lambda: models.mlp((4,), units=8), "mlp: `units` must be a sequence of whole numbers"),
        (lambda: models.mlp((4,), 0), r"mlp: `classes` must be a whole number in \[1, ∞\)"),
        (lambda: models.resnet(20, (32, 32)), r"`input_shape` must be \(height, width, channels\)"),
        (lambda: models.resnet(20, (32, 32, None)), r"`input_shape` must be \(height, width, channels\)"),
        (lambda: models.resnet(20, (0, 32, 3)), r"`input_shape` must be a whole number in \[1, ∞\)"),
        (lambda: models.resnet(20, classes="ten"), r"resnet: `classes` must be a whole number"),
        (lambda: models.resnet(20, width=0), r"resnet: `width` must be in \(0, ∞\)"),
        (lambda: models.resnet(20, dropout=1), r"resnet: `dropout` must be in \[0, 1\)"),
        (lambda: models.resnet(20, normalization="none"), "resnet: `normalization` must be one of"),
        (lambda: models.mlp((4,), normalization="instance"), 'mlp: `normalization` must be "batch", "group", "layer"'),
        (lambda: SMALL["alexnet"]((32, 32, 3), normalization="instance"), "alexnet: `normalization` must be"),
        (lambda: SMALL["vgg"]((32, 32, 3), normalization="instance"), "vgg: `normalization` must be"),
        (lambda: SMALL["fcn"]((32, 32, 3), normalization="instance"), "InstanceNormalization: `inputs` must be more"),
        (lambda: models.mlp((4,), units=(1,), normalization="group"), "GroupNormalization: `inputs` must be more"),
        (lambda: models.all_conv(input_dropout=1.0), r"all_conv: `input_dropout` must be in \[0, 1\)"),
    ],
)
def test_rejects(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


@pytest.mark.parametrize("skips", [0, 2])
def test_a_loaded_fcn_keeps_its_data_format(skips, tmp_path):
    """The layer that cuts took the setting of the process that loads it: another size, or an error, and no word."""
    before = keras.config.image_data_format()
    try:
        keras.config.set_image_data_format("channels_first")
        model = models.fcn((3, 32, 16), 2, width=1 / 64, skips=skips)
        model.save(tmp_path / "fcn.keras")
        keras.config.set_image_data_format("channels_last")
        loaded = keras.models.load_model(tmp_path / "fcn.keras")
    finally:
        keras.config.set_image_data_format(before)
    assert loaded.output_shape == model.output_shape == (None, 2, 32, 16)
