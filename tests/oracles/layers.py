"""Independent float64 references of the layers in NumPy; imports nothing from keras_lecture."""

import itertools

import numpy as np


def max_pool(x, size, strides, pairs):
    """Deck A: maxima of windows over the spatial axes of channels-last `x`, padded by −∞; output sizes rounded down."""
    x = np.pad(x.astype("float64"), [(0, 0), *pairs, (0, 0)], constant_values=-np.inf)
    counts = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:-1], size, strides, strict=True)]
    y = np.empty((x.shape[0], *counts, x.shape[-1]))
    for index in itertools.product(*map(range, counts)):
        window = tuple(slice(i * s, i * s + k) for i, s, k in zip(index, strides, size, strict=True))
        y[(slice(None), *index)] = x[(slice(None), *window)].max(axis=tuple(range(1, x.ndim - 1)))
    return y


def group_norm(x, groups, epsilon):
    """Wu and He, eq. 7, channels last."""
    x = x.astype("float64")
    y = np.empty_like(x)
    size = x.shape[-1] // groups
    for sample, group in itertools.product(range(len(x)), range(groups)):
        part = x[sample, ..., group * size : (group + 1) * size]
        y[sample, ..., group * size : (group + 1) * size] = (part - part.mean()) / np.sqrt(part.var() + epsilon)
    return y


def local_response(x, size, k, alpha, beta):
    """Krizhevsky et al., section 3.3, channels last; a window of even size has one more channel on the left."""
    x = x.astype("float64")
    y = np.empty_like(x)
    for c in range(x.shape[-1]):
        around = x[..., max(0, c - size // 2) : c + size - size // 2]
        y[..., c] = x[..., c] / (k + alpha * (around**2).sum(-1)) ** beta
    return y


def population(batches, masks=None):
    """Σ B·μ_B / Σ B and Σ B·σ²_B / Σ (B − 1) per channel (the last axis), over the positions kept by the masks."""
    values, degrees, mean, squares = 0, 0, 0.0, 0.0
    for index, batch in enumerate(batches):
        kept = np.ones(batch.shape[:-1], bool) if masks is None else masks[index]
        rows = batch[kept].astype("float64")
        values, degrees = values + len(rows), degrees + max(len(rows) - 1, 0)
        mean, squares = mean + rows.sum(0), squares + len(rows) * rows.var(0)
    return mean / values, squares / degrees


def moments(batches, masks=None):
    """Mean and variance (divisor n) per channel over the positions of all batches kept by the masks."""
    kept = [b.reshape(-1, b.shape[-1]) if masks is None else b[masks[k]] for k, b in enumerate(batches)]
    rows = np.concatenate(kept).astype("float64")
    return rows.mean(0), rows.var(0)


def mix(x, salt):
    """The hash of the random layers, of a non-negative Python integer or of 64-bit NumPy integers."""
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D + salt) % 2**32
    x = x ^ (x >> 15)
    x = (x * 0x846CA68B) % 2**32
    return x ^ (x >> 16)


def keep_mask(seed, step, size, rate):
    """The mask by the counter hash of the random layers, in Python integers modulo 2³²."""
    offset = mix(mix(seed % 2**32, 0) ^ (step % 2**32), 0)
    salt = mix(offset ^ 0x7FEB352D, 0)
    kept = []
    for i in range(size):
        word = mix((i // 2 + offset) % 2**32, salt)
        half = word >> 16 if i % 2 else word & 0xFFFF
        kept.append((half - 2**16 if half >= 2**15 else half) >= round(rate * 2**16) - 2**15)
    return np.array(kept)
