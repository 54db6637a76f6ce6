"""The record of a training run: plain numbers with a versioned schema, from which rules and reports are computed.

A record is a `dict` that `json` can write. Numbers that are not finite are the strings `"nan"`, `"inf"` and `"-inf"`,
because JSON has none. Missing knowledge is `None`, or a missing key; a rule that needs it answers `unknown`.

    schema         1
    library, keras, backend                     versions, and the name of the backend
    model          see `_facts/model.py`: layers in call order, outputs, losses, optimizer
    data           see `_facts/data.py`: inputs, targets, validation, baseline
    fit            epochs, batch_size, steps_per_epoch, shuffle, class_weight, samples, source
    start          loss, error, chance, regularization: before the first step, on the probe
    probes         a list of states: step, epoch, train, validation, layers (rows of `signals`), see below
    losses         {"steps": […], "values": […]}: mean training loss of the steps since the previous entry
    epochs         a list: epoch (from 0), step (steps so far), logs
    steps          a list of observed optimizer steps: step, learning_rate, weights: {path: {"update", "moved"}}, cosine
    invariants     {name: {"holds": True | False | None, "where": …, "detail": …}}
    unseen         sentences: what could not be measured, and why

A probe, all in inference mode except `layers`, which are measured in training mode:

    {"step": 20, "epoch": 0,
     "train":      {"loss": …, "error": …, "regularization": …, "accuracy": …, "renumbered": …, "same_output": …},
     "validation": the same, or None,
     "training_mode": {"loss": …},
     "layers": [{"layer", "class", "activation", "mean", "std", "zeros", "dead", "units", "saturated", "equal",
                 "gradient", "nonfinite", "weights": [{"path", "norm", "gradient", "update"}]}]}

`error` is the standard error of the mean loss, `renumbered` the accuracy under the best numbering of the classes, and
`same_output` whether every sample has the same output.
"""

import importlib.metadata
import json
import math
import os
from typing import Any

import keras

from keras_lecture._core.whole_files import written

SCHEMA = 1
# The most samples of a part whose losses and accuracies a probe holds.
PROBE_SAMPLES = 192

Record = dict[str, Any]


def new_record() -> Record:
    """An empty record."""
    return {
        "schema": SCHEMA,
        "library": _package_version(),
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "model": {},
        "data": {},
        "fit": {},
        "start": {},
        "probes": [],
        "losses": {"steps": [], "values": []},
        "epochs": [],
        "steps": [],
        "invariants": {},
        "unseen": [],
    }


def _package_version() -> str | None:
    try:
        return importlib.metadata.version("keras_lecture")
    except importlib.metadata.PackageNotFoundError:
        return None


def plain(value: Any) -> Any:
    """`value` as JSON can write it: arrays become lists, floats have 5 digits, non-finite ones are strings."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else str(value)
    return value


def number(value: Any) -> float | None:
    """A number of a record as a float, also one that is not finite; `None` stays `None`."""
    return None if value is None else float(value)


def write(record: Record, path: str | os.PathLike[str]) -> None:
    """Writes a record as JSON; the file is replaced as a whole."""
    text = json.dumps(plain(record), allow_nan=False, separators=(",", ":"))
    with written(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def read(path: str | os.PathLike[str]) -> Record:
    """Reads a record; raises `ValueError` if the file is not one of this schema."""
    with open(path, encoding="utf-8") as file:
        record = json.load(file)
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else None
        raise ValueError(f"{os.fspath(path)} is no record of schema {SCHEMA}: its `schema` is {found!r}.")
    return record
