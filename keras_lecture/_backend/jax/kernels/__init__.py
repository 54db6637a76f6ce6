"""Kernels on JAX: a formula without one here compiles to code that XLA already makes as fast."""

from keras_lecture._backend.acceleration import kernels
from keras_lecture._backend.jax.kernels import kinks, layers, losses, rematerialization

KERNELS = kernels(_core=[kinks], layers=[layers, rematerialization], losses=[losses])
