"""`rates`: how fast gradient descent, Nesterov's method and Newton's converge on three kinds of functions."""

from typing import Any

import numpy as np
from keras import ops

from keras_lecture import optimizers
from keras_lecture._core import checks
from keras_lecture.figures.experiments._descent import Descent
from keras_lecture.figures.experiments._numbers import plain


def rates(*, seed: int = 0, steps: int = 500, condition: float = 100.0) -> dict[str, Any]:
    """Losses over the steps T on a smooth, a strongly convex and a cubic function, with the theory's lines.

    Use it to see what the assumptions are worth, and what acceleration and curvature buy.

        smooth, f = ½Σλᵢwᵢ² with λ down to 10⁻⁶:    SGD ~ 1/(4δT),       Nesterov ~ 2/(δT²)
        strongly convex, f = ½Σλᵢwᵢ² with λ ≥ 1/κ:   SGD ~ (1 − 1/κ)²ᵀ/2κ,   Nesterov ~ (1 + T/√κ)²(1 − 1/√κ)²ᵀ/2κ
        f = Σλᵢ(½wᵢ² + ⅙wᵢ³) from wᵢ = 1:            Newton's error e ← e²/(2 + 2e)

    The λ are evenly spaced in the logarithm, with distance δ; η = 1/L. Nesterov's momentum is (T − 1)/(T + 2) on the
    first function and (√κ − 1)/(√κ + 1) on the others.

    Args:
        seed: Of the signs of the start; the curves do not depend on them where f is even.
        steps: T on the smooth function, and at most that on the strongly convex one. Defaults to `500`.
        condition: κ of the strongly convex function. Defaults to `100.0`.

    Returns:
        A dict with `smooth`, `strongly_convex` and `newton`, each with `runs` (`loss` or `error` after each step, by
        optimizer), the `theory` of each at the same steps, and the measured `slopes`: of log f over log T, of log f
        over T, and of the logarithm of an error over that of the one before.

    Example:
        >>> data = keras_lecture.figures.experiments.rates(steps=200)
        >>> {name: round(slope) for name, slope in data["smooth"]["slopes"].items()}
        {'SGD': -1, 'Nesterov': -2}
        >>> [float(f"{error:.2g}") for error in data["newton"]["runs"]["Newton"][:4]]
        [1.0, 0.25, 0.025, 0.0003]

    Reference:
        Nesterov, 2004, theorems 2.1.14 and 2.2.2; Nocedal and Wright, 2006, theorem 3.5; deck B.
    """
    checks.whole("rates", "steps", steps, "[20, ∞)")
    checks.number("rates", "condition", condition, "(1, ∞)")
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=160)
    return {
        "seed": seed,
        "smooth": _smooth(steps, signs),
        "strongly_convex": _strongly_convex(min(steps, 300), condition, signs[:20]),
        "newton": _newton(12),
    }


def _inertia(step):
    """Nesterov's momentum (T − 1)/(T + 2) of step T = 1, 2, …, from the steps before it."""
    return step / (step + 3.0)


def _quadratic(curvatures):
    def loss(w, x):
        return 0.5 * ops.sum(w * w * ops.convert_to_tensor(curvatures, "float32"))

    return loss


def _smooth(steps, start) -> dict[str, Any]:
    curvatures = np.logspace(-6, 0, len(start))
    spacing = float(np.log(curvatures[1] / curvatures[0]))
    methods = {"SGD": optimizers.SGD(1.0), "Nesterov": optimizers.Nesterov(1.0, momentum=_inertia)}
    losses = {name: _losses(method, curvatures, start, steps) for name, method in methods.items()}
    t = np.arange(1, steps + 1)
    late = slice(steps // 10, None)
    return {
        "spacing": spacing,
        "runs": {name: plain(loss, 5) for name, loss in losses.items()},
        "theory": {"SGD": plain(1 / (4 * spacing * t), 5), "Nesterov": plain(2 / (spacing * t**2.0), 5)},
        "slopes": {
            name: round(float(np.polyfit(np.log(t[late]), np.log(loss[1:][late]), 1)[0]), 4)
            for name, loss in losses.items()
        },
    }


def _strongly_convex(steps, condition, start) -> dict[str, Any]:
    curvatures = np.geomspace(1 / condition, 1, len(start))
    root = np.sqrt(condition)
    methods = {"SGD": optimizers.SGD(1.0), "Nesterov": optimizers.Nesterov(1.0, momentum=(root - 1) / (root + 1))}
    losses = {name: _losses(method, curvatures, start, steps) for name, method in methods.items()}
    t = np.arange(steps + 1)
    # The coordinate with the smallest curvature, which is the last one to vanish.
    slowest = {"SGD": (1 - 1 / condition) ** t, "Nesterov": (1 + t / root) * (1 - 1 / root) ** t}
    return {
        "condition": condition,
        "runs": {name: plain(loss, 5) for name, loss in losses.items()},
        "theory": {name: plain(w**2 / (2 * condition), 5) for name, w in slowest.items()},
        "slopes": {
            name: round(float(np.polyfit(t[steps // 2 :], np.log(loss[steps // 2 :]), 1)[0]), 6)
            for name, loss in losses.items()
        },
    }


def _losses(optimizer, curvatures, start, steps):
    path, _ = Descent(optimizer, _quadratic(curvatures), start.shape).run(start, steps=steps)
    return 0.5 * path**2 @ curvatures


def _newton(steps) -> dict[str, Any]:
    curvatures = np.geomspace(0.1, 1, 5)
    # The curvature of f is λ(1 + w): at most 2 on the way from w = 1 to 0, and at least 0.1.
    root = np.sqrt(2 / 0.1)
    methods = {
        "SGD": optimizers.SGD(0.5),
        "Nesterov": optimizers.Nesterov(0.5, momentum=(root - 1) / (root + 1)),
        "Newton": optimizers.Newton(),
    }

    def loss(w, x):
        return ops.sum(ops.convert_to_tensor(curvatures, "float32") * (w * w / 2 + w * w * w / 6))

    errors = {}
    for name, method in methods.items():
        path, _ = Descent(method, loss, (5,)).run(np.ones(5), steps=steps, enough=lambda w: np.abs(w).max() < 1e-12)
        errors[name] = np.abs(path).max(axis=1)
    theory = [1.0]
    while len(theory) < len(errors["Newton"]):
        theory.append(theory[-1] ** 2 / (2 + 2 * theory[-1]))
    logs = np.log(errors["Newton"][1:5])
    return {
        "runs": {name: plain(error, 5) for name, error in errors.items()},
        "theory": {"Newton": plain(theory, 5)},
        # The order p of e ← C·eᵖ, from three errors in a row.
        "slopes": {"Newton": round(float((logs[3] - logs[2]) / (logs[2] - logs[1])), 4)},
    }
