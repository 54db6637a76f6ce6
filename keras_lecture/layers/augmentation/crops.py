"""Crops of images: random ones in training, ten fixed ones at test time."""

import keras

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture.layers._base.random_bits import uniform
from keras_lecture.layers.augmentation._preparation import ImageAugmentation, ImageLayer, pick, resized, sides


@register
class RandomCropFlip(ImageAugmentation):
    """Cuts a random window out of each training image and reflects half of them; cuts the center at inference.

    Use it as the first layer of a model, or in a data pipeline, where objects may stand anywhere and look either way.
    It costs one copy of the window: nothing is interpolated.

        training:  y[i, j] = x[t + i, l + j]  or its reflection  x[t + i, l + width − 1 − j]
        inference: y[i, j] = x[⌊(H − height)/2⌋ + i, ⌊(W − width)/2⌋ + j]

    t, l whole numbers, each place of the window in the padded H × W image as likely as any other, drawn anew for each
    image; the reflection with probability `flip_rate`. With a window of the size of the image and `flip_rate=0` it
    changes nothing.

    Args:
        height: Height of the window.
        width: Width of the window.
        padding: Rows and columns of zeros added on each side first; `4` with a 32 × 32 window is the recipe for CIFAR.
            Defaults to `0`.
        flip_rate: Probability of the horizontal reflection; `0` for digits and text. Defaults to `0.5`.
        seed: Start of the random stream. Defaults to `None`, a random start.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to that of the Keras configuration.

    Example:
        >>> layer = keras_lecture.layers.RandomCropFlip(2, 2, seed=1)
        >>> image = keras.ops.reshape(keras.ops.arange(16), (1, 4, 4, 1))
        >>> keras.ops.convert_to_numpy(layer(image, training=False))[0, :, :, 0].tolist()
        [[5.0, 6.0], [9.0, 10.0]]

    Reference:
        Krizhevsky et al., 2012 (AlexNet), section 4.1; padding: He et al., 2016, arXiv:1512.03385, section 4.2. Deck B.
        Deviation: none. Differences from `keras.layers.RandomCrop` and `RandomFlip` in a row: one copy; an image
        smaller than the window is refused instead of resized; it is refused where Keras's would change the images of
        a prediction (page "Training or not"); the random stream is the same on every backend and is saved with the
        model.
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
        **kwargs,
    ):
        checks.whole("RandomCropFlip", "height", height)
        checks.whole("RandomCropFlip", "width", width)
        checks.whole("RandomCropFlip", "padding", padding, "[0, ∞)")
        checks.number("RandomCropFlip", "flip_rate", flip_rate, "[0, 1]")
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.height = height
        self.width = width
        self.padding = padding
        self.flip_rate = flip_rate

    def build(self, input_shape):
        super().build(input_shape)
        size = (None if side is None else side + 2 * self.padding for side in sides(input_shape, self.data_format))
        _check_fit(self, size)

    def augment(self, x, key):
        return self.on_images(lambda images: self._random(self._padded(images), key), x)

    def rest(self, x):
        return self.on_images(lambda images: self._center(self._padded(images)), x)

    def compute_output_shape(self, input_shape):
        return resized(input_shape, self.data_format, self.height, self.width)

    def get_config(self):
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
    """The ten crops that AlexNet averages over at test time, along a new axis after the batch.

    Use it in a model that averages its predictions; `ten_crop_average` builds that model. Ten times the memory.

        y[:, 0…4] = the windows at the top left, top right, bottom left, bottom right and center
        y[:, 5…9] = their horizontal reflections, in the same order

    From images (n, H, W, channels) come (n, 10, `height`, `width`, channels); with channels first (n, 10, channels,
    `height`, `width`). It is the same in training and at inference. With windows of the size of the image all ten are
    the image or its reflection.

    Args:
        height: Height of the windows.
        width: Width of the windows.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to that of the Keras configuration.

    Example:
        >>> image = keras.ops.reshape(keras.ops.arange(9), (1, 3, 3, 1))
        >>> crops = keras_lecture.layers.TenCrop(1, 1)(image)
        >>> keras.ops.convert_to_numpy(crops).ravel().tolist()
        [0.0, 2.0, 6.0, 8.0, 4.0, 0.0, 2.0, 6.0, 8.0, 4.0]

    Reference:
        Krizhevsky et al., 2012 (AlexNet), section 4.1. Deck B. Deviation: none; an odd margin leaves the larger part
        below and to the right of the center. Keras has no such layer.
    """

    def __init__(self, height: int, width: int, *, data_format: str | None = None, **kwargs):
        checks.whole("TenCrop", "height", height)
        checks.whole("TenCrop", "width", width)
        super().__init__(data_format=data_format, **kwargs)
        self.height = height
        self.width = width

    def build(self, input_shape):
        super().build(input_shape)
        _check_fit(self, sides(input_shape, self.data_format))

    def call(self, inputs):
        return self.on_images(self._crops, self.ops.cast(inputs, self.compute_dtype))

    def compute_output_shape(self, input_shape):
        cut = resized(input_shape, self.data_format, self.height, self.width)
        return (*cut[:-3], 10, *cut[-3:])

    def get_config(self):
        return {**super().get_config(), "height": self.height, "width": self.width}

    def _crops(self, images):
        ops, images = self.ops, _fitting(self, images)
        bottom, right = _free(images, self.height, self.width, ops)
        places = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
        windows = [_window(images, top, left, self.height, self.width, ops) for top, left in places]
        crops = ops.stack(windows, axis=1)
        return ops.concatenate([crops, ops.flip(crops, axis=3)], axis=1)


def ten_crop_average(
    model,
    *,
    height: int | None = None,
    width: int | None = None,
    from_logits: bool = False,
    data_format: str | None = None,
):
    """A model that averages what `model` predicts for the ten crops of each image.

    Use it at test time for a classifier trained on crops (`RandomCropFlip`). It costs ten predictions for each image;
    it takes images of any size that holds the crop and shares its weights with `model`.

        y = 1/10 · Σ f(crop_k(x))                   k = 1 … 10
        y = 1/10 · Σ softmax(f(crop_k(x)))          with `from_logits=True`

    f `model`. What is averaged is what `model` returns: probabilities if it ends in a softmax, as AlexNet does; for a
    model that returns scores, `from_logits=True` averages their probabilities, and without it the mean of the scores
    comes out. For images of the size of the crop it is the mean of the prediction for the image and for its reflection.

    Args:
        model: A functional or Sequential model with one input, a batch of images.
        height: Height of the crops; needed only if the model takes images of any height. Defaults to `None`.
        width: Width of the crops; needed only if the model takes images of any width. Defaults to `None`.
        from_logits: Whether `model` returns scores whose probabilities are to be averaged. Defaults to `False`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to that of the Keras configuration.

    Returns:
        A `keras.Model` from images to averages; with several outputs, the average of each.

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
    # A model that is not functional, or not built, has no inputs.
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
    """Height or width of the crops: the one that the model was built for, else the one asked for."""
    if wanted is not None:
        checks.whole(owner, name, wanted)
    if fixed is None and wanted is None:
        checks.reject(owner, name, "given", None, "The model takes images of any size.")
    if None not in (fixed, wanted) and fixed != wanted:
        checks.reject(owner, name, f"{fixed}, the size that the model takes", wanted)
    return fixed or wanted


