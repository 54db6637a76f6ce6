"""Layers on JAX, for CPUs: where XLA compiles the formula into something slow there."""

import functools
import math

import jax
import jax.numpy as jnp
import keras


def batch_normalize(x, gamma, beta, axis, epsilon):
    """One pass for both moments. A first value of each channel is subtracted, so that squares do not cancel."""
    if not _on_cpu():
        return None
    axis %= x.ndim
    axes = tuple(i for i in range(x.ndim) if i != axis)
    per_channel = [n if i == axis else 1 for i, n in enumerate(x.shape)]
    wide = x.astype(keras.backend.result_type(x.dtype, "float32"))
    first = jax.lax.stop_gradient(wide[tuple(slice(None) if i == axis else slice(1) for i in range(x.ndim))])
    centered = wide - first
    shift = jnp.mean(centered, axes)
    variance = jnp.maximum(jnp.mean(centered * centered, axes) - shift * shift, 0)
    scale = jax.lax.rsqrt(variance + epsilon) * (1 if gamma is None else _weight(gamma, wide))
    offset = -shift * scale + (0 if beta is None else _weight(beta, wide))
    y = centered * scale.reshape(per_channel) + offset.reshape(per_channel)
    return y.astype(x.dtype), *jax.lax.stop_gradient((shift + first.reshape(-1), variance))


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


def random_keep(key, shape, rate):
    """Each value hashes its word itself: XLA fuses all of it into the loop that uses the mask."""
    key = key.astype("int32")
    offset = _hash(_hash(key[0], 0) ^ key[1], 0)
    salt = _hash(offset ^ 0x7FEB352D, 0)
    index = jax.lax.iota("int32", math.prod(shape)).reshape(shape)
    word = _hash((index >> 1) + offset, salt)
    half = jnp.where(index & 1, word, word << 16) >> 16
    return half >= round(rate * 2**16) - 2**15


def drop(x, key, shape, rate, scaled):
    scale = 1 / (1 - round(rate * 2**16) / 2**16) if scaled else 1.0
    return _drop(x, key.astype("int32"), tuple(shape), rate, scale)


def _masked(x, key, shape, rate, scale):
    return jnp.where(random_keep(key, shape, rate), x * jnp.asarray(scale, x.dtype), 0)


def _masked_forward(x, key, shape, rate, scale):
    # Nothing of the mask is kept: drawing it again costs less than reading it.
    return _masked(x, key, shape, rate, scale), key


def _masked_backward(shape, rate, scale, key, gradient):
    return _masked(gradient, key, shape, rate, scale), None


# Under a name of its own: the rules call the plain function, because a Hessian-vector product pushes forward through
# them, which a function with a rule for pulling back does not allow.
_drop = jax.custom_vjp(_masked, nondiff_argnums=(2, 3, 4))
_drop.defvjp(_masked_forward, _masked_backward)


def leak(x, slope):
    return _leak(x, slope)


def _leaked(x, slope):
    return jnp.where(x > 0, x, slope * x)


def _leak_backward(saved, gradient):
    x, slope = saved
    extra = x.ndim - slope.ndim
    alone = [i + extra for i, n in enumerate(slope.shape) if n == 1]
    to_slope = jnp.sum(gradient * jnp.minimum(x, 0), (*range(extra), *alone)).reshape(slope.shape)
    return gradient * jnp.where(x > 0, 1, slope), to_slope


_leak = jax.custom_vjp(_leaked)
_leak.defvjp(lambda x, slope: (_leaked(x, slope), (x, slope)), _leak_backward)


def local_response_normalize(x, size, k, alpha, beta, axis):
    """The sum over neighbors as a product with a band matrix, and a gradient of the same cost."""
    if not _on_cpu():
        return None
    moved = jnp.moveaxis(x, axis, -1)
    wide = moved.astype(keras.backend.result_type(x.dtype, "float32"))
    y = _local_response(wide, _band(wide, size), k, alpha, beta)
    return jnp.moveaxis(y.astype(x.dtype), -1, axis)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _local_response(x, band, k, alpha, beta):
    return _local_response_forward(x, band, k, alpha, beta)[0]


def _local_response_forward(x, band, k, alpha, beta):
    s = k + alpha * ((x * x) @ band)
    return x * _power(s, beta), (x, band, s)


def _local_response_backward(k, alpha, beta, saved, gradient):
    x, band, s = saved
    scale = _power(s, beta)
    inner = (gradient * x * scale / s) @ band.T
    return gradient * scale - 2 * alpha * beta * x * inner, None


_local_response.defvjp(_local_response_forward, _local_response_backward)


def _power(s, beta):
    """s^−β; the paper's 0.75 without logarithms."""
    if beta == 0.75:
        root = jax.lax.rsqrt(s)
        return root * jnp.sqrt(root)
    return s**-beta


def _band(x, size):
    """band[j, c] = 1 where channel j belongs to the window of channel c."""
    distance = jnp.arange(x.shape[-1])[:, None] - jnp.arange(x.shape[-1])[None, :]
    return ((distance >= -(size // 2)) & (distance < size - size // 2)).astype(x.dtype)


def _axis_maximum(x, axis, size, stride):
    count = (x.shape[axis] - size) // stride + 1
    largest = None
    for start in range(size):
        piece = jax.lax.slice_in_dim(x, start, start + (count - 1) * stride + 1, stride, axis)
        # `jnp.maximum` would share the gradient of a tie; a NaN must win.
        largest = piece if largest is None else jnp.where((piece > largest) | jnp.isnan(piece), piece, largest)
    return largest


def _hash(x, salt):
    x = (x ^ ((x >> 16) & 0xFFFF)) * 0x7FEB352D + salt
    x = (x ^ ((x >> 15) & 0x1FFFF)) * (0x846CA68B - 2**32)
    return x ^ ((x >> 16) & 0xFFFF)


def _same(n, size, stride):
    places = max((-(-n // stride) - 1) * stride + size - n, 0)
    return places // 2, places - places // 2


def _weight(weight, x):
    return keras.ops.convert_to_tensor(weight, x.dtype)


def _on_cpu():
    return jax.default_backend() == "cpu"
