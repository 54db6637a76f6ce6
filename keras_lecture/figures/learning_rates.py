"""`learning_rates`: the loss curves of a low, a good, a high and a very high learning rate."""

from collections.abc import Mapping
from typing import Any

from keras_lecture._core import checks
from keras_lecture.figures import experiments
from keras_lecture.figures._canvas import COLORS, DASHES, Figure, canvas, panels, whole_ticks


def learning_rates(data: Mapping[str, Any] | None = None, *, theme: str = "light") -> Figure:
    """The loss over the epochs at four constant learning rates, from one start.

    Use it to recognize a learning rate by its loss curve.

    Args:
        data: The result of `figures.experiments.learning_rates`. Defaults to `None`: the experiment is run.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("learning_rates.png")`.

    Example:
        >>> loss = {"low": [2.3, 2.2], "good": [2.3, 0.4]}
        >>> figure = keras_lecture.figures.learning_rates({"rates": {"low": 0.01, "good": 1.0}, "loss": loss})
        >>> [line.get_label() for line in figure.axes[0].get_lines()]
        ['low: η = 0.01', 'good: η = 1']

    Reference:
        Deck C (implications of the learning rate), after the notes of CS231n.
    """
    data = experiments.learning_rates() if data is None else data
    if not isinstance(data, Mapping) or not {"rates", "loss"} <= set(data) or set(data["rates"]) != set(data["loss"]):
        remedy = "Pass the result of `keras_lecture.figures.experiments.learning_rates`."
        checks.reject("learning_rates", "data", "the data of the experiment", data, remedy)
    with canvas("learning_rates", theme):
        figure, (axes,) = panels(1, width=7.2, height=4.2)
        for i, (name, rate) in enumerate(data["rates"].items()):
            loss = [float("nan") if value is None else value for value in data["loss"][name]]
            color, dash = COLORS[i % len(COLORS)], DASHES[i % len(DASHES)]
            axes.plot(range(len(loss)), loss, color=color, linestyle=dash, label=f"{name}: η = {rate:g}")
        axes.set(xlabel="epoch", ylabel="loss on the training data", yscale="log")
        axes.set_title("Too low crawls, high jumps above good, very high goes up")
        whole_ticks(axes.xaxis)
        axes.grid(which="both", alpha=0.6)
        figure.legend(loc="outside right upper")
    return figure
