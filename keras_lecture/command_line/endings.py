"""How a command ends: its exit codes, and the one line that says why."""

import contextlib

import keras

from keras_lecture import checks

OWNER = "keras-lecture"
OK, FAILED, USAGE, DIVERGED, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES = """\
exit codes:
  0    done
  1    failed: an error that is no mistake of the user, or a file that cannot be written
  2    the command cannot be done as it was given; one line says what to change
  3    the training diverged: a loss or a gradient that is not finite
  130  interrupted
"""


class Ended(Exception):
    """The command cannot go on; the message is one line that says why and what to do."""

    def __init__(self, code: int, message: str):
        super().__init__(" ".join(message.split()))
        self.code = code


@contextlib.contextmanager
def mistakes_of_the_user():
    """While what was asked for is looked up and built: what is refused here was asked for wrongly."""
    try:
        yield
    except (ValueError, TypeError, ImportError, OSError) as error:
        raise Ended(USAGE, str(error)) from error


@contextlib.contextmanager
def training(interrupted: str = "interrupted"):
    """While it trains: what our own checks refuse is a mistake of the user, any other error is none and goes on.

    What callbacks have to say goes to Keras's log: the standard output is for results.
    """
    talkative = keras.config.is_interactive_logging_enabled()
    keras.config.disable_interactive_logging()
    try:
        yield
    except FloatingPointError as error:
        raise Ended(DIVERGED, str(error)) from error
    except (ValueError, TypeError) as error:
        if not _refused_by_checks(error):
            raise
        raise Ended(USAGE, str(error)) from error
    except KeyboardInterrupt as error:
        raise Ended(INTERRUPTED, interrupted) from error
    finally:
        if talkative:
            keras.config.enable_interactive_logging()


def _refused_by_checks(error) -> bool:
    """A wrong `monitor`, say, is known only after an epoch."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__") == checks.__name__
