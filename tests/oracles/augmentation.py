"""Independent references of the augmentation layers in NumPy and SciPy; imports nothing from keras_lecture."""

import numpy as np
from oracles.layers import mix
from scipy import ndimage


def uniform(seed, step, shape):
    """The upper 24 bits of the counter hash (see `oracles.layers.keep_mask`), in unsigned 64-bit arithmetic."""
    offset = mix(mix(seed % 2**32, 0) ^ (step % 2**32), 0)
    counter = (np.arange(np.prod(shape), dtype="uint64") + offset) % 2**32
    words = mix(counter, mix(offset ^ 0x7FEB352D, 0))
    return ((words >> 8) / 2**24).reshape(shape)


def normal(seed, step, shape):
    """The Box-Muller transform, the cosines before the sines."""
    half = (int(np.prod(shape)) + 1) // 2
    u, v = uniform(seed, step, (2, half))
    radius = np.sqrt(-2 * np.log(1 - u))
    z = np.concatenate([radius * np.cos(2 * np.pi * v), radius * np.sin(2 * np.pi * v)])
    return z[: np.prod(shape)].reshape(shape)


def crops(images, draws, height, width, padding, flip_rate):
    """One window per image and row of draws (top, left, reflection), by slicing."""
    padded = np.pad(images, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    cut = []
    for image, (down, right, reflection) in zip(padded, draws, strict=True):
        top = int(down * (image.shape[0] - height + 1))
        left = int(right * (image.shape[1] - width + 1))
        window = image[top : top + height, left : left + width]
        cut.append(window[:, ::-1] if reflection < flip_rate else window)
    return np.stack(cut)


def ten_crops(image, height, width):
    """Krizhevsky et al., section 4.1: corners and center, then the same of the reflected image."""
    bottom, right = image.shape[0] - height, image.shape[1] - width
    offsets = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    windows = [image[top : top + height, left : left + width] for top, left in offsets]
    return np.stack(windows + [window[:, ::-1] for window in windows])


MODES = {"constant": "grid-constant", "nearest": "nearest", "reflect": "reflect", "wrap": "grid-wrap"}


def affine(image, angle, shift, factors, fill_mode, fill_value):
    """`scipy.ndimage.affine_transform`: `angle` counterclockwise as seen, `shift` and `factors` of (rows, columns).

    In (row, column) with rows counted downward, a counterclockwise rotation maps (0, 1), right, to (−1, 0), up.
    """
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    back = np.linalg.inv(turn @ np.diag(factors))
    center = (np.array(image.shape[:2]) - 1) / 2
    offset = center - back @ (center + shift)
    return np.stack(
        [
            ndimage.affine_transform(channel, back, offset, order=1, mode=MODES[fill_mode], cval=fill_value)
            for channel in np.moveaxis(image.astype("float64"), -1, 0)
        ],
        axis=-1,
    )


def principal_components(images):
    """Eigenvalues in descending order and eigenvectors as columns, of the covariance of the pixels with divisor n."""
    pixels = images.reshape(-1, images.shape[-1]).astype("float64")
    values, vectors = np.linalg.eigh(np.cov(pixels.T, bias=True))
    return values[::-1], vectors[:, ::-1]
