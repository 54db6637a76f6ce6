"""Rematerialization on JAX's CPU compiler, which undoes that of `jax.checkpoint`."""

import jax
import jax.numpy as jnp


def rematerialize(function, *tensors):
    if jax.default_backend() != "cpu":
        return None
    # jax 0.10.2 on a CPU drops the barriers of `jax.checkpoint`, takes the second run for the first, and keeps all of
    # it. A second run that waits for data cannot be mistaken: a dense block needs half the memory then.
    return _waiting(function)(*tensors)


def _waiting(function):
    def forward(*tensors):
        return function(*tensors), tensors

    def backward(tensors, cotangents):
        first = jnp.max(jnp.ravel(jax.tree.leaves(cotangents)[0])[:1], initial=-jnp.inf)
        # Zero for every gradient there is, and no compiler can know it.
        zero = jnp.where(first == first, 0.0, jnp.nan)
        later = [tensor + zero.astype(tensor.dtype) for tensor in tensors]
        return jax.vjp(function, *later)[1](cotangents)

    waiting = jax.custom_vjp(function)
    waiting.defvjp(forward, backward)
    return waiting
