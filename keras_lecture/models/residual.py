"""Deep nets with and without residual connections, of equal size."""

import keras

from keras_lecture._core import checks
from keras_lecture.layers import MaxPooling2D, ResidualBlock
from keras_lecture.models._parts import Parts, settle

# Blocks in each of the four stages; from 50 on they are bottlenecks.
STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
IMAGENET = (224, 224, 3), 1000
CIFAR = (32, 32, 3), 10


def resnet(
    depth: int,
    input_shape=None,
    classes: int | None = None,
    *,
    width: float = 1.0,
    dropout: float = 0.0,
    normalization="batch",
    name: str | None = None,
):
    """A deep residual net: blocks that learn what to add to their input.

    Use it as the first choice for images. Depths 18, 34, 50, 101 and 152 are the nets for large images, which start by
    making them four times smaller; 20, 32, 44, 56, 110 and any other 6n + 2 are those for small ones (CIFAR).

        large:  C₇ 64 /2 → maximum of 3×3 /2 → stages of 64, 128, 256, 512 filters    → mean → scores
        small:  C₃ 16                        → stages of 16, 32, 64 filters, n blocks → mean → scores

    Each stage but the first begins with strides of 2. Blocks are `ResidualBlock`s of two convolutions, of three from
    depth 50 on among the large; `plain(depth)` is the same net without the connections.

    Args:
        depth: Number of layers with kernels, those of the connections not counted.
        input_shape: Shape of one image; sides may be None, any size fits. Defaults to `None`, 224 × 224 or 32 × 32 in
            color.
        classes: Number of scores. Defaults to `None`, 1000 or 10.
        width: Factor of the numbers of filters. Defaults to `1.0`.
        dropout: Rate of the dropout before the scores. Defaults to `0.0`.
        normalization: As in `keras_lecture.layers.ResidualBlock`. Defaults to `"batch"`.
        name: Name of the model. Defaults to `None`, `"resnet_"` and the depth.

    Returns:
        A functional `keras.Model` from images to scores (for `SoftmaxCrossEntropy`), in the data format of the Keras
        configuration.

    Example:
        >>> model = keras_lecture.models.resnet(8, (8, 8, 1), 10, width=0.25)
        >>> model.output_shape, model.count_params()
        ((None, 10), 5310)

    Reference:
        He et al., 2015, arXiv:1512.03385, table 1 and section 4.2. Deck B. Deviations: projections where the number of
        filters grows (shortcuts B) in the small nets too, where the paper pads with zeros; otherwise those of
        `ResidualBlock`.
    """
    bottleneck = depth in STAGES and depth >= 50
    parts = Parts("resnet", width=width, dropout=dropout, normalization=normalization)
    options = {"bottleneck": bottleneck, "normalization": parts.normalization}

    def stage(x, filters, blocks, strides, name):
        for place in range(1, blocks + 1):
            block = ResidualBlock(
                filters * (4 if bottleneck else 1), strides=strides, name=f"{name}_{place}", **options
            )
            x, strides = block(x), 1
        return x

    return _net("resnet", depth, stage, parts, input_shape, classes, name)


def plain(
    depth: int,
    input_shape=None,
    classes: int | None = None,
    *,
    width: float = 1.0,
    dropout: float = 0.0,
    normalization="batch",
    name: str | None = None,
):
    """The residual net of the same depth without its connections: deeper is worse here, even on the training data.

    Use it to see what the connections are for: it has the weights of `resnet(depth)` but for the projections.

        large:  C₇ 64 /2 → maximum of 3×3 /2 → stages of 64, 128, 256, 512 filters → mean → scores
        small:  C₃ 16                        → stages of 16, 32, 64 filters        → mean → scores

    Stages are 3×3 convolutions, each with normalization and ReLU; the first one of each stage but the first has
    strides of 2. Depths 18 and 34 are for large images, 20, 32, 44, 56 and any other 6n + 2 for small ones.

    Args:
        depth: Number of layers with kernels.
        input_shape: Shape of one image; sides may be None, any size fits. Defaults to `None`, 224 × 224 or 32 × 32 in
            color.
        classes: Number of scores. Defaults to `None`, 1000 or 10.
        width: Factor of the numbers of filters. Defaults to `1.0`.
        dropout: Rate of the dropout before the scores. Defaults to `0.0`.
        normalization: As in `keras_lecture.layers.ResidualBlock`. Defaults to `"batch"`.
        name: Name of the model. Defaults to `None`, `"plain_"` and the depth.

    Returns:
        A functional `keras.Model` from images to scores (for `SoftmaxCrossEntropy`), in the data format of the Keras
        configuration.

    Example:
        >>> model = keras_lecture.models.plain(8, (8, 8, 1), 10, width=0.25)
        >>> model.output_shape, model.count_params()
        ((None, 10), 5054)

    Reference:
        He et al., 2015, arXiv:1512.03385, figure 3 (middle) and section 4.2. Deck B. Deviation: padding is Keras's
        `"same"`.
    """
    parts = Parts("plain", width=width, dropout=dropout, normalization=normalization)

    def stage(x, filters, blocks, strides, name):
        for place in range(1, 2 * blocks + 1):
            x, strides = parts.convolution(x, filters, strides=strides, name=f"{name}_{place}"), 1
        return x

    return _net("plain", depth, stage, parts, input_shape, classes, name)


def _net(owner: str, depth: int, stage, parts: Parts, input_shape, classes, name):
    """What both nets have around their stages: the first layers and the scores."""
    blocks = _blocks(owner, depth)
    large = depth in STAGES
    input_shape, classes = settle(owner, input_shape, classes, IMAGENET if large else CIFAR)
    inputs, filters = keras.Input(input_shape), parts.filters(64 if large else 16)
    if large:
        x = parts.convolution(inputs, filters, 7, 2, name="convolution")
        x = MaxPooling2D(3, 2, "same", name="maximum")(x)
    else:
        x = parts.convolution(inputs, filters, name="convolution")
    for place, count in enumerate(blocks):
        filters = parts.filters((64 if large else 16) * 2**place)
        x = stage(x, filters, count, 2 if place else 1, f"stage_{place + 1}")
    return keras.Model(inputs, parts.scores(parts.mean(x), classes), name=name or f"{owner}_{depth}")


def _blocks(owner: str, depth) -> tuple:
    """Blocks of two layers, or bottlenecks, in each stage."""
    large = [known for known in STAGES if owner == "resnet" or known < 50]
    remedy = (
        f"{', '.join(map(str, large))} are for large images, 6n + 2 (8, 14, 20, 26, 32, 44, 56, 110 …) for small ones."
    )
    checks.whole(owner, "depth", depth, "[8, ∞)", remedy)
    if depth in large:
        return STAGES[depth]
    if (depth - 2) % 6 or depth in STAGES:
        checks.reject(owner, "depth", "one of the known depths", depth, remedy)
    return ((depth - 2) // 6,) * 3
