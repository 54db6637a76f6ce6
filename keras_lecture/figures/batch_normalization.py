"""`batch_normalization`: a good and a bad start, with and without batch normalization, as a figure."""

from collections.abc import Mapping
from typing import Any

from keras_lecture._core import checks
from keras_lecture.figures import experiments
from keras_lecture.figures._canvas import BLUE, RED, Figure, canvas, panels, whole_ticks

_LINES = {
    "good start": (BLUE, "--", "o", "none"),
    "good start, batch norm": (BLUE, "-", "o", "full"),
    "bad start": (RED, "--", "s", "none"),
    "bad start, batch norm": (RED, "-", "s", "full"),
}


def batch_normalization(data: Mapping[str, Any] | None = None, *, theme: str = "light") -> Figure:
    """A deep network from a good and a bad start, with and without batch normalization.

    Use it to see what batch normalization repairs: the values that reach the last layers before training, and with
    them the training.

    Args:
        data: The result of `experiments.batch_normalization`. Defaults to `None`: the experiment runs, in seconds.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("batch_normalization.png")`.

    Example:
        >>> data = keras_lecture.figures.experiments.batch_normalization(depth=2, units=8, epochs=1)
        >>> [axes.get_ylabel() for axes in keras_lecture.figures.batch_normalization(data).axes]
        ['standard deviation of the values', 'training loss', 'held-out accuracy']

    Reference:
        Deck A.
    """
    data = experiments.batch_normalization() if data is None else data
    if not isinstance(data, Mapping) or not data.get("spread"):
        expected = "the result of `experiments.batch_normalization`"
        checks.reject("batch_normalization", "data", expected, data, "Pass `None` to run it.")
    with canvas("batch_normalization", theme):
        figure, (spread, loss, accuracy) = panels(3, width=3.0, height=3.4)
        for name, (color, dashes, marker, fill) in _LINES.items():
            style = {"color": color, "linestyle": dashes, "marker": marker, "fillstyle": fill, "ms": 4, "label": name}
            for axes, key in ((spread, "spread"), (loss, "loss"), (accuracy, "accuracy")):
                axes.plot(range(1, len(data[key][name]) + 1), data[key][name], **style)
        spread.set(yscale="log", xlabel="hidden layer", ylabel="standard deviation of the values")
        loss.set(yscale="log", xlabel="epoch", ylabel="training loss")
        accuracy.set(ylim=(0, 1.02), xlabel="epoch", ylabel="held-out accuracy")
        spread.set_title("Before training", loc="left")
        loss.set_title("Training", loc="left")
        accuracy.set_title("Generalization", loc="left")
        for axes in (spread, loss, accuracy):
            whole_ticks(axes.xaxis)
            axes.grid()
        figure.legend(*loss.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
