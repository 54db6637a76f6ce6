"""`capacity`: under- and overfitting, over the width of a network and over the steps of its training."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_lecture._core import checks
from keras_lecture.figures import experiments
from keras_lecture.figures._canvas import BLUE, GRAY, GREEN, RED, Figure, canvas, panels


def capacity(data: Mapping[str, Any] | None = None, *, theme: str = "light") -> Figure:
    """The fits of the narrowest, the best and the widest network, and training and test error side by side.

    Use it to tell under- from overfitting: the training error is too high, or the gap to the test error is.

    Args:
        data: The result of `figures.experiments.capacity`. Defaults to `None`: the experiment is run.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("capacity.png")`.

    Example:
        >>> data = keras_lecture.figures.experiments.capacity(widths=[1, 2, 3], steps=4, measurements=2)
        >>> [axes.get_xlabel() for axes in keras_lecture.figures.capacity(data).axes[3:]]
        ['units per hidden layer', 'training steps', 'training steps']

    Reference:
        Deck D (under- and overfitting; training and validation curves), after Goodfellow et al., 2016, section 5.2.
    """
    data = experiments.capacity() if data is None else data
    if not isinstance(data, Mapping) or not {"widths", "training_error", "test_error", "curves"} <= set(data):
        remedy = "Pass the result of `keras_lecture.figures.experiments.capacity`."
        checks.reject("capacity", "data", "the data of the experiment", data, remedy)
    best = int(np.argmin([errors[-1] for errors in data["test_error"]]))
    last = len(data["widths"]) - 1
    with canvas("capacity", theme):
        figure, axes = panels(6, rows=2, width=3.3, height=3.1)
        for one, i, title in zip(axes, (0, best, last), ("Too small", "Best on test", "Too large"), strict=False):
            _fit(one, data, i, title)
        _errors(axes[3], data["widths"], *([row[-1] for row in data[key]] for key in _BOTH), data["noise"])
        axes[3].set(xlabel="units per hidden layer", title="Both errors over the width")
        axes[3].set_xscale("log", base=2)
        axes[3].set_xticks(data["widths"], list(map(str, data["widths"])))
        for one, i, title in ((axes[4], 0, "training error too high"), (axes[5], last, "the gap grows")):
            _errors(one, data["steps"], *(data[key][i] for key in _BOTH), data["noise"])
            one.set(xlabel="training steps", title=f"{_units(data, i)}: {title}")
        low, high = min(one.get_ylim()[0] for one in axes[3:]), max(one.get_ylim()[1] for one in axes[3:])
        for one in axes[3:]:
            one.set_ylim(low, high)
        figure.legend(*axes[3].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


_BOTH = ("training_error", "test_error")


def _units(data, i):
    return "1 unit" if data["widths"][i] == 1 else f"{data['widths'][i]} units"


def _fit(axes, data, i, title):
    x = np.asarray(data["curve_x"])
    axes.plot(x, np.sin(1.5 * x), color=GRAY, linestyle="--", label="without noise")
    axes.plot(x, data["curves"][i], color=BLUE, label="network")
    axes.plot(data["x"], data["y"], color=GREEN, marker="o", markersize=4, linestyle="", label="training")
    axes.set(xlabel="x", ylabel="y", ylim=(-2.2, 2.9), title=f"{title}: {_units(data, i)}")
    if i == 0:
        axes.legend(loc="upper center", ncols=2, columnspacing=1.0, handlelength=1.6)


def _errors(axes, x, training, test, noise):
    """Training and test error and the gap between them; no network is better than the noise on unseen data."""
    axes.plot(x, training, color=BLUE, marker="o", markersize=4, label="training")
    axes.plot(x, test, color=RED, linestyle="--", marker="s", markersize=4, label="test")
    axes.fill_between(x, training, test, color=GRAY, alpha=0.25, label="gap")
    axes.axhline(noise, color=GRAY, linestyle=":", label="noise")
    axes.set(ylabel="mean squared error", yscale="log")
    axes.grid()
