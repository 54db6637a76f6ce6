"""ResidualBlock: the papers' blocks against PyTorch's functions, the options, published sizes."""

import keras
import numpy as np
import pytest
import torch
from oracles.blocks import batch_norm, convolution, tensor
from support.harness import assert_close, in_one, numpy

from keras_lecture import layers
from keras_lecture.layers import ResidualBlock
from keras_lecture.layers.blocks import _block, residual_block

X = np.random.default_rng(0).normal(size=(2, 5, 4, 4)).astype("float32")


def drawn(layer, shape):
    """The layer with randomized weights, so that no gain is 1 and no shift 0."""
    layer.build(shape)
    generator = np.random.default_rng(1)
    layer.set_weights([generator.uniform(-1.0, 1.0, size=w.shape) for w in layer.weights])
    return layer


def parts(chain):
    """Kernels, and pairs of gain and shift, in the order of the chain."""
    kernels = [numpy(w) for w in chain.trainable_weights if len(w.shape) > 1]
    vectors = [numpy(w) for w in chain.trainable_weights if len(w.shape) == 1]
    return kernels, list(zip(vectors[::2], vectors[1::2], strict=True))


def post_activation(layer, x, strides):
    kernels, gains = parts(layer.branch)
    y = x
    for i, (kernel, gain) in enumerate(zip(kernels, gains, strict=True)):
        y = batch_norm(convolution(y, kernel, strides[i]), *gain)
        y = torch.relu(y) if i < len(kernels) - 1 else y
    kernels, gains = parts(layer.shortcut)
    shortcut = batch_norm(convolution(x, kernels[0], max(strides)), *gains[0]) if kernels else x
    return torch.relu(y + shortcut)


def pre_activation(layer, x, strides):
    kernels, gains = parts(layer.branch)
    entry, projection = parts(layer.entry)[1], parts(layer.shortcut)[0]
    first = torch.relu(batch_norm(x, *(entry or gains)[0]))
    y = convolution(first, kernels[0], strides[0])
    for kernel, gain, stride in zip(kernels[1:], gains if entry else gains[1:], strides[1:], strict=True):
        y = convolution(torch.relu(batch_norm(y, *gain)), kernel, stride)
    return y + (convolution(first, projection[0], max(strides)) if projection else x)


FORMS = [
    ({"filters": 4}, (1, 1), 0),
    ({"filters": 4, "strides": 2}, (2, 1), 1),
    ({"filters": 8, "bottleneck": True}, (1, 1, 1), 1),
    ({"filters": 4, "bottleneck": True}, (1, 1, 1), 0),
]


@pytest.mark.parametrize(("arguments", "strides", "projections"), FORMS)
@pytest.mark.parametrize("preactivation", [False, True])
def test_matches_the_blocks_of_the_papers(arguments, strides, projections, preactivation):
    """Oracle: a composition of PyTorch's functions in float64, batch statistics; 1e-5 of values up to 20."""
    layer = drawn(ResidualBlock(**arguments, preactivation=preactivation), X.shape)
    assert len(parts(layer.shortcut)[0]) == projections
    oracle = pre_activation if preactivation else post_activation
    expected = oracle(layer, tensor(X).movedim(-1, 1), strides).movedim(1, -1).numpy()
    assert_close(in_one(lambda x: layer(x, training=True))(X), expected, atol=2e-4)


@pytest.mark.parametrize("shape", [(2, 7, 3), (2, 3, 2, 3, 3)])
def test_sequences_and_volumes(shape):
    """Oracle: `torch.nn.functional.conv1d` and `conv3d`, float64."""
    x = np.random.default_rng(2).normal(size=shape).astype("float32")
    layer = drawn(ResidualBlock(4, strides=2), shape)
    expected = post_activation(layer, tensor(x).movedim(-1, 1), (2, 1)).movedim(1, -1).numpy()
    y = numpy(in_one(lambda x: layer(x, training=True))(x))
    assert y.shape == layer.compute_output_shape(shape)
    assert_close(y, expected, atol=2e-4)


@pytest.mark.parametrize("bottleneck", [False, True])
def test_no_1x1_convolution_has_strides(bottleneck):
    """Its gradient writes out of bounds on PyTorch 2.13 (CPU, channels last), which crashes the process later.

    `keras.layers.Conv2D(8, 1, strides=2)` does so within a few steps of `fit`; the blocks subsample the input first.
    """
    layer = ResidualBlock(8, strides=2, bottleneck=bottleneck)
    layer.build(X.shape)
    convolutions = [part for part in layer._flatten_layers() if isinstance(part, keras.layers.Conv2D)]
    assert {part.strides for part in convolutions if part.kernel_size == (1, 1)} == {(1, 1)}
    assert {part.strides for part in convolutions if part.kernel_size == (3, 3)} >= {(2, 2)}


def test_with_all_kernels_zero_a_block_without_projection_is_the_identity_then_f_if_post_activation():
    for preactivation, expected in ((False, np.maximum(X, 0)), (True, X)):
        layer = ResidualBlock(4, preactivation=preactivation, normalization=None)
        layer.build(X.shape)
        layer.set_weights([np.zeros(w.shape) for w in layer.weights])
        assert_close(layer(X), expected)


