"""What the families share: how arguments are read, and the pieces that the nets are made of."""

from collections.abc import Callable, Sequence

import keras

from keras_lecture._core import checks
from keras_lecture.initializers import Kaiming, PositiveBias, Xavier
from keras_lecture.layers import Dropout
from keras_lecture.layers.blocks._block import configured, normalization_layer


class Parts:
    """Pieces of one net, `x → y`, in the data format of the Keras configuration.

    Args:
        owner: The family, for messages.
        width: Factor of all numbers of filters and hidden units.
        dropout: The rate of `drop`.
        normalization: As in `keras_lecture.layers.ResidualBlock`.
    """

    def __init__(self, owner: str, *, width: float = 1.0, dropout: float = 0.0, normalization=None):
        checks.number(owner, "width", width, "(0, ∞)")
        checks.number(owner, "dropout", dropout, "[0, 1)")
        self.owner = owner
        self.width = width
        self.dropout = dropout
        self.normalization = configured(owner, normalization)
        self.axis = -1 if keras.config.image_data_format() == "channels_last" else 1

    def filters(self, published: int) -> int:
        """The net's number of filters or units where the published one has `published`."""
        return max(1, round(self.width * published))

    def convolution(self, x, filters: int, size: int = 3, strides: int = 1, *, name: str, **options):
        """Convolution, normalization, ReLU."""
        x = self.linear(x, filters, size, strides, name=name, **options)
        return self.rectified(self.normalized(x, name), name)

    def linear(self, x, filters: int, size: int = 3, strides: int = 1, *, name: str, **options):
        """A convolution; with a bias, slightly positive, only where there is no normalization."""
        options = {"padding": "same", **self._start(), **options}
        return keras.layers.Conv2D(filters, size, strides, name=name, **options)(x)

    def dense(self, x, units: int, *, name: str):
        """A hidden dense layer with normalization, ReLU and dropout."""
        x = keras.layers.Dense(units, name=name, **self._start())(x)
        return self.drop(self.rectified(self.normalized(x, name), name), name)

    def normalized(self, x, name: str):
        """`x` through a new normalization, if the net has any."""
        if self.normalization is None:
            return x
        if self.normalization == "instance" and len(x.shape) == 2:
            remedy = "A unit has one value for each sample: normalized alone, it does not depend on the input."
            choices = '"batch", "group", "layer" or None where there are dense layers'
            checks.reject(self.owner, "normalization", choices, "instance", remedy)
        axis = self.axis if len(x.shape) == 4 else -1
        layer = normalization_layer(self.normalization, axis=axis, dtype=None)
        layer.name = f"{name}_normalization"
        return layer(x)

    def rectified(self, x, name: str):
        return keras.layers.Activation("relu", name=f"{name}_relu")(x)

    def drop(self, x, name: str):
        return Dropout(self.dropout, name=f"{name}_dropout")(x) if self.dropout else x

    def mean(self, x):
        """The mean over the places of an image, with dropout."""
        return self.drop(keras.layers.GlobalAveragePooling2D(name="mean")(x), "mean")

    def scores(self, x, classes: int):
        """A linear layer of one score for each class."""
        return keras.layers.Dense(classes, name="scores", **scoring())(x)

    def _start(self) -> dict:
        if self.normalization is None:
            return {"kernel_initializer": Kaiming(), "bias_initializer": PositiveBias()}
        return {"kernel_initializer": Kaiming(), "use_bias": False}


def scoring() -> dict:
    """Options of the layer of the scores: linear, and not rounded to half precision when the weights are not."""
    return {"kernel_initializer": Xavier(), "dtype": keras.config.dtype_policy().variable_dtype}


def settle(owner: str, input_shape, classes, published: tuple) -> tuple[tuple, int]:
    """Input shape and classes, those of the `published` net (channels last) where None is given."""
    shape, count = published
    if keras.config.image_data_format() == "channels_first":
        shape = (shape[-1], *shape[:-1])
    classes = count if classes is None else classes
    checks.whole(owner, "classes", classes)
    return image_shape(owner, shape if input_shape is None else input_shape), classes


def image_shape(owner: str, shape) -> tuple:
    """A shape of three axes without the batch; sides may be unknown, channels may not."""
    last = keras.config.image_data_format() == "channels_last"
    expectation = "(height, width, channels)" if last else "(channels, height, width)"
    remedy = "The batch has no place in it; a side may be None."
    if not isinstance(shape, Sequence) or len(shape) != 3 or shape[-1 if last else 0] is None:
        checks.reject(owner, "input_shape", expectation, shape, remedy)
    for size in shape:
        if size is not None:
            checks.whole(owner, "input_shape", size, "[1, ∞)", remedy)
    return tuple(shape)


def sides(shape: tuple) -> tuple:
    """Height and width."""
    return shape[:2] if keras.config.image_data_format() == "channels_last" else shape[1:]


def check_sides(owner: str, shape: tuple, left: Callable[[int], int], *, known: bool = False):
    """Images large enough that something is left of them, and of known size where dense layers follow.

    `left` gives what the net leaves of a side of so many pixels, before it takes means or flattens.
    """
    smallest = next(n for n in range(1, 1000) if left(n) >= 1)
    if any(n is not None and n < smallest for n in sides(shape)):
        checks.reject(owner, "input_shape", f"of images of at least {smallest} × {smallest} pixels", shape)
    if known and None in sides(shape):
        checks.reject(owner, "input_shape", "of known height and width", shape, "Dense layers follow the convolutions.")
