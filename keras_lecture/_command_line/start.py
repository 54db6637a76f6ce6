"""The main function; it imports Keras only after it has selected the framework."""

import importlib
import os
import sys
import tempfile
import traceback
from pathlib import Path

from keras_lecture._command_line import framework
from keras_lecture._command_line.endings import FAILED, INTERRUPTED, OWNER, USAGE, Ended, one_line
from keras_lecture._command_line.streams import flushed, replace_unknown_characters, say


def is_running() -> bool:
    """Whether this process was started as `python -m keras_lecture` or `keras-lecture`."""
    # While Python looks up the module after `-m`, `sys.argv[0]` is "-m" and the module is in `sys.orig_argv`.
    if sys.argv[:1] == ["-m"]:
        return sys.orig_argv[-len(sys.argv)].removeprefix("-m") == "keras_lecture"
    return Path(sys.argv[0] if sys.argv else "").name in (OWNER, f"{OWNER}.exe")


def main(argv: list[str] | None = None) -> int:
    """Runs a command with the arguments `argv` and returns the exit code."""
    replace_unknown_characters()
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
    """Saves the current traceback to a temporary file and returns its path."""
    with tempfile.NamedTemporaryFile("w", prefix=f"{OWNER}-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write(traceback.format_exc())
    return file.name
