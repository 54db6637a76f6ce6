"""Reads and checks the file of the doctor that a command reports on."""

import contextlib
import dataclasses
from pathlib import Path

from keras_lecture._command_line.endings import OWNER, USAGE, Ended, one_line
from keras_lecture._core import checks
from keras_lecture.diagnosis._record.record import new_record, read
from keras_lecture.diagnosis._rules.rule import Finding, Unknown

_REMEDY = "Pass a file that `Doctor.save` or `train --doctor` of this version wrote."
_LISTS = {"findings": Finding, "unknown": Unknown, "actions": None}


def read_document(option: str, path: Path) -> dict:
    """The document in a file; every failure is a usage error of one line."""
    if path.is_dir() or not path.exists():
        checks.reject(OWNER, option, "an existing file", str(path), _REMEDY)
    try:
        document = read(path)
    except OSError as error:
        raise Ended(USAGE, f"cannot read {path}: {error.strerror}") from error
    # A file that is no text, no JSON, or nested too deeply.
    except (UnicodeDecodeError, RecursionError) as error:
        raise Ended(USAGE, f"{path} is not JSON: {type(error).__name__}. {_REMEDY}") from error
    except ValueError as error:
        reason = f"{path} is not JSON: {error}." if hasattr(error, "lineno") else str(error)
        raise Ended(USAGE, f"{reason} {_REMEDY}") from error
    _check(path, document)
    return document


def _check(path, document):
    """Requires the form of a document: parts of the right kind, and findings with all their fields."""
    forms = {name: type(value) for name, value in new_record().items() if isinstance(value, dict | list)}
    for name, kind in {**forms, **dict.fromkeys(_LISTS, list)}.items():
        if name in document and not isinstance(document[name], kind):
            raise Ended(USAGE, f"{path} is damaged: its `{name}` must be a {kind.__name__}. {_REMEDY}")
    for name, unit in _LISTS.items():
        needed = {field.name for field in dataclasses.fields(unit)} - {"changed_step"} if unit else set()
        for entry in document.get(name, []):
            if not isinstance(entry, dict) or not needed <= set(entry):
                raise Ended(USAGE, f"{path} is damaged: an entry of its `{name}` is incomplete. {_REMEDY}")


@contextlib.contextmanager
def damage(*paths: Path | None):
    """An error that values in a file cause, below the level that `read_document` checks, is a usage error."""
    try:
        yield
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        reason = f"{type(error).__name__}: {one_line(error)}"
        names = " or ".join(str(path) for path in paths if path is not None)
        raise Ended(USAGE, f"{names} is damaged: it cannot be reported on ({reason}). {_REMEDY}") from error
