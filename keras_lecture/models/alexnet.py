"""AlexNet."""

from collections.abc import Sequence

import keras

from keras_lecture._core import checks
from keras_lecture.layers import LocalResponseNormalization, MaxPooling2D
from keras_lecture.models._parts import IMAGENET, Parts, check_sides, shape_and_classes, sides

# Smaller images have a first convolution without strides.
SMALLEST = 63


def alexnet(
    input_shape: Sequence[int | None] | None = None,
    classes: int | None = None,
    *,
    towers: int = 2,
    width: float = 1.0,
    dropout: float = 0.5,
    normalization: str | keras.layers.Layer | None = "local_response",
    name: str = "alexnet",
) -> keras.Model:
    """AlexNet: five convolutions with overlapping pooling, and three dense layers.

    Use it to reproduce the network that started deep learning on images; `resnet(18)` is smaller and better.

        x → C₁₁ 96 /4 → R → M → C₅ 256 → R → M → C₃ 384 → C₃ 384 → C₃ 256 → M → dense 4096 → dense 4096 → scores

    C convolutions with ReLU, M 3×3 max pooling with strides 2, R local response normalization. The second, fourth and
    fifth convolution have two groups of channels, the towers, one on each of the authors' GPUs. For images with a side
    below 63 the first convolution is 5×5 without strides.

    Args:
        input_shape: Shape of one image, at least 15 × 15. Defaults to `None`, 224 × 224 in color.
        classes: Number of scores. Defaults to `None`, 1000.
        towers: Groups of the second, fourth and fifth convolution; `1` connects all channels. Defaults to `2`.
        width: Factor of all numbers of filters and hidden units. Defaults to `1.0`.
        dropout: Rate of the dropout after both hidden dense layers. Defaults to `0.5`.
        normalization: `"local_response"`, after the first two convolutions; or one of those of
            `keras_lecture.layers.ResidualBlock`, such as `"batch"`, after all convolutions and hidden dense layers; or
            `None`. Defaults to `"local_response"`.
        name: Name of the model. Defaults to `"alexnet"`.

    Returns:
        A functional `keras.Model` from images to scores (for `SoftmaxCrossEntropy`), in the data format of the Keras
        configuration.

    Example:
        >>> model = keras_lecture.models.alexnet((28, 28, 1), 10, width=1 / 32)
        >>> model.output_shape, model.count_params()
        ((None, 10), 24514)

    Reference:
        Krizhevsky et al., 2012, section 3.5 and figure 2. Deck B, whose 1.3M weights of the fourth convolution are
        those without towers. Deviations: weights start by `Kaiming`, all hidden biases at 0.01; the padding, which the
        paper does not state, is 2 pixels around the image.
    """
    checks.whole("alexnet", "towers", towers)
    input_shape, classes = shape_and_classes("alexnet", input_shape, classes, IMAGENET)
    local_response = normalization == "local_response"
    parts = Parts("alexnet", width=width, dropout=dropout, normalization=None if local_response else normalization)
    check_sides("alexnet", input_shape, _output_side, known=True)
    x = inputs = keras.Input(input_shape)
    if min(sides(input_shape)) < SMALLEST:
        x = parts.convolution(x, _filters(parts, 96, towers), 5, name="convolution_1")
    else:
        x = keras.layers.ZeroPadding2D(2, name="around")(x)
        x = parts.convolution(x, _filters(parts, 96, towers), 11, 4, padding="valid", name="convolution_1")
    shapes = {2: (256, 5, towers), 3: (384, 3, 1), 4: (384, 3, towers), 5: (256, 3, towers)}
    for i, (filters, size, groups) in shapes.items():
        if i < 4:
            x = LocalResponseNormalization(axis=parts.axis, name=f"response_{i - 1}")(x) if local_response else x
            x = MaxPooling2D(3, 2, name=f"maximum_{i - 1}")(x)
        x = parts.convolution(x, _filters(parts, filters, towers), size, groups=groups, name=f"convolution_{i}")
    x = MaxPooling2D(3, 2, name="maximum_5")(x)
    return keras.Model(inputs, parts.dense_scores(x, classes), name=name)


def _filters(parts: Parts, published: int, towers: int) -> int:
    """A number of filters that is a multiple of `towers`."""
    return towers * max(1, round(parts.filters(published) / towers))


def _output_side(n: int) -> int:
    n = n if n < SMALLEST else (n + 4 - 11) // 4 + 1
    for _ in range(3):
        n = (n - 3) // 2 + 1
    return n
