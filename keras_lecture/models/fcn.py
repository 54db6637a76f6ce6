"""Fully convolutional networks for segmentation."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.initializers import Zeros
from keras_lecture.layers import Upscale2D
from keras_lecture.models._parts import Parts, scoring, shape_and_classes
from keras_lecture.models.vgg import STAGES, pooled_stages

PUBLISHED = (None, None, 3), 21


def fcn(
    input_shape: Sequence[int | None] | None = None,
    classes: int | None = None,
    *,
    skips: int = 2,
    width: float = 1.0,
    dropout: float = 0.5,
    normalization: str | keras.layers.Layer | None = None,
    name: str = "fcn",
) -> keras.Model:
    """A fully convolutional network: class scores for every pixel of an image of any size.

    Use it for segmentation. It is VGG-16 with convolutions instead of dense layers; transposed convolutions, which
    start as bilinear interpolation, upsample the coarse scores to the size of the image.

        p₁ … p₅ = the five stages of VGG-16, each half the size of the one before
        s₅ = scores of C₁ 4096 ∘ C₇ 4096 of p₅,    s_i = U₂(s_{i+1}) + scores of p_i,   i = 4, 3
        y = U_k(s)

    U_k `Upscale2D` by k, cropped to the size of the other term or of the image. With `skips=0` y comes from s₅
    (FCN-32s), with 1 from s₄ (FCN-16s), with 2 from s₃ (FCN-8s). The scores of the skips start at zero, so that all
    three start close to FCN-32s: two bilinear upscalings are not quite one.

    Args:
        input_shape: Shape of one image; sides may be None, any size fits. Defaults to `None`, color images of any size.
        classes: Number of scores per pixel. Defaults to `None`, 21.
        skips: Number of skip connections from finer stages: 0, 1 or 2. Defaults to `2`.
        width: Factor of all numbers of filters. Defaults to `1.0`.
        dropout: Rate of the dropout after the two convolutions with 4096 filters. Defaults to `0.5`.
        normalization: As in `keras_lecture.layers.ResidualBlock`; helps to train from scratch. Defaults to `None`.
        name: Name of the model. Defaults to `"fcn"`.

    Returns:
        A functional `keras.Model` from images to scores of the same height and width, in the data format of the Keras
        configuration. `SoftmaxCrossEntropy` expects the scores on the last axis.

    Example:
        >>> model = keras_lecture.models.fcn((None, None, 3), 2, width=1 / 64)
        >>> tuple(model(np.zeros((1, 45, 30, 3), "float32")).shape)
        (1, 45, 30, 2)

    Reference:
        Long et al., 2015, arXiv:1411.4038, section 4 (FCN-VGG16). Deck B. Deviations: padding `"same"`, where the paper
        pads the image by 100 pixels; the last transposed convolution is trained as well; the skips are trained all at
        once, not stage by stage; weights start by `Kaiming`.
    """
    checks.one_of("fcn", "skips", skips, (0, 1, 2))
    input_shape, classes = shape_and_classes("fcn", input_shape, classes, PUBLISHED)
    parts = Parts("fcn", width=width, dropout=dropout, normalization=normalization)
    inputs = keras.Input(input_shape)
    *_, third, fourth, x = pooled_stages(inputs, parts, STAGES[16], "same")
    for layer, size in (("wide_1", 7), ("wide_2", 1)):
        x = parts.drop(parts.convolution(x, parts.filters(4096), size, name=layer), layer)
    x = keras.layers.Conv2D(classes, 1, name="scores", **scoring())(x)
    for stage, finer in ((4, fourth), (3, third))[:skips]:
        options = {**scoring(), "kernel_initializer": Zeros()}
        skip = keras.layers.Conv2D(classes, 1, name=f"scores_{stage}", **options)(finer)
        x = _enlarged(x, 2, finer, f"coarse_{stage}")
        x = keras.layers.Add(name=f"sum_{stage}", dtype=x.dtype)([x, skip])
    return keras.Model(inputs, _enlarged(x, 32 // 2**skips, inputs, "pixels"), name=name)


def _enlarged(x: Tensor, factor: int, like: Tensor, name: str) -> Tensor:
    x = Upscale2D(factor, name=f"{name}_enlarged", dtype=x.dtype)(x)
    return CutTo(name=f"{name}_cut", dtype=x.dtype)([x, like])


@register
class CutTo(keras.Layer):
    """The first of two batches of images, cropped at the bottom and right to the size of the second."""

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        checks.one_of("CutTo", "data_format", data_format, (None, "channels_first", "channels_last"))
        super().__init__(**kwargs)
        self.data_format: str = data_format or keras.config.image_data_format()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        images, like = inputs
        first = 1 if self.data_format == "channels_last" else 2
        height, width = ops.shape(like)[first : first + 2]
        return images[(slice(None),) * first + (slice(height), slice(width))]

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        images, like = input_shape
        first = 1 if self.data_format == "channels_last" else 2
        return (*images[:first], *like[first : first + 2], *images[first + 2 :])
