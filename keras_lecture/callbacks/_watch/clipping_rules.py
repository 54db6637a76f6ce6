"""The rules of gradient clipping: each returns the clipped gradients and whether any was clipped."""

from keras import ops

from keras_lecture.callbacks._watch.norms import largest, scaled, square_sums, wide

# As in Brock et al.: weights of 0 must be able to grow.
_SMALLEST_WEIGHT = 1e-3


def by_value(gradients, limit):
    """min(max(g, −c), c) of each element."""
    return [ops.clip(g, -limit, limit) for g in gradients], largest(gradients) > limit


def by_norm(gradients, limit):
    """g·min(1, c/‖g‖) of each tensor."""
    norms = ops.sqrt(square_sums(gradients))
    factors = ops.unstack(_shrink(norms, limit), len(gradients))
    clipped = [g * ops.cast(factor, g.dtype) for g, factor in zip(gradients, factors, strict=True)]
    return clipped, ops.any(norms > limit)


def by_global_norm(gradients, norm, limit):
    """g·min(1, c/‖g‖), where ‖g‖ `norm` is that of all gradients together."""
    return scaled(gradients, _shrink(norm, limit)), norm > limit


def by_unit_norm(gradients, weights, axes, ratio):
    """g·min(1, λ·max(‖w‖, 10⁻³)/‖g‖) of each unit; `axes` are those of a unit's incoming weights."""
    clipped, changed = [], []
    for g, w, axis in zip(gradients, weights, axes, strict=True):
        norm, limit = _unit_norm(g, axis), ratio * ops.maximum(_unit_norm(w, axis), _SMALLEST_WEIGHT)
        clipped.append(g * ops.cast(_shrink(norm, limit), g.dtype))
        changed.append(ops.any(norm > limit))
    return clipped, ops.any(ops.stack(changed))


def percentile(values, count, q):
    """The q-th percentile of the first `count` of `values`, interpolated linearly as in NumPy."""
    indices = ops.arange(values.shape[0])
    ordered = ops.sort(ops.where(indices < count, values, float("inf")))
    position = ops.cast(count - 1, values.dtype) * (q / 100.0)
    low = ops.cast(ops.floor(position), "int32")
    high = ops.minimum(low + 1, count - 1)
    below, above = ops.take(ordered, low), ops.take(ordered, high)
    return below + (above - below) * (position - ops.cast(low, values.dtype))


def _shrink(norm, limit):
    # Not `minimum(1, limit / norm)`, which divides by a norm of 0.
    return ops.where(norm > limit, limit / ops.where(norm > limit, norm, 1.0), 1.0)


def _unit_norm(x, axes):
    return ops.sqrt(ops.sum(ops.square(wide(x)), axis=axes, keepdims=True))
