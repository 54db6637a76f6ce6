"""The nets of 3×3 convolutions with max pooling between their stages."""

from collections.abc import Iterator

import keras

from keras_lecture._core import checks
from keras_lecture.layers import MaxPooling2D
from keras_lecture.models._parts import Parts, check_sides, settle

# Convolutions in each of the five stages.
STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
FILTERS = (64, 128, 256, 512, 512)
PUBLISHED = (224, 224, 3), 1000


def vgg(
    depth: int = 19,
    input_shape=None,
    classes: int | None = None,
    *,
    width: float = 1.0,
    dropout: float = 0.5,
    normalization=None,
    name: str | None = None,
):
    """VGG: 3×3 convolutions in five stages, halved by pooling, and three dense layers.

    Use it where its features are wanted, or to see what depth alone gives. The first dense layer holds most of its
    weights, so that it is large for what it does.

        x → 5×(C₃ … C₃ → maximum of 2×2) → dense 4096 → dense 4096 → scores

    C₃ convolutions of 64, 128, 256, 512 and 512 filters with ReLU, one to four in a stage; what an odd side leaves over
    in pooling is left out.

    Args:
        depth: 11, 13, 16 or 19 layers with kernels: configurations A, B, D and E. Defaults to `19`.
        input_shape: Shape of one image, at least 32 × 32. Defaults to `None`, 224 × 224 in color.
        classes: Number of scores. Defaults to `None`, 1000.
        width: Factor of the numbers of filters and of hidden units. Defaults to `1.0`.
        dropout: Rate of the dropout after both hidden dense layers. Defaults to `0.5`.
        normalization: `"batch"` or another one of `keras_lecture.layers.ResidualBlock`'s, in convolutions and dense
            layers. Defaults to `None`.
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
        at 0.01, where the paper starts deep nets from a trained shallow one.
    """
    checks.one_of("vgg", "depth", depth, STAGES)
    input_shape, classes = settle("vgg", input_shape, classes, PUBLISHED)
    parts = Parts("vgg", width=width, dropout=dropout, normalization=normalization)
    check_sides("vgg", input_shape, lambda n: n // 32, known=True)
    inputs = keras.Input(input_shape)
    *_, x = pooled_stages(inputs, parts, STAGES[depth])
    x = keras.layers.Flatten(name="flatten")(x)
    for place in (1, 2):
        x = parts.dense(x, parts.filters(4096), name=f"dense_{place}")
    return keras.Model(inputs, parts.scores(x, classes), name=name or f"vgg_{depth}")


def pooled_stages(x, parts: Parts, counts: tuple, padding: str = "valid") -> Iterator:
    """What comes out of each stage after its pooling."""
    for stage, (count, filters) in enumerate(zip(counts, FILTERS, strict=True), 1):
        for place in range(1, count + 1):
            x = parts.convolution(x, parts.filters(filters), name=f"convolution_{stage}_{place}")
        x = MaxPooling2D(2, padding=padding, name=f"maximum_{stage}")(x)
        yield x