def test_drop_path_drops_the_branch_of_a_sample_or_scales_it():
    layer = ResidualBlock(4, preactivation=True, normalization=None, drop_path=0.75, seed=1)
    x = np.repeat(X[:1], 40, 0)
    branch = numpy(layer(x))[0] - x[0]
    added = numpy(layer(x, training=True)) - x
    kept = np.abs(added).max((1, 2, 3)) > 0
    assert 4 <= kept.sum() <= 16
    assert_close(added[kept], np.repeat(4 * branch[None], kept.sum(), 0), atol=1e-4)


def test_kernels_are_initialized_by_kaiming_with_a_different_seed_each():
    first, second, other = (ResidualBlock(64, seed=seed) for seed in (3, 3, 4))
    for layer in (first, second, other):
        layer.build((None, 4, 4, 64))
    (a, b), (c, d), (e, _) = ([numpy(w) for w in parts(layer.branch)[0]] for layer in (first, second, other))
    np.testing.assert_allclose(a.std(), np.sqrt(2 / (9 * 64)), rtol=0.02)
    assert_close(c, a)
    assert_close(d, b)
    assert not np.allclose(a, b) and not np.allclose(b, e) and not np.allclose(a, e)


def test_a_given_normalization_is_copied_for_every_use_and_is_not_part_of_the_block():
    given = layers.GroupNormalization(2, epsilon=0.1, name="mine")
    layer = ResidualBlock(8, strides=2, normalization=given)
    layer.build((None, 4, 4, 4))
    copies = [part for chain in (layer.shortcut, layer.branch) for part in chain.layers if hasattr(part, "groups")]
    copies = [part for part in copies if isinstance(part, layers.GroupNormalization)]
    assert len(copies) == 3 and given not in layer._flatten_layers() and not given.built
    assert all((copy.groups, copy.epsilon) == (2, 0.1) for copy in copies)
    again = ResidualBlock.from_config(layer.get_config())
    again.build((None, 4, 4, 4))
    assert [w.shape for w in again.weights] == [w.shape for w in layer.weights]
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("name", ["batch", "group", "instance", "layer", None])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_normalization_by_name_is_our_layer_along_the_channels_and_replaces_the_biases(name, data_format):
    layer = ResidualBlock(32, normalization=name, data_format=data_format)
    layer.build((None, 2, 2, 32) if data_format == "channels_last" else (None, 32, 2, 2))
    assert [type(part) for part in layer.branch.layers if isinstance(part, tuple(_block.NORMALIZATIONS.values()))] == (
        [_block.NORMALIZATIONS[name]] * 2 if name else []
    )
    assert {tuple(w.shape) for w in layer.weights} == {(3, 3, 32, 32), (32,)}
    convolutions = [part for part in layer.branch.layers if isinstance(part, keras.layers.Conv2D)]
    assert [part.use_bias for part in convolutions] == [name is None] * 2


def trainable(shape, *args, **options):
    layer = ResidualBlock(*args, **options)
    layer.build((None, 8, 8, shape))
    return sum(int(np.prod(w.shape)) for w in layer.trainable_weights)


@pytest.mark.parametrize(("expansion", "published"), [(1, 21_797_672), (4, 25_557_032)])
def test_resnet_34_and_50_of_these_blocks_have_the_published_numbers_of_parameters(expansion, published, monkeypatch):
    """torchvision's counts; the stem (7×7, batch norm) and the last layer are counted by hand."""
    monkeypatch.setattr(residual_block, "Kaiming", lambda seed=None: "zeros")
    count, channels = 7 * 7 * 3 * 64 + 2 * 64 + 512 * expansion * 1000 + 1000, 64
    for stage, blocks_in_stage in enumerate((3, 4, 6, 3)):
        filters = 64 * 2**stage * expansion
        options = {"bottleneck": expansion == 4}
        count += trainable(channels, filters, strides=min(stage + 1, 2), **options)
        count += (blocks_in_stage - 1) * trainable(filters, filters, **options)
        channels = filters
    assert count == published


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"filters": 0}, "filters"),
        ({"filters": 6, "bottleneck": True}, "filters"),
        ({"strides": 0}, "strides"),
        ({"bottleneck": 1}, "bottleneck"),
        ({"preactivation": None}, "preactivation"),
        ({"normalization": "weight"}, "normalization"),
        ({"normalization": layers.BatchNormalization}, "normalization"),
        ({"drop_path": 1.0}, "drop_path"),
        ({"seed": 1.5}, "seed"),
        ({"seed": -1}, "seed"),
        ({"data_format": "first"}, "data_format"),
    ],
)
def test_rejects(arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"ResidualBlock: `{argument}`"):
        ResidualBlock(**{"filters": 4, **arguments})


@pytest.mark.parametrize(("shape", "argument"), [((2, 4), "inputs"), ((2, 4, 4), "strides")])
def test_rejects_an_input_of_another_rank(shape, argument):
    with pytest.raises(ValueError, match=f"ResidualBlock: `{argument}`"):
        ResidualBlock(4, strides=(2, 1)).build(shape)
