"""`load`: well-known data by name, ready for `fit`."""

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
    """What `load` returns; `x, y = load(…)` takes the examples alone."""

    x: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...] | None = None
    features: tuple[str, ...] | None = None
    # So many examples, the last ones, are the published test set.
    test: int = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter((self.x, self.y))


def load(name: str) -> Loaded:
    """Loads a well-known data set by its name, all of it, to be split by `split`.

    Use it to try things out. `"digits"` (1,797 images, 8×8), `"breast_cancer"` (569 rows of 30 numbers), `"wine"`
    (178 of 13) and `"diabetes"` (442 of 10, regression) come with scikit-learn and need no network. `"mnist"`,
    `"fashion_mnist"` (70,000 images, 28×28), `"cifar10"` and `"cifar100"` (60,000, 32×32, colored) are downloaded by
    Keras once, to its cache; as float32 they take 220 MB and 740 MB.

    Args:
        name: One of the names above.

    Returns:
        An object that unpacks into `x, y`. `x` is float32: images in [0, 1] with a channel axis where Keras's
        configured data format has it, tables as they are. `y` is a class number (int32), or the number to predict
        (float32). Attributes `classes` and `features` hold their names, or `None`; the last `test` examples are the
        published test set, if there is one.

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
        # By its name, so that scikit-learn is imported only here.
        bundled = importlib.import_module("keras_lecture.data._sources.bundled")
    except ImportError as error:
        message = f'load: "{name}" comes with scikit-learn, which is not installed. Run `pip install scikit-learn`.'
        raise ImportError(message) from error
    return bundled.read(name)
