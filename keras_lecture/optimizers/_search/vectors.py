"""The weights of a model as one vector: operations on lists of tensors, and their concatenation."""

import math

import keras
import numpy as np
from keras import ops

from keras_lecture._backend import accelerate


def wide(variables) -> str:
    """The float dtype of sums over all `variables`: float64 if one of them is, else float32."""
    return "float64" if any(keras.backend.standardize_dtype(v.dtype) == "float64" for v in variables) else "float32"


def epsilon(dtype) -> float:
    """The machine epsilon of float32 or float64."""
    return float(np.finfo(keras.backend.standardize_dtype(dtype)).eps)


@accelerate
def inner_product(a, b, dtype):
    """aᵀb of two lists of tensors."""
    return sum(ops.sum(ops.cast(x, dtype) * ops.cast(y, dtype)) for x, y in zip(a, b, strict=True))


def dot(a, b):
    """aᵀb of two vectors."""
    return inner_product([a], [b], a.dtype)


@accelerate
def descended(weights, t, direction):
    """w − t·d, computed in the dtype of t and rounded once, at the end."""
    dtype = t.dtype
    pairs = zip(weights, direction, strict=True)
    return [ops.cast(ops.cast(w, dtype) - t * ops.cast(d, dtype), w.dtype) for w, d in pairs]


@accelerate
def choose(condition, a, b):
    """The tensors `a` if `condition` holds, else `b`, of the same structure; NaN in the other does no harm."""
    # Not `where`: Keras 3.15 rounds its float64 operands to float32 on JAX and PyTorch.
    return ops.cond(condition, lambda: a, lambda: b)


@accelerate
def repeated(body, goes_on, state, limit=None):
    """The tensors `state` after `state = body(*state)` while `goes_on(*state)`, at most `limit` times."""
    return ops.while_loop(goes_on, body, tuple(state), maximum_iterations=limit)


def flat(tensors, dtype):
    """A list of tensors as one vector."""
    # As rows: XLA (jax 0.10.2, CPU) takes up to 100 times as long to concatenate vectors.
    return ops.concatenate([ops.reshape(ops.cast(t, dtype), (1, -1)) for t in tensors], axis=1)[0]


def unflat(vector, like):
    """One vector as a list of tensors with the shapes and dtypes of `like`."""
    parts, start = [], 0
    for tensor in like:
        size = math.prod(tensor.shape)
        parts.append(ops.cast(ops.reshape(vector[start : start + size], tensor.shape), tensor.dtype))
        start += size
    return parts
