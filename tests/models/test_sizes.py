"""The published networks have the published number of weights; biases, γ and β count, moving statistics do not."""

import math

import pytest
from support.unweighted import unweighted

from keras_lecture import models


def weights_of(function, *arguments, **options) -> tuple[int, list]:
    """Number of trainable weights, and the shapes of the kernels."""
    with unweighted():
        shapes = [tuple(variable.shape) for variable in function(*arguments, **options).trainable_variables]
    return sum(map(math.prod, shapes)), [shape for shape in shapes if len(shape) > 1]


def alexnet_of_the_paper():
    """Krizhevsky et al., 2012, figure 2: the grouped convolutions have kernels of 48, 192 and 192 input channels."""
    convolutions = [(96, 11 * 11 * 3), (256, 5 * 5 * 48), (384, 9 * 256), (384, 9 * 192), (256, 9 * 192)]
    return sum(n * (inputs + 1) for n, inputs in [*convolutions, (4096, 9216), (4096, 4096), (1000, 4096)])


def fcn_of_the_paper(skips):
    """VGG-16 without its scores; scores of 21 classes for the last, fourth and third stage; kernels of 2s × 2s."""
    scores = [(4096 + 1) * 21, (512 + 1) * 21, (256 + 1) * 21][: skips + 1]
    enlarged = [4**2] * skips + [(64 // 2**skips) ** 2]
    return 138_357_544 - 4097 * 1000 + sum(scores) + 21**2 * sum(enlarged)


def cifar_resnet(depth, projections=True):
    """He et al., 2015, section 4.2, all convolutions without bias but with γ and β.

    Shortcuts A have no weights; shortcuts B, which are used here, are a 1×1 convolution with γ and β at the start of
    two stages.
    """
    n, count = (depth - 2) // 6, 9 * 3 * 16 + 2 * 16
    for inputs, filters in ((16, 16), (16, 32), (32, 64)):
        count += 9 * inputs * filters + (2 * n - 1) * 9 * filters**2 + 2 * n * 2 * filters
        count += (inputs * filters + 2 * filters) * (projections and inputs != filters)
    return count + 64 * 10 + 10


def cifar_densenet(depth, growth, bottleneck):
    """Huang et al., 2017, section 3: γ and β of all channels before each convolution, which has no bias."""
    layers, channels = (depth - 4) // (6 if bottleneck else 3), 2 * growth if bottleneck else 16
    count = 9 * 3 * channels
    for block in range(3):
        for _ in range(layers):
            inner = 4 * growth if bottleneck else channels
            count += 2 * channels + (channels * inner + 2 * inner) * bottleneck + 9 * inner * growth
            channels += growth
        if block < 2:
            left = channels // 2 if bottleneck else channels
            count, channels = count + 2 * channels + channels * left, left
    return count + 2 * channels + (channels + 1) * 10


@pytest.mark.parametrize(
    ("function", "arguments", "options", "count"),
    [
        # pytorch.org/vision/stable/models.html, column Params; DenseNet-121 is also that of keras.applications.
        (models.vgg, (11,), {}, 132_863_336),
        (models.vgg, (13,), {}, 133_047_848),
        (models.vgg, (16,), {}, 138_357_544),
        (models.vgg, (19,), {}, 143_667_240),
        (models.resnet, (18,), {}, 11_689_512),
        (models.resnet, (34,), {}, 21_797_672),
        (models.resnet, (50,), {}, 25_557_032),
        (models.resnet, (101,), {}, 44_549_160),
        (models.densenet, (121,), {}, 7_978_856),
        (models.densenet, (169,), {}, 14_149_480),
        # The original with two towers; torchvision's AlexNet, 61,100,840, is a later one with other filters.
        (models.alexnet, (), {}, 60_965_224),
        (models.alexnet, (), {}, alexnet_of_the_paper()),
        *((models.resnet, (depth,), {}, cifar_resnet(depth)) for depth in (20, 32, 44, 56)),
        *((models.plain, (depth,), {}, cifar_resnet(depth, projections=False)) for depth in (20, 56)),
        (models.densenet, (40,), {}, cifar_densenet(40, 12, False)),
        (models.densenet, (100,), {"bottleneck": True}, cifar_densenet(100, 12, True)),
        *((models.fcn, (), {"skips": skips}, fcn_of_the_paper(skips)) for skips in (0, 1, 2)),
        (models.mlp, ((784,), 10), {"units": (512, 512)}, 785 * 512 + 513 * 512 + 513 * 10),
    ],
)
def test_published_networks_have_the_published_number_of_weights(function, arguments, options, count):
    assert weights_of(function, *arguments, **options)[0] == count


@pytest.mark.parametrize(
    ("count", "published"),
    [
        *zip((cifar_resnet(n, projections=False) for n in (20, 32, 44, 56)), (0.27, 0.46, 0.66, 0.85), strict=True),
        (cifar_densenet(40, 12, False), 1.0),
        (cifar_densenet(100, 12, True), 0.8),
        (fcn_of_the_paper(2), 134),
    ],
)
def test_the_oracles_round_to_the_counts_in_the_papers(count, published):
    """He et al., table 6, for shortcuts A; Huang et al., table 2; Long et al., table 1 (FCN-VGG16, 134M)."""
    digits = len(str(published).partition(".")[2])
    assert round(count / 1e6, digits) == published


def test_all_conv_has_1_37_million_weights():
    """Springenberg et al., 2015, table 1, model C, with 3×3 kernels and a bias for each filter."""
    kernels = [(3, 9, 96), (96, 9, 96), (96, 9, 96), (96, 9, 192), (192, 9, 192), (192, 9, 192), (192, 9, 192)]
    count = sum(n * (inputs * pixels) + n for inputs, pixels, n in [*kernels, (192, 1, 192), (192, 1, 10)])
    assert weights_of(models.all_conv)[0] == count == 1_369_738


@pytest.mark.parametrize("depth", [34, 20])
def test_plain_is_the_main_path_of_resnet(depth):
    """The same kernels in the same order, except the projections, which are 1×1."""
    _, plain = weights_of(models.plain, depth)
    _, residual = weights_of(models.resnet, depth)
    assert plain == [shape for shape in residual if shape[:2] != (1, 1)]
    assert len(plain) == depth
    assert len(residual) - len(plain) == (3 if depth == 34 else 2)
