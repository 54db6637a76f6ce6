"""`load`: well-known data sets by name, ready for `fit`."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np

from keras_lecture._core import checks
from keras_lecture.data._sources import published

_BUNDLED = ("breast_cancer", "diabetes", "digits", "wine")


@dataclass(frozen=True, eq=False)
class Loaded:
    """A data set returned by `load`; it unpacks as `x, y = load(…)`."""

    x: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...] | None = None
    features: tuple[str, ...] | None = None
    # Size of the published test set, which is at the end.
    test: int = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter((self.x, self.y))


def load(name: str) -> Loaded:
    """Loads a complete well-known data set by name, to be divided by `split`.

    Use it for experiments. `"digits"` (1,797 images, 8×8), `"breast_cancer"` (569 rows of 30 numbers), `"wine"` (178
    rows of 13) and `"diabetes"` (442 rows of 10, regression) come with scikit-learn and need no network. `"mnist"`,
    `"fashion_mnist"` (70,000 images, 28×28), `"cifar10"` and `"cifar100"` (60,000 color images, 32×32) are downloaded
    once by Keras to its cache; as float32 they take 220 MB and 740 MB.

    Args:
        name: One of the names above.

    Returns:
        An object that unpacks into `x, y`. `x` is float32: images in [0, 1] with a channel axis in Keras's configured
        data format, or tables, unscaled. `y` holds class indices (int32) or regression targets (float32). The
        attributes `classes` and `features` hold the names, or `None`; the last `test` examples are the published test
        set, if there is one.

    Example:
        >>> x, y = keras_lecture.data.load("digits")
        >>> x.shape, x.max().item(), y[:5].tolist()
        ((1797, 8, 8, 1), 1.0, [0, 1, 2, 3, 4])

    Reference:
        `sklearn.datasets` and `keras.datasets`, which give integers without a channel axis, or columns of labels.
    """
    checks.one_of("load", "name", name, (*_BUNDLED, *published.SOURCES))
    if name in _BUNDLED:
        x, y, classes, features = _bundled(name)
        test = 0
    else:
        x, y, classes, test = published.read(name)
        features = None
    if x.ndim == 4 and keras.config.image_data_format() == "channels_first":
        x = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    return Loaded(x.astype("float32", copy=False), y.astype("int32" if classes else "float32"), classes, features, test)


def _bundled(name):
    try:
        # Imported by name, so that scikit-learn is loaded only on demand.
        bundled = importlib.import_module("keras_lecture.data._sources.bundled")
    except ImportError as error:
        message = f'load: "{name}" comes with scikit-learn, which is not installed. Run `pip install scikit-learn`.'
        raise ImportError(message) from error
    return bundled.read(name)
