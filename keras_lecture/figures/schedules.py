"""`schedules`: the learning rates over the steps, and the distance that they allow."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_lecture.figures import experiments
from keras_lecture.figures._canvas import COLORS, DASHES, Figure, canvas, experiment, panels


def schedules(data: Mapping[str, Any] | None = None, *, theme: str = "light") -> Figure:
    """The rate of each schedule over the steps, and the sum of its rates so far.

    Use it to choose a schedule: one whose sum levels off early cannot move the weights any more.

    Args:
        data: The data of `experiments.schedules`. Defaults to `None`: runs it.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("schedules.png")`.

    Example:
        >>> data = keras_lecture.figures.experiments.schedules(steps=140)
        >>> [axes.get_ylabel() for axes in keras_lecture.figures.schedules(data).axes]
        ['learning rate', 'sum of the rates']

    Reference:
        Decks A, B and E.
    """
    data = experiment("schedules", data, experiments.schedules, ("runs", "steps"))
    with canvas("schedules", theme):
        figure, (rate, total) = panels(2, width=4.4, height=3.6)
        for (name, run), color, dash in zip(data["runs"].items(), COLORS, DASHES, strict=False):
            for axes, values in ((rate, run["rate"]), (total, run["sum"])):
                axes.plot(data["steps"], np.array(values, dtype=float), color=color, linestyle=dash, label=name)
        rate.set(xlabel="step", ylabel="learning rate", title="Learning rate", ylim=(0, None))
        total.set(xlabel="step", ylabel="sum of the rates", title="How far the weights can move", ylim=(0, None))
        for axes in (rate, total):
            axes.grid()
        total.legend(loc="upper left")
    return figure
