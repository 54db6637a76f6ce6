"""`losses`: the margin losses, and hinge against cross entropy on the slides' scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_lecture._core import checks
from keras_lecture.figures import experiments
from keras_lecture.figures._canvas import BLUE, GREEN, ORANGE, PURPLE, RED, Figure, canvas, panels

_HINGE, _ENTROPY = ORANGE, BLUE
# Convex in one panel, the others in the second, with the hinge in both for comparison.
_CONVEX = {
    "hinge": (_HINGE, "-"),
    "logistic": (_ENTROPY, "--"),
    "exponential": (RED, "-."),
    "squared hinge": (GREEN, (0, (5, 1, 1, 1))),
    "smooth hinge": (PURPLE, ":"),
}
_OTHERS = {"hinge": (_HINGE, "-"), "square": (GREEN, "--"), "tangent": (PURPLE, "-."), "savage": (RED, ":")}
_MARKERS = ("o", "s", "D")
# Where the name of a model stands beside its marker, so that it covers no curve.
_LABELS = (((8, 4), "left", "bottom"), ((0, -10), "center", "top"), ((-9, -5), "right", "center"))


def losses(data: Mapping[str, Any] | None = None, *, theme: str = "light") -> Figure:
    """The margin losses over the margin, and hinge against cross entropy over the lead of the true class.

    Use it to choose a loss: what it asks of a sample that is already right, how hard it punishes one that is wrong. The
    slides' three models and three pictures are marked with their losses.

    Args:
        data: The result of `figures.experiments.losses`. Defaults to `None`: the experiment is run.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("losses.png")`.

    Example:
        >>> figure = keras_lecture.figures.losses()
        >>> figure.axes[2].get_title(loc="left")
        'Cross entropy never reaches 0'

    Reference:
        Deck A (other loss functions), deck C (hinge against cross entropy).
    """
    data = experiments.losses() if data is None else data
    if not isinstance(data, Mapping) or not {"margin_losses", "cross_entropy", "models", "images"} <= set(data):
        remedy = "Pass the result of `keras_lecture.figures.experiments.losses`."
        checks.reject("losses", "data", "the data of the experiment", data, remedy)
    with canvas("losses", theme):
        figure, (convex, others, lead, images) = panels(4, rows=2)
        _margins(convex, data, _CONVEX, "Convex and falling: wrong costs more and more")
        _margins(others, data, _OTHERS, "Not convex, or against a large margin")
        _lead(lead, data)
        _images(images, data["images"])
    return figure


def _margins(axes, data, drawn, title):
    for name, (color, dash) in drawn.items():
        axes.plot(data["margin"], data["margin_losses"][name], color=color, linestyle=dash, label=name)
    axes.axvline(0.0, color="gray", linewidth=0.8)
    axes.set(xlim=(-2.5, 3.0), ylim=(-0.15, 5.0), ylabel="loss", title=title)
    axes.set(xlabel="margin v = y·f  (wrong below 0, right above)")
    axes.legend(loc="upper right", bbox_to_anchor=(0.93, 1.0))
    axes.grid()


def _lead(axes, data):
    """A loss of 0 has no place on a logarithmic axis: the hinge ends at the lower edge, and its zeros lie there."""
    low = 1e-12
    for name, color, dash in (("hinge", _HINGE, "-"), ("cross entropy", _ENTROPY, "--")):
        values = np.asarray(data[name.replace(" ", "_")])
        axes.plot(data["lead"], np.maximum(values, low), color=color, linestyle=dash, label=name)
    models = data["models"]
    for i, (name, marker) in enumerate(zip(models["names"], _MARKERS, strict=True)):
        for key, color in (("hinge", _HINGE), ("cross_entropy", _ENTROPY)):
            value = max(models[key][i], low)
            axes.plot(models["lead"][i], value, color=color, marker=marker, markersize=7, linestyle="", clip_on=False)
        place = (models["lead"][i], models["cross_entropy"][i])
        shift, across, along = _LABELS[i]
        axes.annotate(name, place, shift, textcoords="offset points", ha=across, va=along)
    axes.annotate("hinge: exactly 0", (2.0, low), (0, 8), textcoords="offset points", color=_HINGE)
    axes.set(xlabel="lead of the true class over the best other", ylabel="loss")
    axes.set(yscale="log", ylim=(low, 1e3), xlim=(-9, 29))
    axes.set_title("Cross entropy never reaches 0")
    axes.legend(loc="upper right")
    axes.grid()


def _images(axes, images):
    places = np.arange(len(images["names"]))
    for shift, key, color, label in (
        (-0.2, "hinge", _HINGE, "hinge"),
        (0.2, "cross_entropy", _ENTROPY, "cross entropy"),
    ):
        bars = axes.bar(places + shift, images[key], 0.38, color=color, label=label, hatch="//" if shift < 0 else None)
        axes.bar_label(bars, fmt="%.3g", padding=2)
    ticks = [
        f"{name}\n{', '.join(map(str, scores))}" for name, scores in zip(images["names"], images["scores"], strict=True)
    ]
    axes.set_xticks(places, ticks)
    axes.set(xlabel="picture, and scores of cat, chair, car", ylabel="loss", ylim=(0, 1.15 * max(images["hinge"])))
    axes.set_title("The slides' three pictures")
    axes.legend(loc="upper left")
