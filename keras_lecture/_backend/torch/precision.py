"""Double precision on PyTorch."""

import contextlib

from keras_lecture._backend.precision import float64_by_default, no_cast_to_32_bits


@contextlib.contextmanager
def double_precision():
    with float64_by_default(), no_cast_to_32_bits():
        yield
