"""Kernels on JAX: a formula without one here compiles to code that XLA already makes as fast."""

from keras_lecture.backend.jax.kernels.kinks import absolute
from keras_lecture.backend.jax.kernels.layers import (
    batch_normalize,
    drop,
    leak,
    random_keep,
)
from keras_lecture.backend.jax.kernels.optimizers import apart, on_parts
from keras_lecture.backend.jax.kernels.rematerialization import rematerialize

__all__ = [
    "absolute",
    "apart",
    "batch_normalize",
    "drop",
    "leak",
    "on_parts",
    "random_keep",
    "rematerialize",
]
