"""`decision_boundary`: the boundary of a small network under L2 penalties of increasing strength."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_lecture._core import checks
from keras_lecture.figures import experiments
from keras_lecture.figures._canvas import SIGNED, Figure, canvas, panels, scale

# Light shades of the map's two ends with a black edge, which are seen on the whole map in both themes.
_POINTS = (("o", "#a8d0ff", "class 0"), ("^", "#ffbfa8", "class 1"))


def decision_boundary(data: Mapping[str, Any] | None = None, *, theme: str = "light") -> Figure:
    """The probability of class 1 in the plane, one map for each strength of the penalty, with both errors.

    Use it to see what a penalty buys: a boundary that follows the classes instead of single examples.

    Args:
        data: The result of `figures.experiments.decision_boundary`. Defaults to `None`: the experiment is run.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("decision_boundary.png")`.

    Example:
        >>> data = keras_lecture.figures.experiments.decision_boundary(strengths=[0.0], steps=2, grid=4)
        >>> figure = keras_lecture.figures.decision_boundary(data)
        >>> figure.axes[0].get_title(loc="left").splitlines()[0]
        'λ = 0'

    Reference:
        Deck D (decision boundary under λ = 0 … 10).
    """
    data = experiments.decision_boundary() if data is None else data
    if not isinstance(data, Mapping) or not {"strengths", "probability", "extent", "x", "y"} <= set(data):
        remedy = "Pass the result of `keras_lecture.figures.experiments.decision_boundary`."
        checks.reject("decision_boundary", "data", "the data of the experiment", data, remedy)
    count = len(data["strengths"])
    with canvas("decision_boundary", theme):
        figure, axes = panels(count, rows=1 if count < 4 else 2, width=2.9, height=2.9)
        for i, one in enumerate(axes):
            image = _map(one, data, i)
        scale(figure, image, axes, "probability of class 1")
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, title="training examples"
        )
    return figure


def _map(axes, data, i):
    """One map: the colors are probabilities, the line is the boundary at ½."""
    probability = np.asarray(data["probability"][i])
    image = axes.imshow(
        probability, origin="lower", extent=data["extent"], vmin=0, vmax=1, cmap=SIGNED, aspect="auto", alpha=0.75
    )
    if probability.min() < 0.5 < probability.max():
        axes.contour(probability, [0.5], extent=data["extent"], colors="black", linewidths=1.8)
    x, y = np.asarray(data["x"]), np.asarray(data["y"])
    for of_class, (marker, color, label) in enumerate(_POINTS):
        rows = x[y == of_class]
        axes.scatter(
            rows[:, 0], rows[:, 1], s=26, marker=marker, color=color, edgecolor="black", linewidth=0.8, label=label
        )
    errors = f"errors: training {data['training_error'][i]:.0%}, test {data['test_error'][i]:.1%}"
    strength = np.format_float_positional(data["strengths"][i], trim="-")
    axes.set_title(f"λ = {strength}\n{errors}", fontsize=9.5)
    axes.set(xticks=[], yticks=[])
    return image
