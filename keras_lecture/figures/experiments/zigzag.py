"""`zigzag`: gradient descent across a ravine, and what momentum and a rate per weight change."""

from typing import Any

import numpy as np
from keras import ops

from keras_lecture import optimizers
from keras_lecture._core import checks
from keras_lecture.figures.experiments._descent import Descent
from keras_lecture.figures.experiments._numbers import plain

START = (-2.0, 0.5)
# A run has arrived when its distance from the minimum stays below this fraction of the first.
ARRIVED = 1e-2


def zigzag(*, seed: int = 0, curvature: float = 25.0, steps: int = 80) -> dict[str, Any]:
    """Paths along a ravine, with the changes of direction across it, and the theory's factor per step.

    Use it to see why gradient descent zigzags: the rate that the steep direction allows is too small for the flat one.

        f(x, y) = ½(x² + κy²),   w ← Mw per step, M the matrix of the method;   ‖w‖ falls like the spectral radius of M
        SGD, η = 2/(1 + κ):                              (κ − 1)/(κ + 1)
        Momentum, η = 4/(1 + √κ)², √ρ = (√κ − 1)/(√κ + 1):   (√κ − 1)/(√κ + 1)
        Nesterov, η = 1/κ, ρ = (√κ − 1)/(√κ + 1):            1 − 1/√κ

    κ `curvature`. These rates are the best for each method. RMSProp and Adam have no such theory: their rate is 0.05.

    Args:
        seed: Taken as by every experiment; nothing here is random.
        curvature: κ, the curvature across the ravine, relative to that along it. Defaults to `25.0`.
        steps: Number of steps. Defaults to `80`.

    Returns:
        A dict: `runs`, by optimizer, with the `path`, the `distance` from the minimum after each step, the
        `changes` of direction across the ravine before it has `arrived` at a hundredth of the first distance (the step,
        or `None`: all steps count), and the `factor` of theory (`None`: there is none).

    Example:
        >>> data = keras_lecture.figures.experiments.zigzag(curvature=9.0, steps=30)
        >>> sgd = data["runs"]["SGD"]
        >>> sgd["factor"], sgd["arrived"], sgd["changes"]
        (0.8, 21, 20)

    Reference:
        Polyak, 1964; Nesterov, 1983; decks A (zig-zag) and B (rates).
    """
    checks.number("zigzag", "curvature", curvature, "(1, ∞)")
    checks.whole("zigzag", "steps", steps, "[2, ∞)")
    root = np.sqrt(curvature)
    inertia = (root - 1) / (root + 1)
    methods = {
        "SGD": (optimizers.SGD(2 / (1 + curvature)), (curvature - 1) / (curvature + 1)),
        "Momentum": (optimizers.Momentum(4 / (1 + root) ** 2, momentum=inertia**2), inertia),
        "Nesterov": (optimizers.Nesterov(1 / curvature, momentum=inertia), 1 - 1 / root),
        "RMSProp": (optimizers.RMSProp(0.05), None),
        "Adam": (optimizers.Adam(0.05), None),
    }

    def loss(w, x):
        return 0.5 * ops.sum(w * w * ops.convert_to_tensor([1.0, curvature]))

    runs = {}
    for name, (optimizer, factor) in methods.items():
        path, _ = Descent(optimizer, loss, (2,)).run(START, steps=steps)
        runs[name] = _run(path, factor)
    return {"seed": seed, "curvature": curvature, "start": list(START), "runs": runs}


def _run(path, factor) -> dict[str, Any]:
    distance = np.linalg.norm(path, axis=1)
    arrived = int(np.flatnonzero(distance > ARRIVED * distance[0])[-1]) + 1
    across = np.sign(np.diff(path[: arrived + 1, 1]))
    return {
        "path": plain(path, 5),
        "distance": plain(distance, 5),
        "changes": int(np.sum(across[1:] * across[:-1] < 0)),
        "arrived": arrived if arrived < len(path) else None,
        "factor": None if factor is None else round(float(factor), 6),
    }
