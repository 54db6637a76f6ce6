"""The program from its start to its exit code; Keras is imported only after the framework has been selected."""

import importlib
import os
import sys
import tempfile
import traceback
from pathlib import Path

from keras_lecture._command_line import framework
from keras_lecture._command_line.endings import FAILED, INTERRUPTED, OWNER, USAGE, Ended, one_line
from keras_lecture._command_line.streams import flushed, forgive_characters, say


def is_running() -> bool:
    """Whether this process was started as `python -m keras_lecture` or `keras-lecture`."""
    # While Python looks for the module behind `-m`, the first argument is "-m" and the module precedes the others.
    if sys.argv[:1] == ["-m"]:
        return sys.orig_argv[-len(sys.argv)].removeprefix("-m") == "keras_lecture"
    return Path(sys.argv[0] if sys.argv else "").name in (OWNER, f"{OWNER}.exe")


def main(argv: list[str] | None = None) -> int:
    """Runs one command; `argv` is what follows the program's name. Returns the exit code."""
    forgive_characters()
    try:
        code = _run(argv)
    except SystemExit as done:  # `--help` and `--version`
        code = done.code or 0
    except Ended as end:
        say(str(end))
        code = end.code
    except KeyboardInterrupt:
        say("interrupted")
        code = INTERRUPTED
    except Exception as error:
        say(f"{type(error).__name__}: {one_line(error)} (traceback: {_saved_traceback()})")
        code = FAILED
    return flushed(code)


def _run(argv) -> int:
    note = framework.select()
    if note:
        say(note)
    try:
        entry = importlib.import_module("keras_lecture._command_line.entry")
    except Exception as error:
        name = os.environ.get("KERAS_BACKEND", "")
        raise Ended(USAGE, f"Keras cannot be imported on {name}: {type(error).__name__}: {error}") from error
    return entry.run(argv)


def _saved_traceback() -> str:
    """Saves the traceback of the current error to a temporary file."""
    with tempfile.NamedTemporaryFile("w", prefix=f"{OWNER}-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write(traceback.format_exc())
    return file.name
