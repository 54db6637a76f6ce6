"""Line searches in NumPy float64, step by step, without Keras."""

import numpy as np


def armijo(f, gradient, w, steps, *, rate=1.0, gamma=0.1, backtrack=0.5, direction="gradient", reset=1.1):
    """`steps` steps from `w`; `f(w, k)` and `gradient(w, k)` of step k = 1, 2, …; yields w, step size, evaluations."""
    last, m, v = None, np.zeros_like(w), np.zeros_like(w)
    for k in range(1, steps + 1):
        g = gradient(w, k)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        scale = 1 / (np.sqrt(v / (1 - 0.999**k)) + 1e-8) if direction == "adam" else 1.0
        mean = g if direction == "gradient" else m / (1 - 0.9**k)
        d = -scale * mean
        t = rate if reset == "full" or last is None else min(reset * last, rate)
        evaluations = 2
        # Armijo's condition on f(x) + (mean − g)ᵀ(x − w).
        while f(w + t * d, k) + t * (mean - g) @ d > f(w, k) + gamma * t * (mean @ d):
            t, evaluations = backtrack * t, evaluations + 1
        w, last = w + t * d, t
        yield w, t, evaluations


def newton_cg(f, gradient, hessian, w, steps, *, rate=1.0, damping=1.0, iterations=50, tolerance=0.5):
    """Yields w, step size, evaluations of f, products, next damping, and whether it met negative curvature."""
    for _ in range(steps):
        g, curvature = gradient(w), hessian(w) + damping * np.eye(len(w))
        size = np.linalg.norm(g)
        p, residual, direction, products, bent, strongest = np.zeros_like(w), g, -g, 0, False, 0.0
        while products < iterations and np.linalg.norm(residual) > min(tolerance, np.sqrt(size)) * size and not bent:
            along, products = direction @ curvature @ direction, products + 1
            bent = along <= 0
            strongest = max(strongest, abs(along) / (direction @ direction))
            length = (residual @ residual) / ((strongest or 1.0) * (direction @ direction) if bent else along)
            p, new = p + length * direction, residual + length * (curvature @ direction)
            direction, residual = (new @ new) / (residual @ residual) * direction - new, new
        t, evaluations = _halved(f, w, p, g, rate)
        ratio = 0.0 if t < rate else (f(w + t * p) - f(w)) / (g @ p + p @ curvature @ p / 2)
        damping *= 0.25 if ratio > 0.75 else 4.0 if ratio < 0.25 else 1.0
        w = w + t * p
        yield w, t, evaluations, products, damping, bent


def newton(f, gradient, hessian, w, steps, *, rate=1.0, floor=1e-16):
    """Yields w, step size, evaluations of f, and the smallest eigenvalue relative to the largest."""
    for _ in range(steps):
        values, vectors = np.linalg.eigh(hessian(w))
        g, largest = gradient(w), abs(values).max()
        p = -vectors @ (vectors.T @ g / np.maximum(abs(values), floor * largest))
        t, evaluations = _halved(f, w, p, g, rate)
        w = w + t * p
        yield w, t, evaluations, values.min() / largest


def _halved(f, w, p, g, t):
    """The first of t, t/2, … with which f falls by a ten-thousandth of what the slope promises; the evaluations."""
    evaluations = 2
    while f(w + t * p) > f(w) + 1e-4 * t * (g @ p):
        t, evaluations = t / 2, evaluations + 1
    return t, evaluations
