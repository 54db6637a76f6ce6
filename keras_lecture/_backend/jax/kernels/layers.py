"""Layers on JAX."""

import math

import jax
import jax.numpy as jnp


def random_keep(key, shape, rate):
    """Each element computes the hash of its own word: XLA fuses it all into the loop that uses the mask."""
    key = key.astype("int32")
    offset = _hash(_hash(key[0], 0) ^ key[1], 0)
    salt = _hash(offset ^ 0x7FEB352D, 0)
    index = jax.lax.iota("int32", math.prod(shape)).reshape(shape)
    word = _hash((index >> 1) + offset, salt)
    half = jnp.where(index & 1, word, word << 16) >> 16
    return half >= round(rate * 2**16) - 2**15


def _hash(x, salt):
    x = (x ^ ((x >> 16) & 0xFFFF)) * 0x7FEB352D + salt
    x = (x ^ ((x >> 15) & 0x1FFFF)) * (0x846CA68B - 2**32)
    return x ^ ((x >> 16) & 0xFFFF)
