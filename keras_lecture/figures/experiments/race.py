"""`race`: every optimizer from the same start on the same surfaces, each with its best learning rate."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture import optimizers
from keras_lecture._core import checks
from keras_lecture.figures.experiments import _surfaces
from keras_lecture.figures.experiments._descent import Descent, Rates
from keras_lecture.figures.experiments._numbers import plain

# A run has arrived when the height above the minimum is this fraction of that of the start.
ARRIVED = 1e-3
RATES = np.logspace(-4, 0, 17)
# These work element by element, so that all rates and surfaces can be in one descent. A rate is a schedule.
_RULES: dict[str, Callable[[Any], keras.optimizers.Optimizer]] = {
    "SGD": optimizers.SGD,
    "Momentum": optimizers.Momentum,
    "Nesterov": optimizers.Nesterov,
    "AdaGrad": optimizers.AdaGrad,
    "RMSProp": optimizers.RMSProp,
    "Adam": optimizers.Adam,
    "RectifiedAdam": optimizers.RectifiedAdam,
    "Lookahead": lambda rate: optimizers.Lookahead(optimizers.Momentum(rate)),
}
# These evaluate the loss again and have no rate to choose. One iteration per step, so that all are recorded.
_SEARCHES: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "Armijo": optimizers.Armijo,
    "LBFGS": lambda: optimizers.LBFGS(iterations=1),
    "Newton": optimizers.Newton,
    "NewtonCG": optimizers.NewtonCG,
}


def race(*, seed: int = 0, surfaces: Sequence[str] = tuple(_surfaces.SURFACES), budget: int = 150) -> dict[str, Any]:
    """The paths of all optimizers on two-dimensional surfaces, and their losses over gradient evaluations.

    Use it to see which optimizer follows a ravine, leaves a saddle or turns with a curved valley.
    `StochasticWeightAverage` is left out: until the end of `fit` its model is where the averaged optimizer is.

        cost of a step = 1 + ⅓·(evaluations of the loss alone) + 3·(Hessian-vector products)

    in gradient evaluations. Optimizers with a learning rate get the one of 17 between 10⁻⁴ and 1 with which they come
    first to a thousandth of the initial height above the minimum or, if none arrives, stay lowest in the second half.

    Args:
        seed: Taken as by every experiment; nothing here is random.
        surfaces: Which of `"ravine"`, `"saddle"`, `"beale"` and `"rosenbrock"`. Defaults to all.
        budget: The cost at which a run ends, in gradient evaluations. Defaults to `150`.

    Returns:
        A dict: `surfaces` with the formula, start, minima and heights on a grid of each; `runs`, by surface and
        optimizer, with the `path`, and the `loss` above the minimum and the `cost` after each step, the `rate` (`None`:
        it needs none), and the cost at which it has `arrived` (`None`: it has not).

    Example:
        >>> data = keras_lecture.figures.experiments.race(surfaces=["ravine"], budget=30)
        >>> newton = data["runs"]["ravine"]["Newton"]
        >>> len(newton["path"]), newton["rate"], newton["arrived"]
        (2, None, 7.33)

    Reference:
        Decks A and B; Beale, 1958; Rosenbrock, 1960.
    """
    checks.whole("race", "budget", budget, "[1, ∞)")
    if not isinstance(surfaces, list | tuple) or not surfaces:
        checks.reject("race", "surfaces", 'a list of names, such as ["ravine"]', surfaces)
    for name in surfaces:
        checks.one_of("race", "surfaces", name, tuple(_surfaces.SURFACES))
    chosen = [_surfaces.SURFACES[name] for name in surfaces]
    runs: dict[str, dict[str, Any]] = {name: {} for name in surfaces}
    for name, make in _RULES.items():
        path, cost = _all_rates(make, chosen, budget)
        for i, (key, surface) in enumerate(zip(surfaces, chosen, strict=True)):
            runs[key][name] = _best(surface, path[:, :, i], cost)
    for name, create in _SEARCHES.items():
        descent = Descent(create(), lambda w, x: sum(x[i] * s.height(w[0], w[1]) for i, s in enumerate(chosen)), (2,))
        for i, (key, surface) in enumerate(zip(surfaces, chosen, strict=True)):
            path, cost = descent.run(
                surface.start, budget=budget, x=np.eye(len(chosen))[i], enough=surface.is_at_its_lowest
            )
            runs[key][name] = _run(surface, path, cost, None)
    return {
        "seed": seed,
        "budget": budget,
        "surfaces": {key: surface.data() for key, surface in zip(surfaces, chosen, strict=True)},
        "runs": runs,
    }


def _all_rates(make, surfaces, budget):
    """The path of a rule with every rate on every surface, of shape (steps, rates, surfaces, 2), and its cost."""

    def loss(w, x):
        return sum(ops.sum(s.height(w[:, i, 0], w[:, i, 1])) for i, s in enumerate(surfaces))

    start = np.array([[surface.start for surface in surfaces]] * len(RATES))
    return Descent(make(Rates(RATES, 3)), loss, start.shape).run(start, budget=budget)


def _best(surface, path, cost) -> dict[str, Any]:
    """The run with the rate that comes first to the minimum or, if none arrives, lowest."""
    runs = [_run(surface, path[:, i], cost, float(f"{rate:.3g}")) for i, rate in enumerate(RATES)]
    return min(runs, key=lambda run: (run["arrived"] or np.inf, _late(run["loss"])))


def _late(loss) -> float:
    """The largest loss of the second half of a run: its last loss alone may be low by chance."""
    late = loss[len(loss) // 2 :]
    return np.inf if None in late else max(late)


def _run(surface, path, cost, rate) -> dict[str, Any]:
    # A diverging run may overflow; it is then not the best one.
    with np.errstate(all="ignore"):
        loss = surface.height(path[:, 0], path[:, 1]) - surface.lowest
    # For good: a run that only passes through has not arrived.
    above = np.flatnonzero(~(loss <= ARRIVED * loss[0]))[-1] + 1
    return {
        "rate": rate,
        "path": plain(path.round(4)),
        "loss": plain(loss, 4),
        "cost": plain(cost.round(2)),
        "arrived": round(float(cost[above]), 2) if above < len(cost) else None,
    }
