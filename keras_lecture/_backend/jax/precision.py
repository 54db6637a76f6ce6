"""Double precision on JAX."""

import contextlib

import jax
from jax import experimental

from keras_lecture._backend.precision import float64_by_default, no_cast_to_32_bits


@contextlib.contextmanager
def double_precision():
    # A public name of JAX itself since 0.8, before in `experimental`.
    enable_x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else experimental.enable_x64
    with float64_by_default(), no_cast_to_32_bits(), enable_x64(True):
        yield
