"""Whether the training in a folder is the one that the command describes."""

import json
from pathlib import Path

from keras_lecture._command_line.endings import OWNER
from keras_lecture._command_line.files import made
from keras_lecture._command_line.record import plain
from keras_lecture._core import checks

# With these changed it is the same training. With another seed, say, it would be tested on what it has learned.
_FREE = ("command", "epochs", "out", "json", "save", "resume")
_FILE = "arguments.json"


def state_of(arguments, folder: Path) -> Path:
    """The folder of the state, whose training must have had the same options."""
    state = made(folder / "state")
    asked = plain({name: value for name, value in vars(arguments).items() if name not in _FREE})
    path = state / _FILE
    if path.exists() and any(file.name != _FILE for file in state.iterdir()):
        known = json.loads(path.read_text(encoding="utf-8"))
        for name, value in asked.items():
            if value != known.get(name):
                remedy = f"Remove {state} to begin anew."
                expectation = f"{_words(known.get(name))}, as in the training to be resumed"
                checks.reject(OWNER, f"--{name.replace('_', '-')}", expectation, _words(value), remedy)
    path.write_text(json.dumps(asked) + "\n", encoding="utf-8")
    return state


def _words(value) -> str:
    """The value as it is written on the command line."""
    if isinstance(value, list):
        return " ".join(map(_words, value))
    return "left out" if value is None else str(value)
