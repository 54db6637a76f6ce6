"""Callbacks that take a worse value of what they monitor for a better one."""

from collections.abc import Iterable
from typing import Any

import keras

from keras_lecture._core.listing import listed
from keras_lecture.diagnosis._facts.entries import absent, entry

_MODES = {"min": "smaller", "max": "larger"}


def fact(callbacks: Iterable[Any], model: keras.Model) -> dict[str, Any]:
    """Whether each callback with an explicit `mode` takes a smaller loss, or a better metric, for an improvement."""
    judged, wrong = 0, []
    for each in callbacks:
        mode, monitor = getattr(each, "mode", None), getattr(each, "monitor", None)
        # A checkpoint of every epoch compares nothing.
        compares = isinstance(monitor, str) and mode in _MODES and getattr(each, "save_best_only", True)
        expected = better(monitor, model) if compares else None
        if expected is not None:
            judged += 1
            if mode != expected:
                wrong.append(f"{type(each).__name__} takes a {_MODES[mode]} {monitor} for an improvement")
    if not judged:
        return absent("no callback monitors a known number with a given `mode`")
    return entry(not wrong, None, listed(wrong))


def better(monitor: str, model: keras.Model) -> str | None:
    """`"min"` or `"max"`: what is better for this number in the logs; `None` if it is not known."""
    name = monitor.removeprefix("val_")
    if name == "loss" or name.endswith("_loss"):
        return "min"
    known = [part for metric in model.metrics for part in (metric, *getattr(metric, "metrics", ()))]
    directions = {getattr(metric, "_direction", None) for metric in known if metric.name == name} - {None}
    return {"up": "max", "down": "min"}[directions.pop()] if len(directions) == 1 else None
