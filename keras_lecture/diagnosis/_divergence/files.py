"""A recording in one `.npz` file: arrays, and the rest as JSON; nothing in it is unpickled."""

import dataclasses
import json
import os
from typing import Any

import numpy as np

from keras_lecture._core import stored_arrays
from keras_lecture._core.whole_files import written
from keras_lecture.diagnosis._divergence.quantities import Quantity
from keras_lecture.diagnosis._divergence.recording import Recording, Weight

SCHEMA = 2
_ARRAYS = ("own", "double")


def write(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Writes the file as a whole, under exactly this name."""
    arrays: dict[str, np.ndarray] = {}
    batch = [_packed(part, f"batch/{name}", arrays) for name, part in zip("xyw", recording.batch, strict=True)]
    weights, quantities = [], []
    for index, weight in enumerate(recording.weights):
        arrays[f"weight/{index}"] = _small(weight.values, weight.dtype)
        weights.append([weight.path, weight.layer, weight.dtype])
    for index, quantity in enumerate(recording.quantities):
        fields = {f.name: getattr(quantity, f.name) for f in dataclasses.fields(quantity) if f.name not in _ARRAYS}
        quantities.append(fields)
        arrays[f"own/{index}"] = _small(quantity.own, quantity.dtype)
        if quantity.double is not None:
            arrays[f"double/{index}"] = quantity.double
    head = {"schema": SCHEMA, "about": recording.about, "settings": recording.settings, "batch": batch}
    head |= {"weights": weights, "quantities": quantities, "notes": recording.notes}
    with written(path) as unfinished, open(unfinished, "wb") as file:
        np.savez_compressed(file, head=np.frombuffer(json.dumps(head).encode(), "uint8"), **arrays)


def read(path: str | os.PathLike[str]) -> Recording:
    """Reads a file; raises `ValueError` if it is not one of this schema."""
    try:
        arrays = stored_arrays.arrays(path)
        head = json.loads(bytes(arrays["head"]))
        schema = head["schema"]
    # A damaged file may raise any exception of zipfile, json and NumPy.
    except Exception as error:
        if isinstance(error, OSError) and not os.path.exists(path):
            raise
        raise ValueError(f"{os.fspath(path)} is no file of `divergence.record`: {error}.") from error
    if schema != SCHEMA:
        raise ValueError(f"{os.fspath(path)} has the schema {schema!r}; this version reads {SCHEMA}.")
    weights = [Weight(*fields, _large(arrays[f"weight/{index}"])) for index, fields in enumerate(head["weights"])]
    quantities = []
    for index, fields in enumerate(head["quantities"]):
        fields["shape"] = tuple(fields["shape"])
        double = arrays.get(f"double/{index}")
        quantities.append(Quantity(**fields, own=_large(arrays[f"own/{index}"]), double=double))
    batch = tuple(_unpacked(part, arrays) for part in head["batch"])
    return Recording(head["about"], head["settings"], weights, batch, quantities, head["notes"])


def _packed(structure: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """The structure with the arrays' names as leaves."""
    if structure is None:
        return None
    if isinstance(structure, dict):
        return {"dict": {key: _packed(part, f"{name}/{key}", arrays) for key, part in structure.items()}}
    if isinstance(structure, list | tuple):
        parts = [_packed(part, f"{name}/{index}", arrays) for index, part in enumerate(structure)]
        return {type(structure).__name__: parts}
    arrays[name] = structure
    return name


def _unpacked(packed, arrays):
    if packed is None:
        return None
    if isinstance(packed, str):
        return arrays[packed]
    ((kind, parts),) = packed.items()
    if kind == "dict":
        return {key: _unpacked(part, arrays) for key, part in parts.items()}
    unpacked = [_unpacked(part, arrays) for part in parts]
    return tuple(unpacked) if kind == "tuple" else unpacked


def _small(array, dtype):
    """Arrays in memory are float64; no type of less precision loses anything in float32."""
    return array.astype("float32") if array.dtype == "float64" and dtype != "float64" else array


def _large(array):
    return array.astype("float64") if array.dtype == "float32" else array
