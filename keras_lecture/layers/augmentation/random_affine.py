"""Small random rotations, shifts and scalings of training images."""

import math
from typing import Any

from keras_lecture._backend import accelerate
from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.random_bits import uniform
from keras_lecture.layers.augmentation._preparation import ImageAugmentation, pick


@register
class RandomAffine(ImageAugmentation):
    """Small random rotations, shifts and scalings of the training images about their centers.

    Use it on small data sets of images whose labels do not depend on such changes: digits, textures, objects. It costs
    four reads per pixel.

        A = R(θ) · diag(a, b),    y(c + A·p + s) = x(c + p)

    c the center and p a position relative to it, θ ~ U(−`rotation`, `rotation`) counterclockwise, s the shift, up to
    `shift` of the height and of the width, a and b the factors of width and height, 1 − `stretch` to 1 + `stretch`. The
    five numbers are drawn independently of each other for each image. With all three arguments 0 it changes nothing.

    Args:
        rotation: Largest angle, in degrees. Defaults to `10.0`.
        shift: Largest shift, as a fraction of the height and of the width. Defaults to `0.1`.
        stretch: Largest relative change of the height and of the width, in [0, 1). Defaults to `0.1`.
        fill_mode: Values outside the image, as in Keras: `"constant"` (`fill_value`), `"nearest"` (the edge),
            `"reflect"` (the image mirrored at its edge) or `"wrap"` (the image repeated). Defaults to `"constant"`.
        fill_value: The value outside the image with `fill_mode="constant"`. Defaults to `0.0`.
        seed: Seed of the random stream. Defaults to `None`, a random seed.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.

    Example:
        >>> layer = keras_lecture.layers.RandomAffine(rotation=5.0, shift=0.05, stretch=0.05, seed=1)
        >>> tuple(layer(keras.ops.ones((2, 8, 8, 1)), training=True).shape)
        (2, 8, 8, 1)

    Reference:
        Simard et al., 2003, ICDAR, section 2. Decks B, E. Deviation: the displacements are affine, not elastic.
        Differences from `keras.layers.RandomRotation`, `RandomZoom` and `RandomTranslation` applied in sequence: one
        (bilinear) interpolation instead of three; unlike `keras.ops.image.affine_transform`, it compiles under XLA on
        TensorFlow and does not loop over the images on PyTorch; calls in which Keras's layers would change the images
        of a prediction are errors (page "Training or not"); the random stream is the same on every backend and is saved
        with the model.
    """

    def __init__(
        self,
        rotation: float = 10.0,
        *,
        shift: float = 0.1,
        stretch: float = 0.1,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        checks.number("RandomAffine", "rotation", rotation, "[0, 180]")
        checks.number("RandomAffine", "shift", shift, "[0, 1]")
        checks.number("RandomAffine", "stretch", stretch, "[0, 1)")
        checks.one_of("RandomAffine", "fill_mode", fill_mode, ("constant", "nearest", "reflect", "wrap"))
        checks.number("RandomAffine", "fill_value", fill_value, "(-∞, ∞)")
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.rotation = rotation
        self.shift = shift
        self.stretch = stretch
        self.fill_mode = fill_mode
        self.fill_value = fill_value

    def augment(self, x: Tensor, key: Tensor) -> Tensor:
        def change(images):
            if 0 in images.shape:
                # TensorFlow 2.21 crashes the process in the remainder of an empty index tensor.
                return images
            return self.placed(images, 2 * uniform(key, (self.ops.shape(images)[0], 5), self.ops) - 1)

        return self.on_images(change, x)

    def get_config(self) -> dict[str, Any]:
        names = ("rotation", "shift", "stretch", "fill_mode", "fill_value")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def placed(self, images: Tensor, draws: Tensor) -> Tensor:
        """`images` changed by `draws` in (−1, 1): angle, shift down and right, scaling of height and of width."""
        ops = self.ops
        sizes = ops.cast(ops.stack(ops.shape(images)[1:3]), "float32")
        angle, shift = math.radians(self.rotation) * draws[:, 0], self.shift * draws[:, 1:3] * sizes
        return place(images, angle, shift, 1 + self.stretch * draws[:, 3:], self.fill_mode, self.fill_value, ops)


@accelerate
def place(
    images: Tensor, angle: Tensor, shift: Tensor, factors: Tensor, fill_mode: str, fill_value: float, ops: Any
) -> Tensor:
    """Channels-last `images`, scaled, rotated and shifted; `shift` (pixels) and `factors` are (height, width)."""
    _, height, width, _ = ops.shape(images)
    angle = angle[:, None, None]
    # The positions of the pixels relative to the shifted center.
    y = ops.reshape(_centered(height, ops), (1, -1, 1)) - shift[:, 0, None, None]
    x = ops.reshape(_centered(width, ops), (1, 1, -1)) - shift[:, 1, None, None]
    # A⁻¹ applied to them. Rows count downward, so a visually counterclockwise rotation is clockwise in (x, y), and this
    # is its inverse.
    cos, sin = ops.cos(angle), ops.sin(angle)
    rows = (sin * x + cos * y) / factors[:, 0, None, None] + _center(height, ops)
    columns = (cos * x - sin * y) / factors[:, 1, None, None] + _center(width, ops)
    return resample(images, rows, columns, fill_mode, fill_value, ops)


def resample(images: Tensor, rows: Tensor, columns: Tensor, fill_mode: str, fill_value: float, ops: Any) -> Tensor:
    """Channels-last `images`, bilinearly interpolated at `rows` and `columns`, each (images, height, width)."""
    _, height, width, _ = ops.shape(images)
    top, left = ops.floor(rows), ops.floor(columns)
    down, right = rows - top, columns - left
    result = 0
    for row, vertical in ((top, 1 - down), (top + 1, down)):
        for column, horizontal in ((left, 1 - right), (left + 1, right)):
            i, j = ops.cast(row, "int32"), ops.cast(column, "int32")
            values = pick(images, _inside(i, height, fill_mode, ops), _inside(j, width, fill_mode, ops), ops)
            if fill_mode == "constant":
                inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
                values = ops.where(inside[..., None], values, ops.cast(fill_value, values.dtype))
            result = result + ops.cast(vertical * horizontal, values.dtype)[..., None] * values
    return result


def _inside(index, size, fill_mode, ops):
    """The index in 0 … size − 1 whose value fills position `index`."""
    if fill_mode == "wrap":
        return ops.mod(index, size)
    if fill_mode == "reflect":
        index = ops.mod(index, 2 * size)
        return ops.minimum(index, 2 * size - 1 - index)
    return ops.clip(index, 0, size - 1)


def _center(size, ops):
    return (ops.cast(size, "float32") - 1) / 2


def _centered(size, ops):
    return ops.arange(size, dtype="float32") - _center(size, ops)
