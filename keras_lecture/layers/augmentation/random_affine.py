"""Tiny rotations, shifts and stretchings of training images."""

import math

from keras_lecture._backend import accelerate
from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.random_bits import uniform
from keras_lecture.layers.augmentation._preparation import ImageAugmentation, pick


@register
class RandomAffine(ImageAugmentation):
    """Rotates, shifts and stretches each training image a little, about its center.

    Use it on small data sets of images whose label survives such a change: digits, textures, objects. It costs four
    reads of each pixel.

        A = R(θ) · diag(a, b),    y(c + A·p + s) = x(c + p)

    c the center and p a place relative to it, θ ~ U(−`rotation`, `rotation`) counterclockwise, s the shift, up to
    `shift` of the height and of the width, a and b the factors of width and height, 1 − `stretch` to 1 + `stretch`,
    drawn independently of each other, all five for each image. With all three 0 it changes nothing.

    Args:
        rotation: Largest angle, in degrees. Defaults to `10.0`.
        shift: Largest shift, as a share of the height and of the width. Defaults to `0.1`.
        stretch: Largest stretching and shrinking, in [0, 1). Defaults to `0.1`.
        fill_mode: What is outside of the image, as in Keras: `"constant"` (`fill_value`), `"nearest"` (the edge),
            `"reflect"` (the image mirrored at its edge) or `"wrap"` (the image repeated). Defaults to `"constant"`.
        fill_value: The value outside with `fill_mode="constant"`. Defaults to `0.0`.
        seed: Start of the random stream. Defaults to `None`, a random start.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to that of the Keras configuration.

    Example:
        >>> layer = keras_lecture.layers.RandomAffine(rotation=5.0, shift=0.05, stretch=0.05, seed=1)
        >>> tuple(layer(keras.ops.ones((2, 8, 8, 1)), training=True).shape)
        (2, 8, 8, 1)

    Reference:
        Simard et al., 2003, ICDAR, section 2. Decks B, E. Deviation: the displacements are affine, not elastic.
        Differences from `keras.layers.RandomRotation`, `RandomZoom` and `RandomTranslation` in a row: one
        interpolation (bilinear) instead of three; it compiles under XLA on TensorFlow, which
        `keras.ops.image.affine_transform` does not, and has no loop over the images on PyTorch, which that has; it
        is refused where Keras's would change the images of a prediction (page "Training or not"); the random stream
        is the same on every backend and is saved with the model.
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
        **kwargs,
    ):
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

    def augment(self, x, key):
        def change(images):
            if 0 in images.shape:
                # TensorFlow 2.21 ends the process on remainders of no index at all.
                return images
            return self.placed(images, 2 * uniform(key, (self.ops.shape(images)[0], 5), self.ops) - 1)

        return self.on_images(change, x)

    def get_config(self):
        return {
            **super().get_config(),
            "rotation": self.rotation,
            "shift": self.shift,
            "stretch": self.stretch,
            "fill_mode": self.fill_mode,
            "fill_value": self.fill_value,
        }

    def placed(self, images, draws):
        """`images` changed by `draws` in (−1, 1): turn, shift down and right, stretch of height and of width."""
        ops = self.ops
        sizes = ops.cast(ops.stack(ops.shape(images)[1:3]), "float32")
        angle, shift = math.radians(self.rotation) * draws[:, 0], self.shift * draws[:, 1:3] * sizes
        return place(images, angle, shift, 1 + self.stretch * draws[:, 3:], self.fill_mode, self.fill_value, ops)


@accelerate
def place(images: Tensor, angle: Tensor, shift: Tensor, factors: Tensor, fill_mode: str, fill_value: float, ops):
    """Channels-last `images` turned, then shifted; `shift` in places and `factors` are (down, right) of each image."""
    _, height, width, _ = ops.shape(images)
    angle = angle[:, None, None]
    # The places of the pixels about the shifted center.
    y = ops.reshape(_centered(height, ops), (1, -1, 1)) - shift[:, 0, None, None]
    x = ops.reshape(_centered(width, ops), (1, 1, -1)) - shift[:, 1, None, None]
    # A⁻¹ of them. Rows count downwards: counterclockwise to the eye is clockwise in (x, y), and its inverse is this.
    cos, sin = ops.cos(angle), ops.sin(angle)
    rows = (sin * x + cos * y) / factors[:, 0, None, None] + _center(height, ops)
    columns = (cos * x - sin * y) / factors[:, 1, None, None] + _center(width, ops)
    return resample(images, rows, columns, fill_mode, fill_value, ops)


def resample(images, rows, columns, fill_mode, fill_value, ops):
    """Channels-last `images` at broken places, (images, height, width) each, by bilinear interpolation."""
    _, height, width, _ = ops.shape(images)
    top, left = ops.floor(rows), ops.floor(columns)
    down, right = rows - top, columns - left
    result = 0
    for row, vertical in ((top, 1 - down), (top + 1, down)):
        for column, horizontal in ((left, 1 - right), (left + 1, right)):
            i, j = ops.cast(row, "int32"), ops.cast(column, "int32")
            values = pick(images, _inside(i, height, fill_mode, ops), _inside(j, width, fill_mode, ops), ops)
            if fill_mode == "constant":
                here = (i >= 0) & (i < height) & (j >= 0) & (j < width)
                values = ops.where(here[..., None], values, ops.cast(fill_value, values.dtype))
            result = result + ops.cast(vertical * horizontal, values.dtype)[..., None] * values
    return result


def _inside(index, size, fill_mode, ops):
    """The place in 0 … size − 1 whose value stands at `index`."""
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
