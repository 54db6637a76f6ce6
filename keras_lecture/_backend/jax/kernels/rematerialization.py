"""Rematerialization on JAX's CPU compiler, which undoes `jax.checkpoint`."""

import jax
import jax.numpy as jnp


def rematerialize(function, *tensors):
    if jax.default_backend() != "cpu":
        return None
    # jax 0.10.2 on a CPU drops the barriers of `jax.checkpoint`, merges the second evaluation with the first, and keeps
    # all intermediates. A second evaluation that depends on the gradient is not merged: a dense block needs half the
    # memory.
    return _recomputed(function)(*tensors)


def _recomputed(function):
    def forward(*tensors):
        return function(*tensors), tensors

    def backward(tensors, cotangents):
        first = jnp.max(jnp.ravel(jax.tree.leaves(cotangents)[0])[:1], initial=-jnp.inf)
        # Zero for every gradient, but no compiler can prove it.
        zero = jnp.where(first == first, 0.0, jnp.nan)
        later = [tensor + zero.astype(tensor.dtype) for tensor in tensors]
        return jax.vjp(function, *later)[1](cotangents)

    recomputed = jax.custom_vjp(function)
    recomputed.defvjp(forward, backward)
    return recomputed
