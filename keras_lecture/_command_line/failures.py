"""Turns an error during the training into an exit code."""

import contextlib
import re

import keras

from keras_lecture._command_line.endings import DIVERGED, INTERRUPTED, USAGE, Ended


@contextlib.contextmanager
def training(interrupted: str = "interrupted"):
    """While it trains: what this package refuses is a mistake of the user, any other error is none and goes on.

    What callbacks have to say goes to Keras's log: the standard output is for results.
    """
    talkative = keras.config.is_interactive_logging_enabled()
    keras.config.disable_interactive_logging()
    try:
        yield
    except FloatingPointError as error:
        raise Ended(DIVERGED, error) from error
    except (ValueError, TypeError) as error:
        if not _is_refusal(error):
            raise
        raise Ended(USAGE, error) from error
    except KeyboardInterrupt as error:
        raise Ended(INTERRUPTED, interrupted) from error
    finally:
        if talkative:
            keras.config.enable_interactive_logging()


def _is_refusal(error) -> bool:
    """Whether this package raised the error to refuse an argument: a wrong `monitor`, say, shows after an epoch."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "")
    # Its refusals begin with who refuses.
    return module.startswith("keras_lecture.") and re.match(r"\w+: ", str(error)) is not None
