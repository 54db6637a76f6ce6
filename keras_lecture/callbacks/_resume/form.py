"""Requires the form of a checkpoint of `ExactResume`, whose bytes may be intact and written by someone else."""

import contextlib
from typing import Any

import numpy as np

# Past epochs are repeated for data without a state: a file must not ask for more than a run can have had.
_MOST = 10**7
_KINDS = {"random": dict, "callbacks": dict, "model": dict, "data": dict, "stopped": bool}


def check(tree: dict[str, Any]) -> None:
    """Raises `ValueError` with the entry that no run writes."""
    if not isinstance(tree, dict):
        raise ValueError("it is no checkpoint of a run")
    for name, kind in _KINDS.items():
        if not isinstance(tree.get(name), kind):
            raise ValueError(f"its `{name}` is no {kind.__name__}")
    for name in ("epoch", "batch", "first_epoch", "batches"):
        value = tree.get(name)
        if name == "batches" and value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
            raise ValueError(f"its `{name}` is {value!r:.40}")
    if tree["first_epoch"] > tree["epoch"]:
        raise ValueError(f"its `epoch` is {tree['epoch']}, before the first one, {tree['first_epoch']}")
    for group, entries in tree["model"].items():
        if not isinstance(entries, list) or not all(map(_is_variable, entries)):
            raise ValueError(f"its `model` has no list of variables in {group!r}")


@contextlib.contextmanager
def restoring(folder):
    """Says in which folder a state is that has the form of a checkpoint and cannot be restored."""
    try:
        yield
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise ValueError(
            f"ExactResume: the latest file in {folder} has a state that cannot be restored ({type(error).__name__}: "
            f"{error}): the file, or the class of a callback, was changed. Use another folder to start over."
        ) from error


def _is_variable(entry):
    if not isinstance(entry, dict) or not isinstance(entry.get("value"), np.ndarray):
        return False
    return isinstance(entry.get("path"), str) and isinstance(entry.get("dtype"), str)
