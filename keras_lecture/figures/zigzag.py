"""`zigzag`: the paths along a ravine, the distance from the minimum with the theory's lines, and the changes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_lecture.figures import experiments
from keras_lecture.figures._canvas import COLORS, DASHES, GRAY, Figure, canvas, experiment, panels


def zigzag(data: Mapping[str, Any] | None = None, *, theme: str = "light") -> Figure:
    """Gradient descent jumps across a ravine; momentum jumps too but is faster; Nesterov and Adam glide.

    Use it to explain why the learning rate of gradient descent is limited by the steepest direction.

    Args:
        data: The data of `experiments.zigzag`. Defaults to `None`: runs it.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("zigzag.png")`.

    Example:
        >>> data = keras_lecture.figures.experiments.zigzag(steps=30)
        >>> first, *_, last = keras_lecture.figures.zigzag(data).axes
        >>> first.get_title("left"), last.get_xlabel()
        ('SGD: 29 changes of direction', 'step')

    Reference:
        Decks A (zig-zag) and B (momentum).
    """
    data = experiment("zigzag", data, experiments.zigzag, ("runs", "curvature", "start"))
    with canvas("zigzag", theme):
        count = len(data["runs"])
        figure, axes = panels(count + 1, rows=-(-(count + 1) // 2), width=4.1, height=2.2)
        styles = list(zip(COLORS, DASHES, strict=True))
        height = 1.1 * max(abs(y) for run in data["runs"].values() for _, y in run["path"])
        for one, (name, run), (color, _) in zip(axes, data["runs"].items(), styles, strict=False):
            _path(one, name, run, color, data, height)
        _distances(axes[-1], data["runs"], styles)
    return figure


def _path(axes, name, run, color, data, top):
    path = np.array(run["path"], dtype=float)
    x = data["start"][0]
    grid = np.meshgrid(np.linspace(1.15 * x, -0.55 * x, 80), np.linspace(-top, top, 60))
    height = grid[0] ** 2 + data["curvature"] * grid[1] ** 2
    axes.contour(*grid, height, levels=height.max() * np.linspace(0.1, 1, 8) ** 2, colors=[GRAY], linewidths=0.5)
    axes.plot(*path.T, color=color, marker=".", markersize=4, linewidth=1.1)
    axes.plot(0, 0, marker="*", markersize=9, color=axes.yaxis.label.get_color())
    axes.set(title=f"{name}: {run['changes']} changes of direction", xlim=(1.15 * x, -0.55 * x), ylim=(-top, top))
    axes.set(xlabel="along the ravine", ylabel="across")


def _distances(axes, runs, styles):
    for (name, run), (color, dash) in zip(runs.items(), styles, strict=False):
        distance = np.array(run["distance"], dtype=float)
        axes.plot(distance, color=color, linestyle=dash, label=name)
        if run["factor"] is not None:
            theory = distance[0] * run["factor"] ** np.arange(len(distance))
            axes.plot(theory, color=GRAY, linewidth=0.9)
    axes.plot([], [], color=GRAY, linewidth=0.9, label="theory")
    first = next(iter(runs.values()))["distance"][0]
    axes.set(
        yscale="log", ylim=(1e-6 * first, 3 * first), xlabel="step", ylabel="distance", title="Distance and theory"
    )
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
