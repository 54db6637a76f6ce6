"""Functions with a kink on JAX."""

import jax


@jax.custom_jvp
def absolute(x):
    return jax.numpy.abs(x)


@absolute.defjvp
def _absolute_jvp(primals, tangents):
    return absolute(*primals), jax.numpy.sign(*primals) * tangents[0]
