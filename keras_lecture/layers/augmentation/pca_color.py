"""AlexNet's color noise on training images."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lecture._core import checks
from keras_lecture._core.saving import plain, register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.random_bits import normal
from keras_lecture.layers.augmentation._preparation import ImageAugmentation
from keras_lecture.layers.normalization._one_pass import given, moments, outer, statistic


@register
class PCAColor(ImageAugmentation):
    """Random color shifts of training images along the principal components of the pixels of the training set.

    Use it on natural images: the identity of an object does not depend on the intensity and color of the light. Call
    `adapt(training_images)` first, which takes one pass, or give the components. It costs one addition per value.

        training:  x + [p₁ p₂ p₃]·[α₁λ₁, α₂λ₂, α₃λ₃]ᵀ,   α ~ N(0, stddev²)
        inference: x

    x the pixels of one image, all shifted by the same color; pᵢ, λᵢ the eigenvectors and eigenvalues of the covariance
    of the channels over all training pixels; α drawn independently for each image. The mean shift is zero and its
    covariance is `stddev`²·P·diag(λ²)·Pᵀ. λ scales with the square of the values, so the formula depends on their unit:
    it is the width of `value_range`, so images in 0 … 255 are shifted like the same images in 0 … 1.

    Args:
        stddev: Standard deviation of α, ≥ 0. Defaults to `0.1`.
        value_range: Smallest and largest possible value of the images. Only the width matters and nothing is clipped,
            so centered images are fine. Defaults to `(0, 255)`, as in Keras's color layers.
        eigenvectors: The pᵢ as columns of a matrix, instead of `adapt`. Defaults to `None`.
        eigenvalues: The λᵢ for values in 0 … 1, instead of `adapt`. Defaults to `None`.
        seed: Seed of the random stream. Defaults to `None`, a random seed.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.

    Example:
        >>> images = np.random.default_rng(0).uniform(size=(64, 8, 8, 3)) * [0.5, 0.4, 0.1]
        >>> layer = keras_lecture.layers.PCAColor(value_range=(0, 1))
        >>> layer.adapt(images)
        >>> [round(value, 3) for value in keras.ops.convert_to_numpy(layer.eigenvalues).tolist()]
        [0.021, 0.013, 0.001]

    Reference:
        Krizhevsky et al., 2012 (AlexNet), section 4.1: "a Gaussian with mean zero and standard deviation 0.1", so the
        0.1 in deck B's α ~ N(0, 0.1) is the standard deviation, not the variance. The deck writes one α for all three
        components; the paper has one for each. Deviation: the unit of λ, which the paper does not state. Keras has no
        such layer.
    """

    def __init__(
        self,
        stddev: float = 0.1,
        *,
        value_range: Sequence[float] = (0, 255),
        eigenvectors: Tensor | None = None,
        eigenvalues: Tensor | None = None,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        checks.number("PCAColor", "stddev", stddev, "[0, ∞)")
        bounds = given("PCAColor", "value_range", value_range, 1)
        if len(bounds) != 2 or bounds[0] >= bounds[1]:
            checks.reject("PCAColor", "value_range", "a smallest value and a larger one", value_range)
        if (eigenvectors is None) != (eigenvalues is None):
            checks.reject("PCAColor", "eigenvalues", "given together with `eigenvectors`", eigenvalues)
        if eigenvalues is not None:
            eigenvectors = given("PCAColor", "eigenvectors", eigenvectors, 2)
            eigenvalues = given("PCAColor", "eigenvalues", eigenvalues, 1)
            checks.same_shape("PCAColor", "eigenvectors", np.shape(eigenvectors), [len(eigenvalues)] * 2)
            if min(eigenvalues) < 0:
                checks.reject("PCAColor", "eigenvalues", "in [0, ∞)", eigenvalues)
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.stddev = stddev
        self.value_range = bounds
        self._given = {"eigenvectors": eigenvectors, "eigenvalues": eigenvalues}

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        channels = input_shape[-3 if self.data_format == "channels_first" else -1]
        vectors, values = self._given["eigenvectors"], self._given["eigenvalues"]
        if values is not None:
            checks.same_shape("PCAColor", "inputs", (channels,), (len(values),))
        self.eigenvectors: keras.Variable = statistic("eigenvectors", (channels,) * 2, self.variable_dtype, vectors)
        self.eigenvalues: keras.Variable = statistic("eigenvalues", (channels,), self.variable_dtype, values)

    def adapt(self, data: Any, *, verbose: int = 0) -> None:
        """Computes the principal components of the pixels of `data` in one pass.

        `data` is an array of images, or a `tf.data.Dataset`, a `PyDataset`, a PyTorch `DataLoader` or a generator of
        batches of images, or a list of such batches. In a tuple of arrays, and in a batch that is a tuple or a list,
        the images come first. `verbose=1` shows a progress bar.
        """
        found, shape = moments("PCAColor", data, self._pixels, outer, verbose)
        width, spread = self.value_range[1] - self.value_range[0], found.high - found.low
        if not width / 64 <= spread <= width * (1 + 1e-6):
            remedy = f"The data range from {found.low:g} to {found.high:g}; the noise is scaled by the range."
            checks.reject("PCAColor", "value_range", "the range of the data", tuple(self.value_range), remedy)
        if not self.built:
            self.build(shape)
        checks.same_shape("PCAColor", "data", found.mean.shape, self.eigenvalues.shape)
        values, vectors = np.linalg.eigh(found.scatter / found.count / width**2)
        # The sign of an eigenvector is arbitrary, and LAPACK's choice differs between machines.
        largest = vectors[np.argmax(np.abs(vectors), axis=0), np.arange(len(values))]
        self.eigenvalues.assign(np.maximum(values[::-1], 0))
        self.eigenvectors.assign((vectors * np.sign(largest))[:, ::-1])

    def augment(self, x: Tensor, key: Tensor) -> Tensor:
        vectors, values = self.value(self.eigenvectors), self.value(self.eigenvalues)
        width = self.value_range[1] - self.value_range[0]

        def shift(images):
            ops = self.ops
            count, _, _, channels = ops.shape(images)
            alpha = self.stddev * normal(key, (count, channels), ops)
            color = ops.sum(vectors * (ops.cast(alpha, values.dtype) * values)[:, None, :], axis=-1)
            return images + width * color[:, None, None, :]

        return self.on_images(shift, x)

    def rest(self, x: Tensor) -> Tensor:
        self.value(self.eigenvectors)
        return x

    def get_config(self) -> dict[str, Any]:
        own = {"stddev": self.stddev, "value_range": self.value_range, **self._given}
        return {**super().get_config(), **plain(own)}

    def _pixels(self, images):
        if len(images.shape) != 4:
            checks.reject("PCAColor", "data", "batches of images", images.shape)
        channels = 1 if self.data_format == "channels_first" else -1
        return np.moveaxis(images, channels, -1).reshape(-1, images.shape[channels])
