"""Loads the model file of a command; every failure is a usage error of one line."""

import re
import warnings
import zipfile
from pathlib import Path

import keras

from keras_lecture._command_line.endings import OWNER, USAGE, Ended, one_line
from keras_lecture._core import checks

_UNKNOWN = re.compile(r"Could not locate (class|function) '([^']+)'")
# Keras appends the whole configuration of the model to its messages.
_LONGEST = 300


def compiled_model(path: Path) -> keras.Model:
    """The compiled model in a `.keras` file.

    Keras's safe mode stays on, and other formats are refused: the older `.h5` files could run code on loading.
    """
    remedy = 'Pass a file written by `model.save("….keras")`.'
    if not path.is_file():
        checks.reject(OWNER, "MODEL.keras", "an existing file", str(path), remedy)
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        checks.reject(OWNER, "MODEL.keras", "a .keras file", str(path), remedy)
    try:
        # An optimizer whose state cannot be loaded does not matter before training.
        with warnings.catch_warnings(action="ignore"):
            model = keras.saving.load_model(path, safe_mode=True)
    except Exception as error:
        raise Ended(USAGE, f"{path} cannot be loaded: {_reason(error)}") from error
    if not getattr(model, "compiled", False):
        remedy = "Call `model.compile(…)` before `model.save(…)`: the loss is judged, too."
        checks.reject(OWNER, "MODEL.keras", "a compiled model", str(path), remedy)
    return model


def _reason(error):
    text = str(error)
    unknown = _UNKNOWN.search(text)
    if unknown:
        remedy = "call `diagnosis.audit(model, x, y)` where it is defined"
        return f"the {unknown[1]} {unknown[2]!r} is known neither to Keras nor to keras_lecture: {remedy}"
    if "lambda" in text and "unsafe" in text:
        return "it contains Python code, which may do anything: call `diagnosis.audit(model, x, y)` in your own script"
    line = one_line(text)
    short = line if len(line) <= _LONGEST else f"{line[:_LONGEST]} …"
    return f"{type(error).__name__}: {short}"
