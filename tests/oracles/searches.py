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
