"""`learning_curves`: loss, accuracy and gradient norm per epoch as a figure."""

from collections.abc import Mapping
from typing import Any

from keras_lecture._core import checks
from keras_lecture.figures._canvas import BLUE, GRAY, RED, Figure, canvas, panels, whole_ticks

_PANELS = {"loss": "loss", "accuracy": "accuracy", "gradient_norm": "gradient norm ‖g‖"}


def learning_curves(record: Mapping[str, Any], *, theme: str = "light") -> Figure:
    """Loss, accuracy and gradient norm over the epochs, training and validation in one panel.

    Use it to see whether a run still improves, overfits (the validation loss rises) or has vanishing gradients. It only
    draws the given numbers.

    Args:
        record: The contents of a `record.json` of `keras-lecture train`, or any mapping with a `"history"` as in
            Keras's `History`: lists with one number per epoch under `"loss"` and, if measured, `"accuracy"`,
            `"gradient_norm"` and the `"val_…"` of each.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("curves.png")`.

    Example:
        >>> history = {"loss": [2.0, 1.0, 0.5], "val_loss": [2.1, 1.2, 0.9], "gradient_norm": [4.0, 2.0, 1.0]}
        >>> figure = keras_lecture.figures.learning_curves({"history": history})
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['loss', 'gradient norm ‖g‖']

    Reference:
        Decks B, C, E (the curves of loss and accuracy); deck A (the norm of the gradient).
    """
    history = record.get("history") if isinstance(record, Mapping) else None
    if not isinstance(history, Mapping) or not history.get("loss"):
        remedy = 'Pass {"history": model.fit(…).history}.'
        checks.reject("learning_curves", "record", "a mapping with a `history` that has a `loss`", record, remedy)
    drawn = {name: label for name, label in _PANELS.items() if history.get(name)}
    with canvas("learning_curves", theme):
        figure, axes = panels(len(drawn))
        for one, (name, label) in zip(axes, drawn.items(), strict=True):
            _curve(one, history[name], GRAY if name == "gradient_norm" else BLUE, "training")
            if history.get(f"val_{name}"):
                _curve(one, history[f"val_{name}"], RED, "validation")
                one.legend()
            one.set(xlabel="epoch", ylabel=label)
            whole_ticks(one.xaxis)
            one.grid()
            # Losses and norms may fall by decades; accuracies are compared with 1.
            if name != "accuracy" and _spans_a_decade([*history[name], *(history.get(f"val_{name}") or [])]):
                one.set_yscale("log")
    return figure


def _curve(axes, values, color, label):
    """One value per epoch, from 1; records store non-finite values as `None`, where the curve has a gap."""
    values = [float("nan") if value is None else float(value) for value in values]
    marker = "o" if len(values) < 3 else None
    axes.plot(range(1, len(values) + 1), values, color=color, label=label, marker=marker)


def _spans_a_decade(values) -> bool:
    values = [value for value in values if value is not None]
    return bool(values) and 0 < 10 * min(values) < max(values)
