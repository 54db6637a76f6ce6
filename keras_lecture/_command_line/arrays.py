"""Reads the arguments of `fit` from an `.npz` file."""

import re
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_lecture._command_line.endings import OWNER, USAGE, Ended, one_line
from keras_lecture._core import checks, stored_arrays

# The name of an array is an argument of `fit`, or the argument, an underscore, and the number or name of an input or
# output of the model.
_TRAINING = ("x", "y", "sample_weight")
VALIDATION = ("x_val", "y_val", "sample_weight_val")


def arguments_of_fit(option: str, path: Path, model: keras.Model, *, validation: bool = True) -> dict[str, Any]:
    """`x`, `y` and `sample_weight` as the model takes them, and `x_val`, `y_val` and `sample_weight_val` if there."""
    roles = (*VALIDATION, *_TRAINING) if validation else _TRAINING
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, array in _arrays(option, path, roles).items():
        role = _role(name, roles)
        found.setdefault(role, {})[name[len(role) + 1 :]] = array
    for needed in ("x", "y"):
        if needed not in found:
            raise Ended(USAGE, f"{path} must have an array `{needed}`. It has {_listed(found)}.")
    for first in ("x_val", "y_val"):
        if first not in found and set(VALIDATION) & set(found):
            raise Ended(USAGE, f"{path} must have an array `{first}` for validation. It has {_listed(found)}.")
    return {role: _structured(path, role, found[role], model) for role in (*_TRAINING, *VALIDATION) if role in found}


def _arrays(option, path, roles):
    """The arrays by name. Pickled objects, which could run code, are refused."""
    remedy = "Pass a file written by `np.savez(path, x=x, y=y)`."
    if not path.is_file():
        checks.reject(OWNER, option, "an existing file", str(path), remedy)
    if not zipfile.is_zipfile(path):
        checks.reject(OWNER, option, "an .npz file", str(path), remedy)
    try:
        with zipfile.ZipFile(path) as members:
            names = [name.removesuffix(".npy") for name in members.namelist() if name.endswith(".npy")]
        for name in names:
            if _role(name, roles) is None:
                allowed = f"{', '.join(sorted(roles))}, or one of these with _0, _1, … or _NAME"
                hint = checks.nearest(name, roles)
                raise Ended(USAGE, f"{path} has an array `{name}`, but its arrays must be {allowed}. {hint}".rstrip())
        return stored_arrays.arrays(path)
    except Ended:
        raise
    except Exception as error:
        text = str(error)
        reason = "it contains Python objects, not numbers" if "pickle" in text else one_line(text)
        raise Ended(USAGE, f"{path} cannot be read: {reason or type(error).__name__}. {remedy}") from error


def _role(name, roles):
    return next((role for role in roles if name == role or name.startswith(f"{role}_")), None)


def _listed(found):
    return ", ".join(f"`{name}`" for name in found) or "no arrays"


def _structured(path, role, parts, model):
    """One array, or several in the structure of the model's inputs or outputs."""
    if list(parts) == [""]:
        return parts[""]
    structure, names = _form(model, role)
    # Dicts have no order that a saved model would keep: their parts have names only.
    if all(re.fullmatch(r"\d+", part) for part in parts) and not isinstance(structure, dict):
        expected = list(map(str, range(len(names) or len(parts))))
    else:
        expected = names or list(parts)
    if sorted(parts) != sorted(expected):
        several = ", ".join(f"`{role}_{name}`" for name in expected)
        wanted = f"an array `{role}`" if len(expected) == 1 else f"one array `{role}`, or {several}"
        raise Ended(USAGE, f"{path} must have {wanted}. It has {_listed(_full(role, parts))}.")
    flat = [parts[name] for name in expected]
    if len(flat) == 1:
        return flat[0]
    if structure is None:
        return flat if expected[0] == "0" else dict(zip(expected, flat, strict=True))
    return keras.tree.pack_sequence_as(structure, flat)


def _full(role, parts):
    return [f"{role}_{part}".removesuffix("_") for part in parts]


def _form(model, role):
    """The structure of the model's inputs or outputs, and their names in the order of `keras.tree.flatten`.

    `None` and no names for a model without a fixed structure.
    """
    kind = "input" if role.startswith("x") else "output"
    # A sequential model has the second alone.
    structure = getattr(model, kind, None)
    structure = getattr(model, f"{kind}s", None) if structure is None else structure
    if structure is None:
        return None, []
    if isinstance(structure, dict):
        return structure, [str(path[-1]) for path, _ in keras.tree.flatten_with_path(structure)]
    names = getattr(model, "output_names", None) if kind == "output" else None
    return structure, list(names or (tensor.name for tensor in keras.tree.flatten(structure)))
