"""Kernels on JAX: a formula without one here compiles to code that XLA already makes as fast."""

from keras_lecture.backend.jax.kernels.kinks import absolute
from keras_lecture.backend.jax.kernels.layers import (
    max_pool,
)
from keras_lecture.backend.jax.kernels.optimizers import optimizer_step

__all__ = [
    "absolute",
    "max_pool",
    "optimizer_step",
]
