"""Kernels on JAX, only for formulas that XLA does not compile to code of the same speed."""

from keras_lecture._backend.acceleration import kernels
from keras_lecture._backend.jax.kernels import kinks, layers, losses, rematerialization

KERNELS = kernels(_core=[kinks], layers=[layers, rematerialization], losses=[losses])
