"""Independent float64 references in NumPy, each with its equation; imports nothing from keras_lecture."""

import numpy as np


def finite_differences(f, x, step=1e-6):
    """∂f/∂x of a scalar f by central differences, error O(step²)."""
    x = np.asarray(x, dtype="float64")
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[index] = step
        gradient[index] = (f(x + shift) - f(x - shift)) / (2 * step)
    return gradient


def softplus(x):
    """log(1 + eˣ) without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_cross_entropy(q, s):
    """−Σ q log softmax(s), deck C, with its gradient p·Σq − q."""
    shifted = s - s.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return -(q * log_p).sum(axis=-1), softmax(s) * q.sum(axis=-1, keepdims=True) - q


def multiclass_hinge(y, s, margin=1.0):
    """Σ_{k≠y} max(0, s_k − s_y + Δ), deck C, with its gradient, by a loop over samples and classes."""
    losses, gradient = np.zeros(len(y)), np.zeros_like(s)
    for i, true in enumerate(y):
        for k in range(s.shape[1]):
            lead = s[i, k] - s[i, true] + margin
            if k != true and lead > 0:
                losses[i] += lead
                gradient[i, k] += 1
                gradient[i, true] -= 1
    return losses, gradient


def _sigmoid(x):
    return np.exp(-softplus(-x))


# φ(v) of the margin v = y·f and its derivative, from the table of losses for classification that deck A cites.
MARGIN_LOSSES = {
    "Logistic": (lambda v: softplus(-v), lambda v: -_sigmoid(-v)),
    "Square": (lambda v: (1 - v) ** 2, lambda v: -2 * (1 - v)),
    "SquaredHinge": (lambda v: np.maximum(0, 1 - v) ** 2, lambda v: -2 * np.maximum(0, 1 - v)),
    "SmoothHinge": (
        lambda v: np.where(v <= 0, 0.5 - v, np.where(v < 1, 0.5 * (1 - v) ** 2, 0)),
        lambda v: np.where(v <= 0, -1.0, np.where(v < 1, v - 1, 0)),
    ),
    "Exponential": (lambda v: np.exp(-v), lambda v: -np.exp(-v)),
    "Savage": (lambda v: _sigmoid(-v) ** 2, lambda v: -2 * _sigmoid(-v) ** 2 * _sigmoid(v)),
    "Tangent": (lambda v: (2 * np.arctan(v) - 1) ** 2, lambda v: 4 * (2 * np.arctan(v) - 1) / (1 + v**2)),
}
