"""`rates`: the convergence of gradient descent, Nesterov and Newton beside the lines of theory."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_lecture.figures import experiments
from keras_lecture.figures._canvas import (
    BLUE,
    DASHES,
    GRAY,
    GREEN,
    RED,
    Figure,
    canvas,
    experiment,
    panels,
    whole_ticks,
)

_LINES = {"SGD": (BLUE, DASHES[0]), "Nesterov": (RED, DASHES[1]), "Newton": (GREEN, DASHES[0])}
_LOWEST = 1e-16


def rates(data: Mapping[str, Any] | None = None, *, theme: str = "light") -> Figure:
    """Losses over the steps: straight lines in the axes in which theory predicts straight lines.

    Use it to explain sublinear, linear and quadratic convergence: T⁻¹ and T⁻² in logarithmic axes, exp(−cT) with a
    logarithmic loss, and Newton's errors, whose correct digits double.

    Args:
        data: The data of `experiments.rates`. Defaults to `None`: runs it.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("rates.png")`.

    Example:
        >>> data = keras_lecture.figures.experiments.rates(steps=50)
        >>> [axes.get_xscale() for axes in keras_lecture.figures.rates(data).axes]
        ['log', 'linear', 'linear']

    Reference:
        Deck B (table of the rates; Newton).
    """
    data = experiment("rates", data, experiments.rates, ("smooth", "strongly_convex", "newton"))
    with canvas("rates", theme):
        figure, axes = panels(3, width=3.1, height=3.3)
        smooth, convex, newton = data["smooth"], data["strongly_convex"], data["newton"]
        _curves(axes[0], smooth["runs"], smooth["theory"], first=1)
        axes[0].set(xscale="log", title="Smooth: T⁻¹ and T⁻²", xlabel="step T", ylabel="loss")
        _curves(axes[1], convex["runs"], convex["theory"])
        axes[1].set(title=f"Strongly convex, κ = {convex['condition']:g}", xlabel="step T", ylabel="loss")
        _curves(axes[2], newton["runs"], newton["theory"], marker=".")
        axes[2].set(title="Newton doubles the digits", xlabel="step", ylabel="largest error")
        whole_ticks(axes[2].xaxis)
        for one in axes:
            one.grid()
            one.legend(loc="center right" if one is axes[2] else "lower left")
    return figure


def _curves(axes, runs, theory, first=0, marker=None):
    """The measured curves, and the theory, which starts at step `first`, in gray."""
    for name, values in runs.items():
        color, dash = _LINES[name]
        axes.plot(np.array(values, dtype=float), color=color, linestyle=dash, marker=marker, label=name)
    for number, values in enumerate(theory.values()):
        steps = np.arange(first, first + len(values))
        label = None if number else "theory"
        axes.plot(steps, np.array(values, dtype=float), color=GRAY, linestyle=":", linewidth=1.4, label=label)
    lowest = min(min(values) for values in runs.values())
    highest = max(max(values) for values in runs.values())
    axes.set(yscale="log", ylim=(max(_LOWEST, lowest / 3), 5 * highest))
