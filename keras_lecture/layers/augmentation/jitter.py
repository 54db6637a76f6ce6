"""Gaussian noise on training data."""

from typing import Any

from keras_lecture._backend import accelerate
from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.random_bits import normal
from keras_lecture.layers.augmentation._preparation import Augmentation


@accelerate
def jittered(x: Tensor, key: Tensor, stddev: float, ops: Any) -> Tensor:
    """`x` plus normal noise of standard deviation `stddev`."""
    return x + ops.cast(normal(key, ops.shape(x), ops) * stddev, x.dtype)


@register
class Jitter(Augmentation):
    """Gaussian noise on every value of the training data.

    Use it as the first layer on inputs of known scale: a network that must fit a cloud around each sample cannot
    memorize the sample. Small noise acts like a penalty on the gradient of the output with respect to the input. It
    costs one hash per value, and a logarithm, a root, a sine and a cosine per pair of values.

        training:  y = x + stddev · n,   n ~ N(0, 1)
        inference: y = x

    n is drawn independently for each value on each call. `stddev=0` is the identity.

    Args:
        stddev: Standard deviation of the noise, ≥ 0, in the units of the data. Defaults to `0.1`.
        seed: Seed of the random stream. Defaults to `None`, a random seed.

    Example:
        >>> layer = keras_lecture.layers.Jitter(0.1, seed=1)
        >>> y = layer(keras.ops.ones((100, 100)), training=True)
        >>> round(float(keras.ops.std(y)), 2)
        0.1

    Reference:
        Bishop, 1995, Neural Computation 7:108, "Training with noise is equivalent to Tikhonov regularization". Deck A.
        Deviation: the normal numbers come from 24-bit uniform numbers, so none exceeds 5.8 standard deviations.
        Differences from `keras.layers.GaussianNoise`: it runs in data pipelines; a call without `training` adds noise,
        as Keras's augmentations do (page "Training or not"); the random stream is the same on every backend and is
        saved with the model.
    """

    def __init__(self, stddev: float = 0.1, *, seed: int | None = None, **kwargs: Any) -> None:
        checks.number("Jitter", "stddev", stddev, "[0, ∞)")
        super().__init__(seed=seed, **kwargs)
        self.stddev = stddev
        self.supports_masking = True

    def augment(self, x: Tensor, key: Tensor) -> Tensor:
        return jittered(x, key, self.stddev, self.ops)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev}
