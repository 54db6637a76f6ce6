"""Exit codes, and the exception that ends a command with one line of explanation."""

import contextlib
import re

OWNER = "keras-lecture"
OK, FAILED, USAGE, DIVERGED, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES = """\
exit codes:
  0    success; audit, report: no finding of medium or high severity
  1    failure: a file or folder cannot be written, or an unexpected error occurred
  2    the command is invalid; one line says what to change
  3    the training diverged: a loss or a gradient is not finite
  4    audit, report: it works worse than it could (a finding of medium severity)
  5    audit, report: it will not work (a finding of high severity)
  6    audit, report: nothing could be judged
  130  interrupted
  143  ended by SIGTERM
"""
# Keras prints the original message in bold, between the name of the layer and the arguments of its call.
_BOLD = re.compile(r"\x1b\[1m(.*?)\x1b\[0m", re.DOTALL)
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Ended(Exception):
    """Ends the command with an exit code and a one-line message that says why and what to do."""

    def __init__(self, code: int, message):
        super().__init__(one_line(message))
        self.code = code


def one_line(message) -> str:
    """The error message as one line, without terminal codes."""
    text = str(message)
    bold = _BOLD.search(text)
    return " ".join(_ESCAPES.sub("", bold[1] if bold else text).split())


@contextlib.contextmanager
def usage_errors():
    """Turns any error while the experiment is built from the options into a usage error."""
    try:
        yield
    except Ended:
        raise
    except Exception as error:
        known = isinstance(error, ValueError | TypeError | ImportError | OSError)
        raise Ended(USAGE, error if known else f"{type(error).__name__}: {error}") from error
