"""Turns errors during training into exit codes."""

import contextlib
import re

import keras

from keras_lecture._command_line.endings import DIVERGED, FAILED, INTERRUPTED, USAGE, Ended


@contextlib.contextmanager
def training(interrupted: str = "interrupted"):
    """Ends the command if training diverges, is interrupted or rejects an argument; other errors propagate.

    Messages of callbacks go to Keras's log, because standard output is for results.
    """
    interactive = keras.config.is_interactive_logging_enabled()
    keras.config.disable_interactive_logging()
    try:
        yield
    except FloatingPointError as error:
        raise Ended(DIVERGED, error) from error
    except (ValueError, TypeError) as error:
        if not _is_argument_error(error):
            raise
        raise Ended(USAGE, error) from error
    except OSError as error:
        # The state of the run cannot be written, or another process writes it.
        if not str(error.strerror).startswith("ExactResume: "):
            raise
        raise Ended(FAILED, f"{error.strerror}: {error.filename}") from error
    except KeyboardInterrupt as error:
        raise Ended(INTERRUPTED, interrupted) from error
    finally:
        if interactive:
            keras.config.enable_interactive_logging()


def _is_argument_error(error) -> bool:
    """Whether this package rejected an argument during training, such as an unknown `monitor` after the first epoch."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "")
    # Argument errors begin with the name of the class.
    return module.startswith("keras_lecture.") and re.match(r"\w+: ", str(error)) is not None
