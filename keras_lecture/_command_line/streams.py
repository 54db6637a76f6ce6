"""Writes to standard output and error; a closed pipe (`| head`) does not make the command fail."""

import os
import sys

from keras_lecture._command_line.endings import FAILED, OWNER


def say(message: str):
    """Prints one line to standard error, prefixed with the name of the program."""
    try:
        print(f"{OWNER}: {message.removeprefix(f'{OWNER}: ')}", file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def out(text: str):
    """Prints text to standard output."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        discard(sys.stdout)


def flushed(code: int) -> int:
    """Flushes the output and returns the exit code, which becomes a failure if the disk is full."""
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
    """Redirects the stream to the null device: Python flushes it again at exit and would report the same error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def replace_unknown_characters():
    """Replaces characters that the terminal cannot encode, instead of failing after hours of training."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
