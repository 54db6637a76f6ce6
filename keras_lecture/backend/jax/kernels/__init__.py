"""Kernels on JAX: a formula without one here compiles to code that XLA already makes as fast."""

from keras_lecture.backend.acceleration import kernels
from keras_lecture.backend.jax.kernels import kinks, layers, losses, rematerialization

KERNELS = kernels(kinks=[kinks], layers=[layers, rematerialization], losses=[losses])
