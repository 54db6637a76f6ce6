"""Selects the framework for Keras before Keras is imported."""

import importlib.util
import json
import os
import sys
from collections.abc import Collection
from pathlib import Path

from keras_lecture._command_line.endings import USAGE, Ended
from keras_lecture._core import checks

# In order of preference, for the case that several are installed and none is requested.
FRAMEWORKS = ("jax", "torch", "tensorflow")
# Keras's own default.
_DEFAULT = "tensorflow"


def select() -> str | None:
    """Sets KERAS_BACKEND; returns a note for the user if Keras alone would have chosen another framework."""
    if "keras" in sys.modules:
        return None
    installed = [name for name in FRAMEWORKS if _is_installed(name)]
    name, note = selected(os.environ.get("KERAS_BACKEND"), _configured(), installed)
    os.environ["KERAS_BACKEND"] = name
    return note


def selected(asked: str | None, configured: str | None, installed: Collection[str]) -> tuple[str, str | None]:
    """The framework and a note, from the environment variable, Keras's configuration file and the installed ones.

    A framework in the variable is used or rejected. The configuration file may have been written by Keras itself, so
    its framework is replaced if it is not installed.
    """
    if not installed:
        raise Ended(USAGE, f"no framework is installed: pip install one of {', '.join(FRAMEWORKS)}")
    if asked:
        name = asked.strip().lower()
        if name not in FRAMEWORKS:
            remedy = checks.nearest(name, FRAMEWORKS) or f"Installed: {', '.join(installed)}."
            listed = ", ".join(map(repr, sorted(FRAMEWORKS)))
            raise Ended(USAGE, f"`KERAS_BACKEND` must be one of {listed}. Received: KERAS_BACKEND={asked!r}. {remedy}")
        if name not in installed:
            raise Ended(USAGE, f"KERAS_BACKEND={asked}: {name} is not installed, only {' and '.join(installed)}")
        return name, None
    wanted = configured or _DEFAULT
    if wanted in installed:
        return wanted, None
    reason = "is not installed" if wanted in FRAMEWORKS else "cannot train"
    return installed[0], f"{wanted} {reason}: running on {installed[0]} (set KERAS_BACKEND to choose)"


def _is_installed(name) -> bool:
    spec = importlib.util.find_spec(name)
    # A folder with the same name in the working directory has no origin.
    return spec is not None and spec.origin is not None


def _configured() -> str | None:
    """The backend in Keras's configuration file, found as Keras finds it."""
    home = Path(os.path.expanduser("~"))
    home = home if os.access(home, os.W_OK) else Path("/tmp")
    folder = os.environ.get("KERAS_HOME", home / ".keras")
    try:
        return json.loads(Path(folder, "keras.json").expanduser().read_text()).get("backend")
    except (OSError, ValueError, AttributeError):
        return None
