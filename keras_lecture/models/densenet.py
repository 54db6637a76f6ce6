"""Densely connected networks."""

from collections.abc import Sequence

import keras

from keras_lecture._core import checks
from keras_lecture.layers import DenseBlock, TransitionBlock
from keras_lecture.models._parts import CIFAR, IMAGENET, Parts, check_sides, shape_and_classes

# Number of layers in each of the four blocks.
BLOCKS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}


def densenet(
    depth: int = 121,
    input_shape: Sequence[int | None] | None = None,
    classes: int | None = None,
    *,
    growth: int | None = None,
    bottleneck: bool | None = None,
    dropout: float = 0.0,
    normalization: str | keras.layers.Layer | None = "batch",
    name: str | None = None,
) -> keras.Model:
    """A densely connected network: each layer of a block gets all earlier outputs, and adds a few channels.

    Use it for accuracy with few weights; it needs more memory and time than a residual network with as many. Depths
    121, 169 and 201 are for large images; others, such as 40 and 100, for small ones (CIFAR).

        large:  C₇ 2k /2 → 3×3 max pooling /2 → 4 blocks, a transition after each but the last → mean → scores
        small:  C₃ 16 or 2k                   → 3 blocks, a transition after each but the last → mean → scores

    k `growth`. Blocks are `DenseBlock`s; a `TransitionBlock` halves the sides and, with bottlenecks, the channels.
    Networks for small images have (depth − 4)/3 layers per block, half as many with bottlenecks.

    Args:
        depth: Number of layers with kernels. Defaults to `121`.
        input_shape: Shape of one image, at least 29 × 29 (large) or 4 × 4 (small); sides may be None. Defaults to
            `None`, 224 × 224 or 32 × 32 in color.
        classes: Number of scores. Defaults to `None`, 1000 or 10.
        growth: Channels that each layer adds. Defaults to `None`, 32 or 12.
        bottleneck: Whether layers have bottlenecks and transitions halve the channels: DenseNet-BC. Defaults to `None`:
            yes for large images, no for small ones.
        dropout: Rate of the dropout before the scores. Defaults to `0.0`.
        normalization: As in `keras_lecture.layers.ResidualBlock`. Defaults to `"batch"`.
        name: Name of the model. Defaults to `None`, `"densenet_"` and the depth.

    Returns:
        A functional `keras.Model` from images to scores (for `SoftmaxCrossEntropy`), in the data format of the Keras
        configuration.

    Example:
        >>> model = keras_lecture.models.densenet(10, (8, 8, 1), 10, growth=4)
        >>> model.output_shape, model.count_params()
        ((None, 10), 8778)

    Reference:
        Huang et al., 2017, arXiv:1608.06993, table 1 and section 3. Deck B. Deviations: dropout only before the scores
        (the paper has it after each convolution, on data without augmentation); padding is Keras's `"same"`.
    """
    large = depth in BLOCKS
    bottleneck = large if bottleneck is None else bottleneck
    checks.boolean("densenet", "bottleneck", bottleneck)
    blocks = _blocks(depth, bottleneck)
    growth = (32 if large else 12) if growth is None else growth
    checks.whole("densenet", "growth", growth)
    input_shape, classes = shape_and_classes("densenet", input_shape, classes, IMAGENET if large else CIFAR)
    parts = Parts("densenet", dropout=dropout, normalization=normalization)
    check_sides("densenet", input_shape, lambda n: -(-n // 4) // 8 if large else n // 4)
    inputs = keras.Input(input_shape)
    filters = 2 * growth if bottleneck else 16
    # No normalization after the single convolution: the first block normalizes its input.
    x = parts.stem(inputs, filters) if large else parts.linear(inputs, filters, name="convolution")
    options = {"normalization": parts.normalization}
    for i, count in enumerate(blocks, 1):
        x = DenseBlock(growth, layers=count, bottleneck=bottleneck, name=f"block_{i}", **options)(x)
        if i < len(blocks):
            x = TransitionBlock(0.5 if bottleneck else 1.0, name=f"transition_{i}", **options)(x)
    x = parts.rectified(parts.normalized(x, "last"), "last")
    return keras.Model(inputs, parts.scores(parts.mean(x), classes), name=name or f"densenet_{depth}")


def _blocks(depth: int, bottleneck: bool) -> tuple[int, ...]:
    """Number of layers in each block."""
    each = 6 if bottleneck else 3
    remedy = f"{', '.join(map(str, BLOCKS))} are for large images, {each}n + 4 for small ones."
    checks.whole("densenet", "depth", depth, f"[{each + 4}, ∞)", remedy)
    if depth in BLOCKS:
        return BLOCKS[depth]
    if (depth - 4) % each:
        checks.reject("densenet", "depth", "one of the known depths", depth, remedy)
    return ((depth - 4) // each,) * 3
