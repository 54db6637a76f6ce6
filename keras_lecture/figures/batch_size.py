"""`batch_size`: the loss over steps and over passes of the data, by batch size."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_lecture.figures import experiments
from keras_lecture.figures._canvas import COLORS, DASHES, GRAY, Figure, canvas, experiment, panels


def batch_size(data: Mapping[str, Any] | None = None, *, theme: str = "light") -> Figure:
    """The same runs twice: over steps the large batches win, over epochs the small ones, until their floor.

    Use it to explain the choice of a batch size: a step costs b gradients of samples, and its noise has variance ~ 1/b.

    Args:
        data: The data of `experiments.batch_size`. Defaults to `None`: runs it.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("batch_size.png")`.

    Example:
        >>> data = keras_lecture.figures.experiments.batch_size(samples=1000, sizes=(10, 1000), steps=20)
        >>> [axes.get_xlabel() for axes in keras_lecture.figures.batch_size(data).axes]
        ['step', 'epochs (passes of the data)']

    Reference:
        Deck B.
    """
    data = experiment("batch_size", data, experiments.batch_size, ("runs", "steps", "samples"))
    with canvas("batch_size", theme):
        figure, (over_steps, over_epochs) = panels(2, width=4.4, height=3.9)
        steps = np.array(data["steps"])
        for (size, run), color, dash in zip(data["runs"].items(), COLORS, DASHES, strict=False):
            loss = np.array(run["loss"], dtype=float)
            over_steps.plot(steps, loss, color=color, linestyle=dash, label=f"b = {int(size):,}")
            over_epochs.plot(steps[1:] * int(size) / data["samples"], loss[1:], color=color, linestyle=dash)
            if run["theory"] is not None:
                over_steps.plot([0.8 * steps[-1], steps[-1]], [run["theory"]] * 2, color=color, linewidth=4, alpha=0.4)
        over_steps.plot([], [], color=GRAY, linewidth=4, alpha=0.4, label="floor of theory")
        over_steps.set(
            yscale="log", xlabel="step", ylabel="loss above the minimum", title="Larger batches make better steps …"
        )
        over_epochs.set(yscale="log", xscale="log", title="… that cost more", ylabel="loss above the minimum")
        over_epochs.set_xlabel("epochs (passes of the data)")
        _gradients(over_epochs, data["samples"])
        over_steps.legend(loc="lower left", title="batch size")
    return figure


def _gradients(axes, samples):
    """A second axis on top, in gradients of samples."""
    top = axes.secondary_xaxis("top", functions=(lambda epochs: epochs * samples, lambda count: count / samples))
    top.set_xlabel("gradients of samples")
