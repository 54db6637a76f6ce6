"""The all-convolutional network, with strides instead of pooling."""

from collections.abc import Sequence

import keras

from keras_lecture._core import checks
from keras_lecture.layers import Dropout
from keras_lecture.models._parts import CIFAR, Parts, check_sides, scoring, shape_and_classes


def all_conv(
    input_shape: Sequence[int | None] | None = None,
    classes: int | None = None,
    *,
    width: float = 1.0,
    input_dropout: float = 0.2,
    dropout: float = 0.5,
    normalization: str | keras.layers.Layer | None = None,
    name: str = "all_conv",
) -> keras.Model:
    """All-CNN-C: nine convolutions, with strides of 2 instead of pooling, and no dense layers.

    Use it for small images, of any size from 9 × 9.

        x → 3×(C₃ 96) → 3×(C₃ 192) → C₃ 192, C₁ 192, C₁ classes → global average pooling

    C₃ 3×3 and C₁ 1×1 convolutions with ReLU; the third C₃ of each triple has strides of 2, the last C₃ no padding.

    Args:
        input_shape: Shape of one image; sides may be None. Defaults to `None`, 32 × 32 in color.
        classes: Number of scores. Defaults to `None`, 10.
        width: Factor of all numbers of filters. Defaults to `1.0`.
        input_dropout: Rate of the dropout of pixels. Defaults to `0.2`.
        dropout: Rate of the dropout after the convolutions with strides. Defaults to `0.5`.
        normalization: As in `keras_lecture.layers.ResidualBlock`. Defaults to `None`.
        name: Name of the model. Defaults to `"all_conv"`.

    Returns:
        A functional `keras.Model` from images to scores (for `SoftmaxCrossEntropy`), in the data format of the Keras
        configuration.

    Example:
        >>> keras_lecture.models.all_conv((28, 28, 1), 10, width=0.1).count_params()
        14033

    Reference:
        Springenberg et al., 2015, arXiv:1412.6806, table 1 and section 3.1, 1.37 million weights. Deck A. Deviations:
        no ReLU on the scores, so that they can be negative; weights start by `Kaiming`, biases at 0.01.
    """
    input_shape, classes = shape_and_classes("all_conv", input_shape, classes, CIFAR)
    checks.number("all_conv", "input_dropout", input_dropout, "[0, 1)")
    parts = Parts("all_conv", width=width, dropout=dropout, normalization=normalization)
    check_sides("all_conv", input_shape, lambda n: -(-n // 4) - 2)
    x = inputs = keras.Input(input_shape)
    if input_dropout:
        x = Dropout(input_dropout, name="input_dropout")(x)
    for stage, filters in enumerate((parts.filters(96), parts.filters(192)), 1):
        x = parts.convolution(x, filters, name=f"convolution_{stage}_1")
        x = parts.convolution(x, filters, name=f"convolution_{stage}_2")
        x = parts.convolution(x, filters, strides=2, name=f"convolution_{stage}_3")
        x = parts.drop(x, f"stage_{stage}")
    x = parts.convolution(x, filters, padding="valid", name="convolution_3_1")
    x = parts.convolution(x, filters, 1, name="convolution_3_2")
    x = keras.layers.Conv2D(classes, 1, name="scores", **scoring())(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="mean", dtype=x.dtype)(x), name=name)
