"""`activations`: the curve, the derivative and the mean of every activation function as a figure."""

from collections.abc import Mapping
from typing import Any

from keras_lecture._core import checks
from keras_lecture.figures import experiments
from keras_lecture.figures._canvas import BLUE, GRAY, RED, Figure, canvas, panels

_NAMES = {"leaky_relu": "leaky ReLU", "relu": "ReLU", "elu": "ELU", "maxout": "maxout of x and −x/2"}


def activations(data: Mapping[str, Any] | None = None, *, theme: str = "light") -> Figure:
    """Every activation function of the library with its derivative, and its mean output for normal inputs.

    Use it to choose: where the derivative is near 0, the function saturates and nothing is learned; where the mean is
    far from 0, the next layer gets inputs of one sign.

    Args:
        data: The result of `experiments.activations`. Defaults to `None`: the experiment runs.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("activations.png")`.

    Example:
        >>> figure = keras_lecture.figures.activations()
        >>> [axes.get_title(loc="left") for axes in figure.axes][:3]
        ['ELU', 'leaky ReLU', 'maxout of x and −x/2']

    Reference:
        Decks A, B (softsign) and C.
    """
    data = experiments.activations() if data is None else data
    if not isinstance(data, Mapping) or not data.get("derivative"):
        checks.reject("activations", "data", "the result of `experiments.activations`", data, "Pass `None` to run it.")
    names = list(data["value"])
    with canvas("activations", theme):
        figure, axes = panels(len(names) + 1, rows=2, width=2.3, height=2.5)
        for one, name in zip(axes, names, strict=False):
            one.axhline(0, color=GRAY, linewidth=0.8)
            one.axvline(0, color=GRAY, linewidth=0.8)
            one.plot(data["x"], data["value"][name], color=BLUE, label="function f(x)")
            one.plot(data["x"], data["derivative"][name], color=RED, linestyle="--", label="derivative f′(x)")
            one.set(xlim=(-5, 5), ylim=(-1.6, 3.2))
            one.set_title(_NAMES.get(name, name), loc="left")
        for one in axes[-len(axes) // 2 : -1]:
            one.set_xlabel("x")
        _means(axes[-1], data["mean"])
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _means(axes, means):
    """Bars of the mean outputs, the largest at the top."""
    names = sorted(means, key=means.get)
    axes.barh(
        [_NAMES.get(name, name).partition(" of ")[0] for name in names], [means[name] for name in names], color=BLUE
    )
    for row, name in enumerate(names):
        # Rounded first: a mean of −0.0002 is 0.
        axes.text(max(means[name], 0.0) + 0.02, row, f"{round(means[name], 2) + 0.0:.2f}", va="center", fontsize=9)
    axes.axvline(0, color=GRAY, linewidth=0.8)
    axes.set(xlim=(-0.05, 0.85), xlabel="mean of f(x)")
    axes.set_title("x ~ N(0, 1)", loc="left")
