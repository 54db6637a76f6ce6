"""How a command ends: its exit codes, and the one line that says why."""

import contextlib
import re

OWNER = "keras-lecture"
OK, FAILED, USAGE, DIVERGED, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES = """\
exit codes:
  0    done
  1    failed: a file or folder that cannot be written, or an error that is no mistake of the user
  2    the command cannot be done as it was given; one line says what to change
  3    the training diverged: a loss or a gradient that is not finite
  130  interrupted
"""
# Keras sets the message of an error in bold, between the name of the layer and the layer's arguments.
_BOLD = re.compile(r"\x1b\[1m(.*?)\x1b\[0m", re.DOTALL)
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Ended(Exception):
    """The command cannot go on; the message is one line that says why and what to do."""

    def __init__(self, code: int, message):
        super().__init__(one_line(message))
        self.code = code


def one_line(message) -> str:
    """The message of an error in one line without terminal codes."""
    text = str(message)
    bold = _BOLD.search(text)
    return " ".join(_ESCAPES.sub("", bold[1] if bold else text).split())


@contextlib.contextmanager
def mistakes_of_the_user():
    """While what was asked for is looked up and built: any error here comes from what was asked for."""
    try:
        yield
    except Ended:
        raise
    except Exception as error:
        known = isinstance(error, ValueError | TypeError | ImportError | OSError)
        raise Ended(USAGE, error if known else f"{type(error).__name__}: {error}") from error
