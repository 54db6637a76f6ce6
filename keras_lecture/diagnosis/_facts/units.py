"""Numbers about the output of a layer, computed inside the compiled pass, and the units that they describe."""

import numpy as np
from keras import ops

from keras_lecture._core.types import Tensor

SCALARS = ("mean", "std", "zeros", "dead", "saturated", "nonfinite")
_ROWS = 4096
# Activations that are 0 on half of the axis, and those with a bounded range on both sides.
_HALF = ("relu", "relu6")
_RANGES = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "softsign": (-1.0, 1.0), "hard_sigmoid": (0.0, 1.0)}
# Activations that do not act on each unit alone, or not at all.
_PLAIN = (None, "linear", "softmax", "log_softmax")


def scalars(output: Tensor, activation: str | None, axis: int) -> tuple[Tensor, Tensor]:
    """The numbers of `SCALARS` in one vector (−1: not defined), and a row for each unit: projection and norm."""
    x = ops.cast(output, "float32")
    x = ops.reshape(ops.moveaxis(x, axis, -1), (-1, x.shape[axis])) if len(x.shape) > 1 else ops.reshape(x, (-1, 1))
    # Evenly spaced positions of all samples are enough: the numbers of large maps would cost more than the pass. The
    # stride is odd, so that it visits all columns of a map.
    x = x[:: max(1, x.shape[0] // _ROWS) | 1]
    zero = ops.cast(ops.equal(x, 0.0), "float32")
    finite = ops.isfinite(x)
    mean = ops.mean(x)
    std = ops.sqrt(ops.mean(ops.square(x - mean)))
    undefined = -ops.ones_like(mean)
    numbers = [
        mean,
        std,
        ops.mean(zero),
        undefined if activation in _PLAIN else _at_rest(x, activation),
        _saturated(x, *_RANGES[activation]) if activation in _RANGES else undefined,
        ops.sum(ops.cast(ops.logical_not(finite), "float32")),
    ]
    # Two units are equal if they agree on all samples, and so in a fixed projection.
    direction = ops.sin(1.0 + 0.7 * ops.arange(x.shape[0], dtype="float32"))
    norms = ops.sqrt(ops.sum(ops.square(x), axis=0))
    return ops.stack(numbers), ops.stack([ops.sum(x * direction[:, None], axis=0), norms])


def _at_rest(x, activation):
    """The number of units whose output is the same for every sample; for ReLU: 0 for every sample."""
    high, low = ops.max(x, axis=0), ops.min(x, axis=0)
    if activation in _HALF:
        return ops.sum(ops.cast(high <= 0.0, "float32"))
    size = ops.maximum(ops.abs(high), ops.abs(low))
    return ops.sum(ops.cast(high - low <= 1e-6 * size, "float32"))


def _saturated(x, low, high):
    """The share of elements within 1.25 % of a bound: there sigmoid and tanh have under 5 % of their largest slope."""
    margin = 0.0125 * (high - low)
    return ops.mean(ops.cast(ops.logical_or(x < low + margin, x > high - margin), "float32"))


def equal_share(units: np.ndarray) -> float:
    """The share of active units that have the same output as another unit on every sample."""
    projection, norm = units.astype("float64")
    active = np.isfinite(norm) & (norm > 0)
    if active.sum() < 2:
        return 0.0
    order = np.argsort(projection[active])
    projection, norm = projection[active][order], norm[active][order]
    tolerance = 1e-5 * norm[1:]
    same = (np.abs(np.diff(projection)) <= tolerance) & (np.abs(np.diff(norm)) <= tolerance)
    return float(np.mean(np.append(same, False) | np.append(False, same)))
