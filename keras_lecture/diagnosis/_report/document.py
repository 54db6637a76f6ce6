"""The document of a run: its record with the answers of the rules and the treatments, as plain data.

findings   a list of `Finding.to_dict()`
unknown    a list of {"rule", "reason", "needed"}
actions    a list of treatments: {"step", "epoch", "rule", "layer", "kind", "text", "before", "after", "undone"}
rules      "default", or the list of the names of the rules that judged
"""

import dataclasses
import json
import os
from typing import Any

from keras_lecture._core import checks
from keras_lecture.diagnosis._record.record import SCHEMA, plain, read
from keras_lecture.diagnosis._rules import judge
from keras_lecture.diagnosis._rules.rule import Finding

Document = dict[str, Any]

_EXPECTED = "a `Doctor`, its record or document, or the path of a file that `Doctor.save` wrote"


def resolve(owner: str, argument: str, run: Any) -> Document:
    """The document of a `Doctor`-like object, of a record or document, or of a JSON file; judged if it was not."""
    if hasattr(run, "document"):
        document = run.document()
    elif isinstance(run, dict):
        if run.get("schema") != SCHEMA:
            checks.reject(owner, argument, f"a record of schema {SCHEMA}", run.get("schema"))
        document = run
    elif isinstance(run, str | os.PathLike):
        document = _from_file(owner, argument, run)
    else:
        checks.reject(owner, argument, _EXPECTED, type(run), error=TypeError)
    return document if "findings" in document else judged(document)


def _from_file(owner, argument, path):
    try:
        return read(path)
    except json.JSONDecodeError:
        checks.reject(owner, argument, "the path of a JSON file", os.fspath(path), f"It must be {_EXPECTED}.")


def judged(record: dict[str, Any]) -> Document:
    """The document of a record alone."""
    record = plain(record)
    answers = judge(record)
    step, _ = steps_and_epochs(record)
    found = [dataclasses.replace(answer, changed_step=step) for answer in answers if isinstance(answer, Finding)]
    unknown = [dataclasses.asdict(answer) for answer in answers if not isinstance(answer, Finding)]
    return {**record, "findings": [finding.to_dict() for finding in found], "unknown": unknown, "actions": []}


def steps_and_epochs(document: Document) -> tuple[int, int]:
    """The numbers of steps and of epochs of the run."""
    epochs, steps = document.get("epochs") or [], document.get("losses", {}).get("steps") or []
    seen = [*steps[-1:], *(entry["step"] for entry in [*epochs[-1:], *document.get("probes", [])[-1:]])]
    # An interrupted epoch has steps, but no entry.
    seen.append(document.get("fit", {}).get("steps") or 0)
    first = document.get("fit", {}).get("initial_epoch") or 0
    return int(max(seen, default=0)), int(epochs[-1]["epoch"] + 1 - first) if epochs else 0


def epoch_of(document: Document, step: int) -> int | None:
    """The number, from 1, of the epoch in which a step was taken; `None` if the record does not tell."""
    return next((entry["epoch"] + 1 for entry in document.get("epochs") or [] if entry["step"] >= step), None)
