"""`learning_curves`: how a training went, epoch by epoch."""

from collections.abc import Mapping

from keras_lecture._core import checks
from keras_lecture.figures._canvas import BLUE, GRAY, RED, panels, whole_ticks

_PANELS = {"loss": "loss", "accuracy": "accuracy", "gradient_norm": "gradient norm ‖g‖"}


def learning_curves(record: Mapping):
    """Loss, accuracy and gradient norm over the epochs, training beside validation.

    Use it to see whether a training still learns, overfits (validation loss turns up) or loses its gradient. It draws
    what it is given and trains nothing.

    Args:
        record: What `keras-lecture train` writes as `record.json`, or any mapping with a `"history"` as Keras's `fit`
            returns it: a list of numbers, one for each epoch, under `"loss"` and, where they were measured,
            `"accuracy"`, `"gradient_norm"` and the `"val_…"` of each.

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
    figure, axes = panels(len(drawn))
    for one, (name, label) in zip(axes, drawn.items(), strict=True):
        _curve(one, history[name], GRAY if name == "gradient_norm" else BLUE, "training")
        if history.get(f"val_{name}"):
            _curve(one, history[f"val_{name}"], RED, "validation")
            one.legend(frameon=False)
        one.set(xlabel="epoch", ylabel=label)
        whole_ticks(one.xaxis)
        one.grid(alpha=0.25)
        # A loss and a norm may fall by decades; an accuracy is read against 1.
        if name != "accuracy" and _spans_a_decade([*history[name], *(history.get(f"val_{name}") or [])]):
            one.set_yscale("log")
    return figure


def _curve(axes, values, color, label):
    """One value for each epoch from 1; a record keeps what is not finite as `None`, and the curve has a gap there."""
    values = [float("nan") if value is None else float(value) for value in values]
    marker = "o" if len(values) < 3 else None
    axes.plot(range(1, len(values) + 1), values, color=color, label=label, marker=marker)


def _spans_a_decade(values) -> bool:
    values = [value for value in values if value is not None]
    return bool(values) and 0 < 10 * min(values) < max(values)
