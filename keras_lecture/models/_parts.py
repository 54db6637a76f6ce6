"""Shared by the model families: checks of their arguments, and the parts that the networks are built from."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_lecture._core import checks
from keras_lecture._core.types import Tensor
from keras_lecture.initializers import Kaiming, PositiveBias, Xavier
from keras_lecture.layers import Dropout, MaxPooling2D
from keras_lecture.layers.blocks._block import configured, normalization_layer

# Image shape (channels last) and number of classes of the published networks.
IMAGENET = (224, 224, 3), 1000
CIFAR = (32, 32, 3), 10

ImageShape = tuple[int | None, ...]


class Parts:
    """The parts of one network, functions from tensor to tensor, in the data format of the Keras configuration.

    Args:
        owner: Name of the family, for error messages.
        width: Factor of all numbers of filters and hidden units.
        dropout: Rate of `drop`.
        normalization: As in `keras_lecture.layers.ResidualBlock`.
    """

    def __init__(
        self,
        owner: str,
        *,
        width: float = 1.0,
        dropout: float = 0.0,
        normalization: str | keras.layers.Layer | None = None,
    ) -> None:
        checks.number(owner, "width", width, "(0, ∞)")
        checks.number(owner, "dropout", dropout, "[0, 1)")
        self.owner = owner
        self.width = width
        self.dropout = dropout
        self.normalization: str | dict[str, Any] | None = configured(owner, normalization)
        self.axis = -1 if keras.config.image_data_format() == "channels_last" else 1

    def filters(self, published: int) -> int:
        """`width` times a published number of filters or units, at least 1."""
        return max(1, round(self.width * published))

    def convolution(
        self, x: Tensor, filters: int, size: int = 3, strides: int = 1, *, name: str, **options: Any
    ) -> Tensor:
        """Convolution, normalization, ReLU."""
        x = self.linear(x, filters, size, strides, name=name, **options)
        return self.rectified(self.normalized(x, name), name)

    def linear(self, x: Tensor, filters: int, size: int = 3, strides: int = 1, *, name: str, **options: Any) -> Tensor:
        """A convolution; it has a (slightly positive) bias only if there is no normalization."""
        options = {"padding": "same", **self._start(), **options}
        return keras.layers.Conv2D(filters, size, strides, name=name, **options)(x)

    def stem(self, x: Tensor, filters: int) -> Tensor:
        """The first layers for large images: 7×7 convolution and 3×3 max pooling, both with strides 2."""
        x = self.convolution(x, filters, 7, 2, name="convolution")
        return MaxPooling2D(3, 2, "same", name="maximum")(x)

    def normalized(self, x: Tensor, name: str) -> Tensor:
        """`x` through a new normalization layer, if the network has normalization."""
        if self.normalization is None:
            return x
        if self.normalization == "instance" and len(x.shape) == 2:
            remedy = "A unit has one value per sample: normalized by itself, it does not depend on the input."
            choices = '"batch", "group", "layer" or None in a network with dense layers'
            checks.reject(self.owner, "normalization", choices, "instance", remedy)
        axis = self.axis if len(x.shape) == 4 else -1
        layer = normalization_layer(self.normalization, axis=axis, dtype=None)
        layer.name = f"{name}_normalization"
        return layer(x)

    def rectified(self, x: Tensor, name: str) -> Tensor:
        return keras.layers.Activation("relu", name=f"{name}_relu")(x)

    def drop(self, x: Tensor, name: str) -> Tensor:
        return Dropout(self.dropout, name=f"{name}_dropout")(x) if self.dropout else x

    def mean(self, x: Tensor) -> Tensor:
        """Global average pooling with dropout."""
        return self.drop(keras.layers.GlobalAveragePooling2D(name="mean")(x), "mean")

    def dense_scores(self, x: Tensor, classes: int) -> Tensor:
        """The last layers of AlexNet and VGG: two hidden dense layers of 4096 units with dropout, and the scores."""
        x = keras.layers.Flatten(name="flatten")(x)
        for name in ("dense_1", "dense_2"):
            x = keras.layers.Dense(self.filters(4096), name=name, **self._start())(x)
            x = self.drop(self.rectified(self.normalized(x, name), name), name)
        return self.scores(x, classes)

    def scores(self, x: Tensor, classes: int) -> Tensor:
        """A linear dense layer with one score per class."""
        return keras.layers.Dense(classes, name="scores", **scoring())(x)

    def _start(self) -> dict[str, Any]:
        if self.normalization is None:
            return {"kernel_initializer": Kaiming(), "bias_initializer": PositiveBias()}
        return {"kernel_initializer": Kaiming(), "use_bias": False}


def scoring() -> dict[str, Any]:
    """Options of the score layer, which computes in the dtype of the weights also in mixed precision."""
    return {"kernel_initializer": Xavier(), "dtype": keras.config.dtype_policy().variable_dtype}


def shape_and_classes(
    owner: str, input_shape: Sequence[int | None] | None, classes: int | None, published: tuple[ImageShape, int]
) -> tuple[ImageShape, int]:
    """The checked input shape and number of classes; `None` is that of the `published` network (channels last)."""
    shape, count = published
    if keras.config.image_data_format() == "channels_first":
        shape = (shape[-1], *shape[:-1])
    classes = count if classes is None else classes
    checks.whole(owner, "classes", classes)
    return _image_shape(owner, shape if input_shape is None else input_shape), classes


def _image_shape(owner: str, shape: Sequence[int | None]) -> ImageShape:
    """A shape of three axes without the batch axis; the sides may be unknown, the channels may not."""
    last = keras.config.image_data_format() == "channels_last"
    expectation = "(height, width, channels)" if last else "(channels, height, width)"
    remedy = "Leave out the batch axis; height and width may be None."
    if not isinstance(shape, Sequence) or len(shape) != 3 or shape[-1 if last else 0] is None:
        checks.reject(owner, "input_shape", expectation, shape, remedy)
    for size in shape:
        if size is not None:
            checks.whole(owner, "input_shape", size, "[1, ∞)", remedy)
    return tuple(shape)


def sides(shape: ImageShape) -> ImageShape:
    """Height and width."""
    return shape[:2] if keras.config.image_data_format() == "channels_last" else shape[1:]


def check_sides(owner: str, shape: ImageShape, output_side: Callable[[int], int], *, known: bool = False) -> None:
    """Rejects images that are too small and, if `known`, images of unknown size, for networks with dense layers.

    `output_side` maps the side of an image to that of the last feature map before global pooling or flattening.
    """
    smallest = next(n for n in range(1, 1000) if output_side(n) >= 1)
    if any(n is not None and n < smallest for n in sides(shape)):
        checks.reject(owner, "input_shape", f"of images of at least {smallest} × {smallest} pixels", shape)
    if known and None in sides(shape):
        checks.reject(owner, "input_shape", "of known height and width", shape, "Dense layers follow the convolutions.")
