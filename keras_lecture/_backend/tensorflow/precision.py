"""Double precision on TensorFlow."""

import contextlib

from keras_lecture._backend.precision import float64_by_default


@contextlib.contextmanager
def double_precision():
    with float64_by_default():
        yield
