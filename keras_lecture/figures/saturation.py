"""`saturation`: a sigmoid neuron that is confidently wrong, under the quadratic loss and the log-loss, as a figure."""

from collections.abc import Mapping
from typing import Any

from keras_lecture._core import checks
from keras_lecture.figures import experiments
from keras_lecture.figures._canvas import BLUE, GRAY, RED, Figure, canvas, panels

_LINES = {"quadratic loss": (RED, "--"), "log-loss": (BLUE, "-")}


def saturation(data: Mapping[str, Any] | None = None, *, theme: str = "light") -> Figure:
    """A saturated sigmoid neuron under two losses: its prediction and gradient in training, and the reason.

    Use it to see why a sigmoid output goes with the log-loss: the quadratic loss multiplies the error by the slope of
    the sigmoid, which is nearly 0 where the neuron is most wrong.

    Args:
        data: The result of `experiments.saturation`. Defaults to `None`: the experiment runs.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("saturation.png")`.

    Example:
        >>> figure = keras_lecture.figures.saturation(keras_lecture.figures.experiments.saturation(steps=2))
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['prediction σ(w + b)', 'gradient ∂L/∂w', 'gradient ∂L/∂w']

    Reference:
        Deck E.
    """
    data = experiments.saturation() if data is None else data
    if not isinstance(data, Mapping) or not data.get("gradient_at"):
        checks.reject("saturation", "data", "the result of `experiments.saturation`", data, "Pass `None` to run it.")
    with canvas("saturation", theme):
        figure, (prediction, gradient, reason) = panels(3, width=3.0, height=3.2)
        for name, (color, dashes) in _LINES.items():
            style = {"color": color, "linestyle": dashes, "label": name}
            prediction.plot(data["prediction"][name], **style)
            gradient.plot(data["gradient"][name], **style)
            reason.plot(data["scores"], data["gradient_at"][name], **style)
            start = data["weight"][name][0] + data["bias"][name][0]
            reason.plot([start], [data["gradient"][name][0]], color=color, marker="o", linestyle="none")
        prediction.axhline(0, color=GRAY, linewidth=0.8)
        reason.axvline(start, color=GRAY, linewidth=0.8, linestyle=":")
        reason.text(start, 0.5, " start", va="center")
        prediction.set(xlabel="step", ylabel="prediction σ(w + b)", ylim=(-0.02, 1.02))
        gradient.set(xlabel="step", ylabel="gradient ∂L/∂w", ylim=(-0.02, 1.02))
        reason.set(xlabel="score w + b", ylabel="gradient ∂L/∂w", ylim=(-0.02, 1.02))
        prediction.set_title("The quadratic loss stalls", loc="left")
        gradient.set_title("Its gradient starts near 0", loc="left")
        reason.set_title("The gradient by the score", loc="left")
        figure.legend(*gradient.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
