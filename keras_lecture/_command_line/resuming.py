"""Checks that a resumed run has the same options as the run whose state it continues."""

import json
from pathlib import Path

from keras_lecture._command_line.endings import OWNER
from keras_lecture._command_line.files import writable
from keras_lecture._command_line.record import plain
from keras_lecture._core import checks
from keras_lecture._core.whole_files import written

# Options that may change on resuming. With another seed, for example, the test part would contain training samples.
_FREE = ("command", "epochs", "out", "json", "save", "resume")
_FILE = "arguments.json"


def state_of(arguments, folder: Path) -> Path:
    """The folder of the training state; rejects options that differ from those of the saved run."""
    state = writable(folder / "state")
    asked = plain({name: value for name, value in vars(arguments).items() if name not in _FREE})
    path = state / _FILE
    if path.exists() and any(state.glob("run-*.npz")):
        remedy = f"Remove {state} to start over."
        known = _read(path, remedy)
        for name, value in asked.items():
            if value != known.get(name):
                expectation = f"{_words(known.get(name))}, as in the run to be resumed"
                checks.reject(OWNER, f"--{name.replace('_', '-')}", expectation, _words(value), remedy)
    with written(path) as unfinished:
        unfinished.write_text(json.dumps(asked) + "\n", encoding="utf-8")
    return state


def _read(path, remedy):
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    # No text, no JSON, or nested too deeply.
    except (ValueError, RecursionError):
        known = None
    if not isinstance(known, dict):
        checks.reject(OWNER, "--resume", "used with an intact file of options", str(path), remedy)
    return known


def _words(value) -> str:
    """The value as typed on the command line."""
    if isinstance(value, list):
        return " ".join(map(_words, value))
    if isinstance(value, bool):
        return "given" if value else "left out"
    return "left out" if value is None else str(value)
