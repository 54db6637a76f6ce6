"""VGG networks: 3×3 convolutions with max pooling between the stages."""

from collections.abc import Iterator, Sequence

import keras

from keras_lecture._core import checks
from keras_lecture._core.types import Tensor
from keras_lecture.layers import MaxPooling2D
from keras_lecture.models._parts import IMAGENET, Parts, check_sides, shape_and_classes

# Number of convolutions in each of the five stages.
STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
FILTERS = (64, 128, 256, 512, 512)


def vgg(
    depth: int = 19,
    input_shape: Sequence[int | None] | None = None,
    classes: int | None = None,
    *,
    width: float = 1.0,
    dropout: float = 0.5,
    normalization: str | keras.layers.Layer | None = None,
    name: str | None = None,
) -> keras.Model:
    """VGG: five stages of 3×3 convolutions, each followed by max pooling, and three dense layers.

    Use it for its features, or to see the effect of depth alone. It is large for its accuracy: the first dense layer
    has most of the weights.

        x → 5×(C₃ … C₃ → 2×2 max pooling) → dense 4096 → dense 4096 → scores

    C₃ convolutions with 64, 128, 256, 512 and 512 filters and ReLU, one to four per stage; pooling drops the last row
    and column of an odd side.

    Args:
        depth: 11, 13, 16 or 19 layers with kernels: configurations A, B, D and E. Defaults to `19`.
        input_shape: Shape of one image, at least 32 × 32. Defaults to `None`, 224 × 224 in color.
        classes: Number of scores. Defaults to `None`, 1000.
        width: Factor of all numbers of filters and hidden units. Defaults to `1.0`.
        dropout: Rate of the dropout after both hidden dense layers. Defaults to `0.5`.
        normalization: As in `keras_lecture.layers.ResidualBlock`, after all convolutions and hidden dense layers.
            Defaults to `None`.
        name: Name of the model. Defaults to `None`, `"vgg_"` and the depth.

    Returns:
        A functional `keras.Model` from images to scores (for `SoftmaxCrossEntropy`), in the data format of the Keras
        configuration.

    Example:
        >>> model = keras_lecture.models.vgg(11, (32, 32, 3), 10, width=1 / 64)
        >>> model.output_shape, model.count_params()
        ((None, 10), 7706)

    Reference:
        Simonyan and Zisserman, 2015, arXiv:1409.1556, table 1. Deck B. Deviation: weights start by `Kaiming` and biases
        at 0.01, where the paper starts deep networks from a trained shallow one.
    """
    checks.one_of("vgg", "depth", depth, STAGES)
    input_shape, classes = shape_and_classes("vgg", input_shape, classes, IMAGENET)
    parts = Parts("vgg", width=width, dropout=dropout, normalization=normalization)
    check_sides("vgg", input_shape, lambda n: n // 32, known=True)
    inputs = keras.Input(input_shape)
    *_, x = pooled_stages(inputs, parts, STAGES[depth])
    return keras.Model(inputs, parts.dense_scores(x, classes), name=name or f"vgg_{depth}")


def pooled_stages(x: Tensor, parts: Parts, counts: tuple[int, ...], padding: str = "valid") -> Iterator[Tensor]:
    """The pooled output of each stage."""
    for stage, (count, filters) in enumerate(zip(counts, FILTERS, strict=True), 1):
        for i in range(1, count + 1):
            x = parts.convolution(x, parts.filters(filters), name=f"convolution_{stage}_{i}")
        x = MaxPooling2D(2, padding=padding, name=f"maximum_{stage}")(x)
        yield x
