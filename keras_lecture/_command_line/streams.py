"""Writes to the standard output and error; a reader that has gone (`| head`) is no failure of the command."""

import os
import sys

from keras_lecture._command_line.endings import FAILED, OWNER


def say(message: str):
    """One line on the standard error that begins with the program's name."""
    try:
        print(f"{OWNER}: {message.removeprefix(f'{OWNER}: ')}", file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def out(text: str):
    """Text on the standard output."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        discard(sys.stdout)


def flushed(code: int) -> int:
    """The exit code once the output is written: a full disk makes a failure of success."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        discard(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            say(f"cannot write the output: {error.strerror}")
            return code or FAILED
    return code


def discard(stream):
    """Sends the rest to nowhere: Python flushes the stream again at its exit, and would report the same error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def forgive_characters():
    """A terminal that lacks a character gets another one, not an error after hours of training."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
