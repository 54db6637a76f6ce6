"""Independent float64 references in NumPy, each with the equation it states. Imports nothing of keras_lecture."""

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
