"""Crops of images: random crops in training, ten fixed crops at test time."""

from typing import Any

import keras

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.random_bits import uniform
from keras_lecture.layers.augmentation._preparation import ImageAugmentation, ImageLayer, pick, resized, sides


@register
class RandomCropFlip(ImageAugmentation):
    """Random crops and horizontal flips of the training images; the center crop at inference.

    Use it as the first layer of a model, or in a data pipeline, if objects may be anywhere in the image and face either
    way. It costs one copy of the window: nothing is interpolated.

        training:  y[i, j] = x[t + i, l + j]  or its reflection  x[t + i, l + width − 1 − j]
        inference: y[i, j] = x[⌊(H − height)/2⌋ + i, ⌊(W − width)/2⌋ + j]

    t, l integers, drawn independently for each image so that all positions of the window in the padded H × W image are
    equally likely; the reflection with probability `flip_rate`. With a window of the size of the image and
    `flip_rate=0` the layer changes nothing.

    Args:
        height: Height of the window.
        width: Width of the window.
        padding: Rows and columns of zeros added on each side before the crop; `4` with a 32 × 32 window is the usual
            recipe for CIFAR. Defaults to `0`.
        flip_rate: Probability of the horizontal reflection; `0` for digits and text. Defaults to `0.5`.
        seed: Seed of the random stream. Defaults to `None`, a random seed.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.

    Example:
        >>> layer = keras_lecture.layers.RandomCropFlip(2, 2, seed=1)
        >>> image = keras.ops.reshape(keras.ops.arange(16), (1, 4, 4, 1))
        >>> keras.ops.convert_to_numpy(layer(image, training=False))[0, :, :, 0].tolist()
        [[5.0, 6.0], [9.0, 10.0]]

    Reference:
        Krizhevsky et al., 2012 (AlexNet), section 4.1; padding: He et al., 2016, arXiv:1512.03385, section 4.2. Deck B.
        Deviation: none. Differences from `keras.layers.RandomCrop` followed by `RandomFlip`: one copy; an image smaller
        than the window is an error instead of resized; calls in which Keras's layers would change the images of a
        prediction are errors (page "Training or not"); the random stream is the same on every backend and is saved
        with the model.
    """

    def __init__(
        self,
        height: int,
        width: int,
        *,
        padding: int = 0,
        flip_rate: float = 0.5,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        checks.whole("RandomCropFlip", "height", height)
        checks.whole("RandomCropFlip", "width", width)
        checks.whole("RandomCropFlip", "padding", padding, "[0, ∞)")
        checks.number("RandomCropFlip", "flip_rate", flip_rate, "[0, 1]")
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.height = height
        self.width = width
        self.padding = padding
        self.flip_rate = flip_rate

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        size = (None if side is None else side + 2 * self.padding for side in sides(input_shape, self.data_format))
        _check_fit(self, size)

    def augment(self, x: Tensor, key: Tensor) -> Tensor:
        return self.on_images(lambda images: self._random(self._padded(images), key), x)

    def rest(self, x: Tensor) -> Tensor:
        return self.on_images(lambda images: self._center(self._padded(images)), x)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return resized(input_shape, self.data_format, self.height, self.width)

    def get_config(self) -> dict[str, Any]:
        own = {"height": self.height, "width": self.width, "padding": self.padding, "flip_rate": self.flip_rate}
        return {**super().get_config(), **own}

    def _padded(self, images):
        around = (self.padding, self.padding)
        padded = self.ops.pad(images, ((0, 0), around, around, (0, 0))) if self.padding else images
        return _fitting(self, padded)

    def _center(self, images):
        top, left = _free(images, self.height, self.width, self.ops)
        return _window(images, top // 2, left // 2, self.height, self.width, self.ops)

    def _random(self, images, key):
        ops = self.ops
        draws = uniform(key, (ops.shape(images)[0], 3), ops)
        top, left = (
            ops.cast(draws[:, i] * ops.cast(free + 1, "float32"), "int32")[:, None]
            for i, free in enumerate(_free(images, self.height, self.width, ops))
        )
        along = ops.arange(self.width, dtype="int32")
        columns = left + ops.where(draws[:, 2:] < self.flip_rate, self.width - 1 - along, along)
        rows = top + ops.arange(self.height, dtype="int32")
        return pick(images, rows[:, :, None], columns[:, None, :], ops)


@register
class TenCrop(ImageLayer):
    """AlexNet's ten test-time crops of each image, along a new axis after the batch axis.

    Use it in a model that averages the predictions for the crops; `ten_crop_average` builds that model. It takes ten
    times the memory.

        y[:, 0…4] = the windows at the top left, top right, bottom left, bottom right and center
        y[:, 5…9] = their horizontal reflections, in the same order

    Images (n, H, W, channels) become (n, 10, `height`, `width`, channels); with channels first (n, 10, channels,
    `height`, `width`). Training and inference do the same. With windows of the size of the image each of the ten crops
    is the image or its reflection.

    Args:
        height: Height of the windows.
        width: Width of the windows.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.

    Example:
        >>> image = keras.ops.reshape(keras.ops.arange(9), (1, 3, 3, 1))
        >>> crops = keras_lecture.layers.TenCrop(1, 1)(image)
        >>> keras.ops.convert_to_numpy(crops).ravel().tolist()
        [0.0, 2.0, 6.0, 8.0, 4.0, 0.0, 2.0, 6.0, 8.0, 4.0]

    Reference:
        Krizhevsky et al., 2012 (AlexNet), section 4.1. Deck B. Deviation: none; if the margin is odd, the larger part
        is below and to the right of the center crop. Keras has no such layer.
    """

    def __init__(self, height: int, width: int, *, data_format: str | None = None, **kwargs: Any) -> None:
        checks.whole("TenCrop", "height", height)
        checks.whole("TenCrop", "width", width)
        super().__init__(data_format=data_format, **kwargs)
        self.height = height
        self.width = width

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        _check_fit(self, sides(input_shape, self.data_format))

    def call(self, inputs: Tensor) -> Tensor:
        return self.on_images(self._crops, self.ops.cast(inputs, self.output_dtype))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        cut = resized(input_shape, self.data_format, self.height, self.width)
        return (*cut[:-3], 10, *cut[-3:])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width}

    def _crops(self, images):
        ops, images = self.ops, _fitting(self, images)
        bottom, right = _free(images, self.height, self.width, ops)
        offsets = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
        windows = [_window(images, top, left, self.height, self.width, ops) for top, left in offsets]
        crops = ops.stack(windows, axis=1)
        return ops.concatenate([crops, ops.flip(crops, axis=3)], axis=1)


def ten_crop_average(
    model: keras.Model,
    *,
    height: int | None = None,
    width: int | None = None,
    from_logits: bool = False,
    data_format: str | None = None,
) -> keras.Model:
    """A model that averages the predictions of `model` for the ten crops of each image.

    Use it at test time for a classifier trained on crops (`RandomCropFlip`). It costs ten predictions per image. The
    new model takes images of any size not smaller than the crop and shares its weights with `model`.

        y = 1/10 · Σ f(crop_k(x))                   k = 1 … 10
        y = 1/10 · Σ softmax(f(crop_k(x)))          with `from_logits=True`

    f `model`. The average is over the outputs of `model`: probabilities if it ends in a softmax, like AlexNet. For a
    model that returns scores (logits), `from_logits=True` averages their softmax; without it the result is the mean
    score. For images of the size of the crop it is the mean of the predictions for the image and for its reflection.

    Args:
        model: A functional or Sequential model whose one input is a batch of images.
        height: Height of the crops; needed only if the model takes images of any height. Defaults to `None`.
        width: Width of the crops; needed only if the model takes images of any width. Defaults to `None`.
        from_logits: Whether `model` returns scores whose softmax is to be averaged. Defaults to `False`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.

    Returns:
        A `keras.Model` that maps images to averages, one average per output of `model`.

    Example:
        >>> model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.GlobalAveragePooling2D()])
        >>> keras_lecture.layers.ten_crop_average(model)(np.ones((2, 6, 5, 3), "float32")).shape[1]
        3

    Reference:
        Krizhevsky et al., 2012 (AlexNet), section 4.1: "averaging the predictions made by the network's softmax layer
        on the ten patches". Deck B. Deviation: none for a model that ends in a softmax or with `from_logits=True`.
    """
    owner = "ten_crop_average"
    checks.instance(owner, "model", model, keras.Model, "a Keras model")
    # A subclassed or unbuilt model has no `inputs`.
    if [len(given.shape) for given in getattr(model, "inputs", None) or ()] != [4]:
        checks.reject(owner, "model", "a built functional or Sequential model of one batch of images", model.name)
    checks.boolean(owner, "from_logits", from_logits)
    checks.one_of(owner, "data_format", data_format, (None, "channels_first", "channels_last"))
    data_format = data_format or keras.config.image_data_format()
    (given,) = model.inputs
    fixed = sides(given.shape, data_format)
    window = _side(owner, "height", height, fixed[0]), _side(owner, "width", width, fixed[1])
    images = keras.Input(resized(given.shape, data_format, None, None)[1:], dtype=given.dtype)
    crops = TenCrop(*window, data_format=data_format)(images)
    outputs = model(keras.ops.reshape(crops, (-1, *crops.shape[2:])))

    def average(y):
        y = keras.ops.softmax(y) if from_logits else y
        return keras.ops.mean(keras.ops.reshape(y, (-1, 10, *y.shape[1:])), axis=1)

    return keras.Model(images, keras.tree.map_structure(average, outputs), name=f"{model.name}_ten_crops")


def _side(owner, name, wanted, fixed):
    """Height or width of the crops: the size that the model was built for, else the `wanted` size."""
    if wanted is not None:
        checks.whole(owner, name, wanted)
    if fixed is None and wanted is None:
        checks.reject(owner, name, "given", None, "The model takes images of any size.")
    if None not in (fixed, wanted) and fixed != wanted:
        checks.reject(owner, name, f"{fixed}, the size that the model takes", wanted)
    return fixed or wanted


def _check_fit(layer, size):
    """Refuses a window larger than `size`, the height and width of the padded image as far as they are known."""
    image = "padded image" if getattr(layer, "padding", 0) else "image"
    for name, window, side in zip(("height", "width"), (layer.height, layer.width), size, strict=True):
        if isinstance(side, int) and window > side:
            checks.reject(type(layer).__name__, name, f"at most {side}, that of the {image}", window)


def _fitting(layer, images):
    """Channels-last `images`, checked to hold the window; in a TensorFlow graph their size may be a run-time value."""
    count, rows, columns, channels = layer.ops.shape(images)
    _check_fit(layer, (rows, columns))
    if layer.backend.name != "tensorflow" or isinstance(rows, int) and isinstance(columns, int):
        return images
    tf = layer.backend.core.tf
    large = f"{type(layer).__name__}: `height` and `width` must be at most those of the (padded) image. Received:"
    fits = tf.logical_and(layer.height <= rows, layer.width <= columns)
    window = f"height={layer.height}, width={layer.width}, for an image of"
    with tf.control_dependencies([tf.debugging.Assert(fits, [large, window, rows, columns])]):
        images = tf.identity(images)
    # XLA drops assertions, but its slice cannot read beyond the end.
    return tf.slice(
        images, (0, 0, 0, 0), (count, tf.maximum(rows, layer.height), tf.maximum(columns, layer.width), channels)
    )


def _free(images, height, width, ops):
    """Number of rows and columns by which a window can move down and to the right."""
    _, rows, columns, _ = ops.shape(images)
    return rows - height, columns - width


def _window(images, top, left, height, width, ops):
    count, _, _, channels = ops.shape(images)
    return ops.slice(images, (0, top, left, 0), (count, height, width, channels))
