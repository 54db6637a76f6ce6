"""The losses that a model was compiled with, by family."""

import contextlib
import warnings
from typing import Any

import keras

# Names in snake case, without underscores, of Keras's functions and classes and of ours.
_FAMILIES = {
    "categoricalcrossentropy": "categorical_crossentropy",
    "categoricalfocalcrossentropy": "categorical_crossentropy",
    "sparsecategoricalcrossentropy": "sparse_categorical_crossentropy",
    "softmaxcrossentropy": "softmax_crossentropy",
    "binarycrossentropy": "binary_crossentropy",
    "binaryfocalcrossentropy": "binary_crossentropy",
    "meansquarederror": "squared",
    "mse": "squared",
    "l2": "squared",
    "meanabsoluteerror": "absolute",
    "mae": "absolute",
    "l1": "absolute",
    "huber": "absolute",
    "logcosh": "absolute",
    "meanabsolutepercentageerror": "absolute",
    "mape": "absolute",
    "meansquaredlogarithmicerror": "squared",
    "msle": "squared",
    "hinge": "hinge",
    "squaredhinge": "hinge",
    "smoothhinge": "hinge",
    "logistic": "hinge",
}


def compiled_losses(model: keras.Model) -> list[dict[str, Any]]:
    """One entry for each output that has a loss: its class, family and options."""
    loss = getattr(model, "loss", None)
    if loss is None:
        return []
    if isinstance(loss, dict):
        return [_described(each, str(name)) for name, each in loss.items() if each is not None]
    names = list(getattr(model, "output_names", None) or ())
    losses = list(loss) if isinstance(loss, list | tuple) else [loss] * max(1, len(names))
    if len(losses) != len(names):
        names = [""] * len(losses)
    # An output may have no loss.
    return [_described(each, name) for name, each in zip(names, losses, strict=True) if each is not None]


def _described(loss, output):
    if isinstance(loss, str):
        try:
            loss = keras.losses.get(loss)
        except ValueError:
            return _entry(output, loss, "other", None, 0.0, None)
    name = getattr(loss, "__name__", type(loss).__name__)
    family = _FAMILIES.get(name.replace("_", "").lower(), "other")
    is_ours = type(loss).__module__.startswith("keras_lecture.")
    # The function inside of Keras's wrapper of a user's function has no such options.
    from_logits = _option(loss, "from_logits", False if "crossentropy" in family else None)
    if is_ours and "crossentropy" in family:
        from_logits = True
    if family == "softmax_crossentropy":
        # It takes class numbers and distributions.
        family = "sparse_categorical_crossentropy"
    smoothing = _option(loss, "label_smoothing", 0.0)
    entry = _entry(output, name, family, from_logits, float(smoothing or 0.0), _option(loss, "ignore_class", None))
    # A sum grows with the batch.
    return {**entry, "sums": getattr(loss, "reduction", None) == "sum"}


def _option(loss, name, default):
    """An argument of the loss: an attribute, or in Keras 3.16 an entry of its config alone."""
    if hasattr(loss, name) or not isinstance(loss, keras.losses.Loss):
        return getattr(loss, name, default)
    # A user's loss may have no config, or one that warns of a lambda.
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return loss.get_config().get(name, default)
    return default


def _entry(output, name, family, from_logits, smoothing, ignored):
    return {
        "output": output,
        "class": name,
        "family": family,
        "from_logits": from_logits,
        "label_smoothing": smoothing,
        "ignore_class": ignored,
    }
