"""Deep networks of equal size with and without residual connections."""

from collections.abc import Callable, Sequence

import keras

from keras_lecture._core import checks
from keras_lecture._core.types import Tensor
from keras_lecture.layers import ResidualBlock
from keras_lecture.models._parts import CIFAR, IMAGENET, Parts, shape_and_classes

# Number of blocks in each of the four stages; from depth 50 on they are bottlenecks.
STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def resnet(
    depth: int,
    input_shape: Sequence[int | None] | None = None,
    classes: int | None = None,
    *,
    width: float = 1.0,
    dropout: float = 0.0,
    normalization: str | keras.layers.Layer | None = "batch",
    name: str | None = None,
) -> keras.Model:
    """A deep residual network: each block learns a correction that is added to its input.

    Use it as the first choice for images. Depths 18, 34, 50, 101 and 152 are for large images, whose sides they first
    divide by four; 20, 32, 44, 56, 110 and any other 6n + 2 are for small ones (CIFAR).

        large:  C₇ 64 /2 → 3×3 max pooling /2 → stages of 64, 128, 256, 512 filters    → mean → scores
        small:  C₃ 16                         → stages of 16, 32, 64 filters, n blocks → mean → scores

    Each stage but the first begins with strides of 2. A block is a `ResidualBlock` with two convolutions, or with three
    in the networks for large images from depth 50 on; `plain(depth)` is the same network without skip connections.

    Args:
        depth: Number of layers with kernels, not counting the projections.
        input_shape: Shape of one image; sides may be None, any size fits. Defaults to `None`, 224 × 224 or 32 × 32 in
            color.
        classes: Number of scores. Defaults to `None`, 1000 or 10.
        width: Factor of all numbers of filters. Defaults to `1.0`.
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
        filters grows (shortcuts B) also for small images, where the paper pads with zeros; otherwise those of
        `ResidualBlock`.
    """
    bottleneck = depth in STAGES and depth >= 50
    parts = Parts("resnet", width=width, dropout=dropout, normalization=normalization)
    options = {"bottleneck": bottleneck, "normalization": parts.normalization}

    def block(x, filters, *, strides, name):
        return ResidualBlock(4 * filters if bottleneck else filters, strides=strides, name=name, **options)(x)

    return _network(parts, depth, block, 1, input_shape, classes, name)


def plain(
    depth: int,
    input_shape: Sequence[int | None] | None = None,
    classes: int | None = None,
    *,
    width: float = 1.0,
    dropout: float = 0.0,
    normalization: str | keras.layers.Layer | None = "batch",
    name: str | None = None,
) -> keras.Model:
    """A residual network without its skip connections; more depth makes it worse, even on the training data.

    Use it to see the effect of skip connections: it has the weights of `resnet(depth)` except the projections.

        large:  C₇ 64 /2 → 3×3 max pooling /2 → stages of 64, 128, 256, 512 filters → mean → scores
        small:  C₃ 16                         → stages of 16, 32, 64 filters        → mean → scores

    Stages are 3×3 convolutions, each with normalization and ReLU; the first one of each stage but the first has
    strides of 2. Depths 18 and 34 are for large images, 20, 32, 44, 56 and any other 6n + 2 for small ones.

    Args:
        depth: Number of layers with kernels.
        input_shape: Shape of one image; sides may be None, any size fits. Defaults to `None`, 224 × 224 or 32 × 32 in
            color.
        classes: Number of scores. Defaults to `None`, 1000 or 10.
        width: Factor of all numbers of filters. Defaults to `1.0`.
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
    return _network(parts, depth, parts.convolution, 2, input_shape, classes, name)


def _network(
    parts: Parts, depth: int, part: Callable[..., Tensor], parts_per_block: int, input_shape, classes, name
) -> keras.Model:
    """The first layers, stages of `part(x, filters, strides=…, name=…)`, and the scores."""
    blocks = _blocks(parts.owner, depth)
    large = depth in STAGES
    input_shape, classes = shape_and_classes(parts.owner, input_shape, classes, IMAGENET if large else CIFAR)
    inputs, first = keras.Input(input_shape), 64 if large else 16
    if large:
        x = parts.stem(inputs, parts.filters(first))
    else:
        x = parts.convolution(inputs, parts.filters(first), name="convolution")
    for stage, count in enumerate(blocks, 1):
        filters = parts.filters(first * 2 ** (stage - 1))
        for i in range(1, parts_per_block * count + 1):
            x = part(x, filters, strides=2 if stage > 1 and i == 1 else 1, name=f"stage_{stage}_{i}")
    return keras.Model(inputs, parts.scores(parts.mean(x), classes), name=name or f"{parts.owner}_{depth}")


def _blocks(owner: str, depth: int) -> tuple[int, ...]:
    """Number of blocks in each stage."""
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
