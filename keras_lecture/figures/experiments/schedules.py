"""`schedules`: the learning rates of the library's schedules over the steps, and their sums."""

from typing import Any

import numpy as np
from keras import ops

from keras_lecture._core import checks
from keras_lecture.figures.experiments._numbers import plain
from keras_lecture.optimizers.schedules import Cyclical, Exponential, InverseTime, WarmRestarts, Warmup


def schedules(*, seed: int = 0, learning_rate: float = 0.1, steps: int = 700) -> dict[str, Any]:
    """The learning rate and the sums Σηₖ and Σηₖ² after each step, for each schedule of the library.

    Use it to choose a schedule by how long it keeps the rate high and how far it can still go late in a run.

        Exponential: η₀·0.8^⌊k/p⌋   InverseTime: η₀/(1 + k/p)   WarmRestarts: cosine, periods 2p, 4p, 8p, …
        Cyclical: linear from η₀/4 to η₀ and back, period 4p   Warmup: linear over p/2 steps, then WarmRestarts

    η₀ `learning_rate`, k the step from 0, and p a fourteenth of `steps`, so that the second restart is at 6/7.
    Stochastic gradient descent converges with Σηₖ = ∞ and Σηₖ² < ∞: `InverseTime`.

    Args:
        seed: Taken as by every experiment; nothing here is random.
        learning_rate: η₀. Defaults to `0.1`.
        steps: Number of steps. Defaults to `700`.

    Returns:
        A dict: `steps`, their numbers; `runs`, by schedule, with the `rate` of each step, and the `sum` of the rates
        and of their `squares` up to it.

    Example:
        >>> data = keras_lecture.figures.experiments.schedules(steps=140)
        >>> [data["runs"]["InverseTime"]["rate"][k] for k in (0, 10, 90)]
        [0.1, 0.05, 0.01]

    Reference:
        Decks A (warm restarts), B (1/k) and E (constant factor); Robbins and Monro, 1951.
    """
    checks.number("schedules", "learning_rate", learning_rate, "(0, ∞)")
    checks.whole("schedules", "steps", steps, "[14, ∞)")
    period = steps / 14
    drawn = {
        "Exponential": Exponential(learning_rate, factor=0.8, period=period),
        "InverseTime": InverseTime(learning_rate, period=period),
        "WarmRestarts": WarmRestarts(learning_rate, period=2 * period, t_mul=2),
        "Cyclical": Cyclical(learning_rate, period=4 * period),
        "Warmup": Warmup(WarmRestarts(learning_rate, period=2 * period, t_mul=2), length=period / 2),
    }
    k = np.arange(steps)
    runs = {}
    for name, schedule in drawn.items():
        rate = ops.convert_to_numpy(schedule(ops.convert_to_tensor(k))).astype("float64")
        runs[name] = {"rate": plain(rate), "sum": plain(np.cumsum(rate), 5), "squares": plain(np.cumsum(rate**2), 5)}
    return {"seed": seed, "learning_rate": learning_rate, "steps": k.tolist(), "runs": runs}
