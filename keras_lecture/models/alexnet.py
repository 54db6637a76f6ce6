"""AlexNet: five convolutions, overlapping pooling, local response normalization, three dense layers."""

import keras

from keras_lecture._core import checks
from keras_lecture.layers import LocalResponseNormalization, MaxPooling2D
from keras_lecture.models._parts import Parts, check_sides, settle, sides

PUBLISHED = (224, 224, 3), 1000
SMALLEST = 63


def alexnet(
    input_shape=None,
    classes: int | None = None,
    *,
    towers: int = 2,
    width: float = 1.0,
    dropout: float = 0.5,
    normalization="local_response",
    name: str = "alexnet",
):
    """AlexNet: five convolutions with overlapping pooling, and three dense layers.

    Use it to rebuild the net with which deep learning of images began; `resnet(18)` is smaller, and better.

        x → C₁₁ 96 /4 → R → M → C₅ 256 → R → M → C₃ 384 → C₃ 384 → C₃ 256 → M → dense 4096 → dense 4096 → scores

    C convolutions with ReLU, M maxima of 3×3 with strides 2, R local response normalization. The second, fourth and
    fifth convolution are in two halves that do not see each other: the towers, one on each of the authors' devices.
    For images with a side below 63 the first convolution is 5×5 without strides.

    Args:
        input_shape: Shape of one image, at least 15 × 15. Defaults to `None`, 224 × 224 in color.
        classes: Number of scores. Defaults to `None`, 1000.
        towers: Parts of the convolutions that do not see each other; `1` connects all. Defaults to `2`.
        width: Factor of the numbers of filters and of hidden units. Defaults to `1.0`.
        dropout: Rate of the dropout after both hidden dense layers. Defaults to `0.5`.
        normalization: `"local_response"` after the first two convolutions, or in all convolutions and dense layers
            `"batch"` or another one of `keras_lecture.layers.ResidualBlock`'s, or `None`. Defaults to
            `"local_response"`.
        name: Name of the model. Defaults to `"alexnet"`.

    Returns:
        A functional `keras.Model` from images to scores (for `SoftmaxCrossEntropy`), in the data format of the Keras
        configuration.

    Example:
        >>> model = keras_lecture.models.alexnet((28, 28, 1), 10, width=1 / 32)
        >>> model.output_shape, model.count_params()
        ((None, 10), 24514)

    Reference:
        Krizhevsky et al., 2012, section 3.5 and figure 2. Deck B, whose 1.3M for the fourth convolution counts it
        without towers. Deviations: weights start by `Kaiming`, all hidden biases at 0.01; the paper does not tell its
        padding, here 2 pixels around the image.
    """
    checks.whole("alexnet", "towers", towers)
    input_shape, classes = settle("alexnet", input_shape, classes, PUBLISHED)
    respond = normalization == "local_response"
    parts = Parts("alexnet", width=width, dropout=dropout, normalization=None if respond else normalization)
    check_sides("alexnet", input_shape, _left, known=True)
    x = inputs = keras.Input(input_shape)
    if min(sides(input_shape)) < SMALLEST:
        x = parts.convolution(x, _filters(parts, 96, towers), 5, name="convolution_1")
    else:
        x = keras.layers.ZeroPadding2D(2, name="around")(x)
        x = parts.convolution(x, _filters(parts, 96, towers), 11, 4, padding="valid", name="convolution_1")
    shapes = {2: (256, 5, towers), 3: (384, 3, 1), 4: (384, 3, towers), 5: (256, 3, towers)}
    for place, (filters, size, groups) in shapes.items():
        if place < 4:
            x = LocalResponseNormalization(axis=parts.axis, name=f"response_{place - 1}")(x) if respond else x
            x = MaxPooling2D(3, 2, name=f"maximum_{place - 1}")(x)
        x = parts.convolution(x, _filters(parts, filters, towers), size, groups=groups, name=f"convolution_{place}")
    x = keras.layers.Flatten(name="flatten")(MaxPooling2D(3, 2, name="maximum_5")(x))
    for place in (1, 2):
        x = parts.dense(x, parts.filters(4096), name=f"dense_{place}")
    return keras.Model(inputs, parts.scores(x, classes), name=name)


def _filters(parts: Parts, published: int, towers: int) -> int:
    """Equally many in each tower."""
    return towers * max(1, round(parts.filters(published) / towers))


def _left(n: int) -> int:
    n = n if n < SMALLEST else (n + 4 - 11) // 4 + 1
    for _ in range(3):
        n = (n - 3) // 2 + 1
    return n
