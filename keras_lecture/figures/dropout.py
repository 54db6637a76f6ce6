"""`dropout`: its signal in training and at inference, the gap to other data, and its committee as a figure."""

from collections.abc import Mapping
from typing import Any

from keras_lecture._core import checks
from keras_lecture.figures import experiments
from keras_lecture.figures._canvas import BLUE, GRAY, GREEN, RED, Figure, canvas, panels


def dropout(data: Mapping[str, Any] | None = None, *, theme: str = "light") -> Figure:
    """The effects of dropout: on the input of a neuron, on the generalization gap, and as an average of many networks.

    Use it to see why values are scaled, and what the noise in training is good for.

    Args:
        data: The result of `experiments.dropout`. Defaults to `None`: the experiment runs, in seconds.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("dropout.png")`.

    Example:
        >>> data = keras_lecture.figures.experiments.dropout(examples=20, units=8, epochs=1)
        >>> [axes.get_xlabel() for axes in keras_lecture.figures.dropout(data).axes]
        ['input of a neuron, Σ wᵢ·hᵢ', 'epoch', 'networks in the committee']

    Reference:
        Decks A, B and E.
    """
    data = experiments.dropout() if data is None else data
    if not isinstance(data, Mapping) or not data.get("committee"):
        checks.reject("dropout", "data", "the result of `experiments.dropout`", data, "Pass `None` to run it.")
    with canvas("dropout", theme):
        figure, axes = panels(3, width=3.0, height=3.8)
        for one, draw in zip(axes, (_signal, _gap, _committee), strict=True):
            draw(one, data)
            one.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return figure


def _signal(axes, data):
    signal, keep = data["signal"], 1 - data["rate"]
    axes.hist(signal["training"], bins=30, color=BLUE, alpha=0.6, label="training, one mask each")
    axes.axvline(signal["inference"], color=RED, linestyle="--", label=f"inference, scaled by {keep:g}")
    axes.axvline(signal["unscaled"], color=GRAY, linestyle=":", label="inference, not scaled")
    axes.set(xlabel="input of a neuron, Σ wᵢ·hᵢ", ylabel="number of masks", xlim=(0, None))
    axes.set_title("Scaled to the mean of the masks", loc="left")


def _gap(axes, data):
    for name, color, dashes in (("no dropout", RED, "--"), ("dropout", BLUE, "-")):
        epochs = data["epoch"][name]
        axes.plot(epochs, data["held_out_loss"][name], color=color, linestyle=dashes, label=f"{name}, held-out")
        thin = {"linewidth": 1, "marker": "o", "ms": 3, "markevery": max(len(epochs) // 8, 1)}
        axes.plot(epochs, data["training_loss"][name], color=color, linestyle=dashes, label=f"{name}, training", **thin)
    axes.set(xlabel="epoch", ylabel="loss in inference mode", ylim=(0, None))
    axes.set_title("A smaller gap", loc="left")
    axes.grid()


def _committee(axes, data):
    accuracy = data["committee"]["accuracy"]
    numbers = range(1, len(accuracy) + 1)
    axes.plot(numbers, accuracy, color=GREEN, marker="o", ms=3, label="mean over masks")
    axes.axhline(data["accuracy"]["dropout"][-1], color=BLUE, label="all units, scaled")
    axes.axhline(data["accuracy"]["no dropout"][-1], color=RED, linestyle="--", label="trained without dropout")
    axes.set(xlabel="networks in the committee", ylabel="held-out accuracy")
    axes.set_title("A committee in one network", loc="left")
    axes.grid()
