"""`race`: the paths of the optimizers over each surface, and their losses over gradient evaluations."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_lecture.figures import experiments
from keras_lecture.figures._canvas import (
    BLUE,
    DASHES,
    GRAY,
    GREEN,
    ORANGE,
    PURPLE,
    RED,
    Figure,
    canvas,
    experiment,
    panels,
)
from keras_lecture.figures.experiments.race import ARRIVED

# One color for a family, one dash for each of its members.
LINES = {
    "SGD": (GRAY, DASHES[0]),
    "Momentum": (BLUE, DASHES[0]),
    "Nesterov": (BLUE, DASHES[1]),
    "Lookahead": (BLUE, DASHES[3]),
    "AdaGrad": (ORANGE, DASHES[0]),
    "RMSProp": (ORANGE, DASHES[1]),
    "Adam": (ORANGE, DASHES[3]),
    "RectifiedAdam": (ORANGE, DASHES[2]),
    "Armijo": (PURPLE, DASHES[0]),
    "LBFGS": (GREEN, DASHES[0]),
    "Newton": (RED, DASHES[0]),
    "NewtonCG": (RED, DASHES[1]),
}
# The lowest loss that is drawn, relative to the first.
FLOOR = 1e-8


def race(data: Mapping[str, Any] | None = None, *, theme: str = "light") -> Figure:
    """Each surface with the paths of all optimizers, and their losses over the cost, the fastest first.

    Use it to choose an optimizer by the kind of surface: a ravine, a saddle, a plateau with a curved exit, a curved
    valley.

    Args:
        data: The data of `experiments.race`. Defaults to `None`: runs it.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("race.png")`.

    Example:
        >>> data = keras_lecture.figures.experiments.race(surfaces=["ravine"], budget=30)
        >>> paths, losses = keras_lecture.figures.race(data).axes
        >>> losses.get_xlabel()
        'cost in gradient evaluations'

    Reference:
        Decks A and B. `keras_lecture.figures.race_animation` shows the same data as an animation.
    """
    data = experiment("race", data, experiments.race, ("surfaces", "runs", "budget"))
    with canvas("race", theme):
        figure, axes = panels(2 * len(data["runs"]), rows=len(data["runs"]), width=3.9, height=3.0)
        for i, (name, runs) in enumerate(data["runs"].items()):
            _paths(axes[2 * i], name, data["surfaces"][name], runs)
            _losses(axes[2 * i + 1], runs, data["budget"])
        axes[-2].set_xlabel("x")
        axes[-1].set_xlabel("cost in gradient evaluations")
    return figure


def _paths(axes, name, surface, runs):
    heights = np.array(surface["heights"])
    x, y = (np.linspace(*surface[side], size) for side, size in zip("xy", heights.shape[::-1], strict=True))
    # Evenly spaced in the logarithm: the valleys are of interest, not the slopes.
    levels = np.logspace(np.log10(max(heights.min(), 1e-3 * heights.max())), np.log10(heights.max()), 12)
    axes.contour(x, y, heights, levels=levels, colors=[GRAY], linewidths=0.5, alpha=0.6)
    for optimizer, run in runs.items():
        color, dash = LINES[optimizer]
        path = np.array(run["path"], dtype=float)
        axes.plot(*path.T, color=color, linestyle=dash, linewidth=1.4, label=optimizer)
    axes.plot(*surface["start"], marker="o", color=axes.yaxis.label.get_color(), linestyle="none", label="start")
    minima = np.array(surface["minima"]).T
    axes.plot(*minima, marker="*", markersize=11, color=axes.yaxis.label.get_color(), linestyle="none", label="minimum")
    axes.set(title=name, xlim=surface["x"], ylim=surface["y"], ylabel="y")


def _losses(axes, runs, budget):
    order = sorted(runs, key=lambda name: (runs[name]["arrived"] or np.inf, runs[name]["loss"][-1] or np.inf))
    for name in order:
        run, (color, dash) = runs[name], LINES[name]
        label = name if run["arrived"] is None else f"{name}: {run['arrived']:.0f}"
        axes.plot(
            run["cost"], np.array(run["loss"], dtype=float), color=color, linestyle=dash, linewidth=1.4, label=label
        )
        if run["arrived"] is not None:
            axes.plot([run["arrived"]], [ARRIVED * run["loss"][0]], marker="o", markersize=3.5, color=color)
    first = next(iter(runs.values()))["loss"][0]
    axes.axhline(ARRIVED * first, color=GRAY, linewidth=0.8)
    axes.set(yscale="log", ylabel="loss above the minimum", xlim=(0, budget), ylim=(FLOOR * first, 3 * first))
    axes.legend(
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        fontsize=8,
        handlelength=2.6,
        title="below the line at cost",
        title_fontsize=8,
    )