def _check_fit(layer, size):
    """Refuses a window larger than `size`, height and width of the padded image; what is not a number is not known."""
    image = "padded image" if getattr(layer, "padding", 0) else "image"
    for name, window, side in zip(("height", "width"), (layer.height, layer.width), size, strict=True):
        if isinstance(side, int) and window > side:
            checks.reject(type(layer).__name__, name, f"at most {side}, that of the {image}", window)


def _fitting(layer, images):
    """Channels-last `images`, unless the window is larger; TensorFlow may know their size only when the graph runs."""
    count, rows, columns, channels = layer.ops.shape(images)
    _check_fit(layer, (rows, columns))
    if layer.backend.name != "tensorflow" or isinstance(rows, int) and isinstance(columns, int):
        return images
    tf = layer.backend.core.tf
    large = (
        f"{type(layer).__name__}: `height` and `width` must be at most those of the image (padded, if it is). Received:"
    )
    fits = tf.logical_and(layer.height <= rows, layer.width <= columns)
    window = f"height={layer.height}, width={layer.width}, for an image of"
    with tf.control_dependencies([tf.debugging.Assert(fits, [large, window, rows, columns])]):
        images = tf.identity(images)
    # XLA leaves out assertions, but cuts nothing beyond the end.
    return tf.slice(
        images, (0, 0, 0, 0), (count, tf.maximum(rows, layer.height), tf.maximum(columns, layer.width), channels)
    )


def _free(images, height, width, ops):
    """How far a window can move down and to the right."""
    _, rows, columns, _ = ops.shape(images)
    return rows - height, columns - width


def _window(images, top, left, height, width, ops):
    count, _, _, channels = ops.shape(images)
    return ops.slice(images, (0, top, left, 0), (count, height, width, channels))
