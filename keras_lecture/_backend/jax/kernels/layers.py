"""Layers on JAX: kernels for formulas that XLA compiles to slow code on CPUs."""

import functools
import math

import jax
import jax.numpy as jnp
import keras

# The largest μ²/σ² for which σ² is computed as E[x²] − μ²: it loses at most a digit and a half.
_NEAR = 16


def batch_normalize(x, gamma, beta, axis, epsilon):
    """The layer call takes 1.5 times as long with the formula (docs/benchmarks/layers.md)."""
    if not _on_cpu():
        return None
    axis %= x.ndim
    wide = x.astype(keras.backend.result_type(x.dtype, "float32"))
    gamma = jnp.ones(x.shape[axis], wide.dtype) if gamma is None else _weight(gamma, wide)
    beta = jnp.zeros(x.shape[axis], wide.dtype) if beta is None else _weight(beta, wide)
    y, *moments = _batch_normalized(wide, gamma, beta, axis, epsilon)
    return y.astype(x.dtype), *jax.lax.stop_gradient(moments)


def _plainly_batch_normalized(x, gamma, beta, axis, epsilon):
    return _batch_forward(x, gamma, beta, axis, epsilon)[0]


def _batch_forward(x, gamma, beta, axis, epsilon):
    """Sums x and x² without centering: XLA would write out a whole tensor to subtract a number from each channel."""
    axes, spread = _around(x, axis)
    mean = jnp.mean(x, axes)
    variance = jnp.mean(x * x, axes) - mean * mean
    # Then E[x²] − μ² would cancel; a NaN takes this branch as well.
    far = ~jnp.all(mean * mean <= _NEAR * variance)
    variance = jax.lax.cond(
        far, lambda x, mean, _: jnp.mean((x - spread(mean)) ** 2, axes), lambda x, mean, near: near, x, mean, variance
    )
    scale = jax.lax.rsqrt(variance + epsilon)
    y = (x - spread(mean)) * spread(scale * gamma) + spread(beta)
    return (y, mean, variance), (x, gamma, mean, scale, far)


def _batch_backward(axis, epsilon, saved, upstream):
    x, gamma, mean, scale, far = saved
    gradient = upstream[0]
    axes, spread = _around(x, axis)
    total = jnp.sum(gradient, axes)
    along = jax.lax.cond(
        far,
        lambda gradient, x, mean, total: jnp.sum(gradient * (x - spread(mean)), axes),
        lambda gradient, x, mean, total: jnp.sum(gradient * x, axes) - mean * total,
        *(gradient, x, mean, total),
    )
    count = x.size // x.shape[axis]
    slope = spread(scale * scale * along / count)
    to_x = (gradient - spread(total / count) - (x - spread(mean)) * slope) * spread(gamma * scale)
    return to_x, along * scale, total


_batch_normalized = jax.custom_vjp(_plainly_batch_normalized, nondiff_argnums=(3, 4))
_batch_normalized.defvjp(_batch_forward, _batch_backward)


def _around(x, axis):
    """The axes to average over, and the function that reshapes a vector of channels to broadcast along `axis`."""
    per_channel = [n if i == axis else 1 for i, n in enumerate(x.shape)]
    return tuple(i for i in range(x.ndim) if i != axis), lambda vector: vector.reshape(per_channel)


def random_keep(key, shape, rate):
    """Each element computes the hash of its own word: XLA fuses it all into the loop that uses the mask."""
    key = key.astype("int32")
    offset = _hash(_hash(key[0], 0) ^ key[1], 0)
    salt = _hash(offset ^ 0x7FEB352D, 0)
    index = jax.lax.iota("int32", math.prod(shape)).reshape(shape)
    word = _hash((index >> 1) + offset, salt)
    half = jnp.where(index & 1, word, word << 16) >> 16
    return half >= round(rate * 2**16) - 2**15


def drop(x, key, shape, rate, scaled):
    """Keras's dropout takes 8 times as long (docs/benchmarks/layers.md)."""
    scale = 1 / (1 - round(rate * 2**16) / 2**16) if scaled else 1.0
    return _drop(x, key.astype("int32"), tuple(shape), rate, scale)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3, 4))
def _masked(x, key, shape, rate, scale):
    """The kept values times `scale`, 0 elsewhere.

    Takes the minimum of a value's bits and all ones (kept) or zeros: LLVM compiles a selection to a masked load, which
    is much slower.
    """
    keep, scaled = random_keep(key, shape, rate), x * jnp.asarray(scale, x.dtype)
    if keep.shape != x.shape:
        return jnp.where(keep, scaled, 0)
    bits = jnp.dtype(f"uint{8 * x.dtype.itemsize}")
    limit = jnp.where(keep, *jnp.array([jnp.iinfo(bits).max, 0], bits))
    return jax.lax.bitcast_convert_type(jnp.minimum(jax.lax.bitcast_convert_type(scaled, bits), limit), x.dtype)


@_masked.defjvp
def _masked_tangent(shape, rate, scale, primals, tangents):
    x, key = primals
    tangent = jnp.where(random_keep(key, shape, rate), tangents[0] * jnp.asarray(scale, x.dtype), 0)
    return _masked(x, key, shape, rate, scale), tangent


def _masked_forward(x, key, shape, rate, scale):
    # The mask is not stored: recomputing it costs less than reading it.
    return _masked(x, key, shape, rate, scale), key


def _masked_backward(shape, rate, scale, key, gradient):
    return _masked(gradient, key, shape, rate, scale), None


# Separate from `_masked`: a Hessian-vector product differentiates these rules in forward mode, which would fail if they
# called a `custom_vjp` function.
_drop = jax.custom_vjp(_masked, nondiff_argnums=(2, 3, 4))
_drop.defvjp(_masked_forward, _masked_backward)


def leak(x, slope):
    """The layer call takes 2.2 times as long with the formula (docs/benchmarks/layers.md)."""
    return _leak(x, slope)


def _leaked(x, slope):
    return jnp.where(x > 0, x, slope * x)


def _leak_backward(saved, gradient):
    x, slope = saved
    extra = x.ndim - slope.ndim
    alone = [i + extra for i, n in enumerate(slope.shape) if n == 1]
    to_slope = jnp.sum(jnp.where(x > 0, 0, gradient * x), (*range(extra), *alone)).reshape(slope.shape)
    return gradient * jnp.where(x > 0, 1, slope), to_slope


_leak = jax.custom_vjp(_leaked)
_leak.defvjp(lambda x, slope: (_leaked(x, slope), (x, slope)), _leak_backward)


def _hash(x, salt):
    x = (x ^ ((x >> 16) & 0xFFFF)) * 0x7FEB352D + salt
    x = (x ^ ((x >> 15) & 0x1FFFF)) * (0x846CA68B - 2**32)
    return x ^ ((x >> 16) & 0xFFFF)


def _weight(weight, x):
    return keras.ops.convert_to_tensor(weight, x.dtype)


def _on_cpu():
    return jax.default_backend() == "cpu"
