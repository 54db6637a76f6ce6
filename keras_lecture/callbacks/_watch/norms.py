"""Norms of many tensors at once."""

import math

import keras
from keras import ops

from keras_lecture._backend import accelerate

# Smaller tensors are concatenated: a reduction for each costs more than its arithmetic.
_SMALL = 1 << 14


@accelerate
def squared_length(x):
    """Σx² of one tensor."""
    return ops.sum(ops.square(x))


@accelerate
def square_sums(tensors):
    """Σx² of each tensor, in one vector, in float32 at least."""
    return ops.stack([squared_length(wide(x)) for x in tensors])


@accelerate
def square_sum(tensors):
    """Σx² over all tensors, in float32 at least."""
    small = [x for x in tensors if math.prod(x.shape) < _SMALL]
    large = [x for x in tensors if math.prod(x.shape) >= _SMALL]
    if len(small) > 1:
        small = [ops.concatenate([ops.reshape(wide(x), (-1,)) for x in small])]
    return sum(squared_length(wide(x)) for x in (*large, *small))


@accelerate
def step_norms(gradients, old, new, groups, count):
    """‖g‖, ‖w‖ and ‖w⁺ − w‖ / ‖w‖: a row for all tensors together and, with `groups`, one for each of `count` groups.

    `groups` holds the group of each tensor, or is `None`. `old` may be overwritten.
    """
    square = square_sum if groups is None else square_sums
    # On TensorFlow the snapshot may be the result of a conditional, which has no static shape.
    old = [ops.reshape(a, b.shape) for a, b in zip(old, new, strict=True)]
    sums = [square(gradients), square(old), square([b - a for a, b in zip(old, new, strict=True)])]
    if groups is None:
        sums = ops.stack(sums)[None]
    else:
        sums = ops.segment_sum(ops.stack(sums, axis=1), ops.convert_to_tensor(groups), count)
        sums = ops.concatenate([ops.sum(sums, axis=0, keepdims=True), sums])
    gradient, weight, update = ops.unstack(ops.sqrt(sums), 3, axis=1)
    return ops.stack([gradient, weight, ops.divide_no_nan(update, weight)], axis=1)


@accelerate
def is_multiple(steps, period):
    """Whether the counter `steps` is a multiple of `period`."""
    return ops.equal(steps.value % period, 0)


@accelerate
def largest(tensors):
    """The largest magnitude in all tensors."""
    return ops.max(ops.stack([ops.max(ops.abs(x)) for x in tensors]))


@accelerate
def scaled(tensors, factor):
    """All tensors times one factor."""
    return [x * ops.cast(factor, x.dtype) for x in tensors]


@accelerate
def all_finite(tensors):
    """Whether all elements of a tensor are finite, for each tensor, in one vector."""
    return ops.stack([ops.all(ops.isfinite(x)) for x in tensors])


def wide(x):
    """`x` in float32 at least."""
    return ops.cast(x, "float32") if keras.backend.standardize_dtype(x.dtype) in ("float16", "bfloat16") else x
