"""Layers on JAX, for CPUs: where XLA compiles the formula into something slow there."""

import math

import jax
import jax.numpy as jnp


def max_pool(x, pool_size, strides, padding, data_format):
    """Maxima of strided slices: XLA's windowed maximum and its gradient take ten times as long on a CPU."""
    if not _on_cpu():
        return None
    first = 1 if data_format == "channels_last" else 2
    if padding == "same":
        padding = [_same(*each) for each in zip(x.shape[first:], pool_size, strides, strict=False)]
    if any(map(any, padding)):
        outer = [(0, 0)] * first + list(padding) + [(0, 0)] * (2 - first)
        x = jnp.pad(x, outer, constant_values=-math.inf)
    # The last axis first: the first row and in it the first column then wins a tie, as in a window read row by row.
    for axis in reversed(range(len(pool_size))):
        x = _axis_maximum(x, first + axis, pool_size[axis], strides[axis])
    return x


def _axis_maximum(x, axis, size, stride):
    count = (x.shape[axis] - size) // stride + 1
    largest = None
    for start in range(size):
        piece = jax.lax.slice_in_dim(x, start, start + (count - 1) * stride + 1, stride, axis)
        # `jnp.maximum` would share the gradient of a tie; a NaN must win.
        largest = piece if largest is None else jnp.where((piece > largest) | jnp.isnan(piece), piece, largest)
    return largest


def _same(n, size, stride):
    places = max((-(-n // stride) - 1) * stride + size - n, 0)
    return places // 2, places - places // 2


def _on_cpu():
    return jax.default_backend() == "cpu"
