"""References of the callbacks' measurements in NumPy float64."""

import numpy as np


def norm(arrays):
    """‖·‖ of all elements of several arrays."""
    return np.sqrt(sum((np.asarray(a, "float64") ** 2).sum() for a in arrays))


def magnitudes(arrays):
    """The histogram of |g|: below 2⁻⁴⁰, in [2ᵉ, 2ᵉ⁺¹) for e = −40 … 15, and at least 2¹⁶ or not finite."""
    x = np.abs(np.concatenate([np.ravel(a) for a in arrays]))
    x = np.where(np.isfinite(x), x, 2.0**20)
    return np.histogram(x, [0.0, *2.0 ** np.arange(-40.0, 17.0), np.inf])[0]


def autoclip(norms, percentile, window):
    """Seetharaman et al., 2020, algorithm 1: the norm of each step after clipping, from the norms before clipping."""
    return [min(h, np.percentile(norms[max(0, i + 1 - window) : i + 1], percentile)) for i, h in enumerate(norms)]


def mean(path, start):
    """The mean of the weights after step `start` and later ones, counted from 1."""
    return [np.mean(each, 0, dtype="float64") for each in zip(*path[start - 1 :], strict=True)]


def exponential(path, momentum):
    """The exponential average of the weights after each step, which starts at the first of them."""
    average = [np.asarray(w, "float64") for w in path[0]]
    for weights in path[1:]:
        average = [momentum * a + (1 - momentum) * w for a, w in zip(average, weights, strict=True)]
    return average
