"""The reason why something could not be measured, in one line."""

import re
import textwrap

_LENGTH = 240
_LAYER = "Exception encountered when calling "


def message(error: Exception) -> str:
    """`"Error: message"` without the frames, colors and arguments that Keras and TensorFlow put around a message."""
    text = re.sub(r"\x1b\[\d*m", "", str(error)).partition("Arguments received")[0]
    if _LAYER in text:
        # The innermost layer, and its message on the lines behind.
        text = text.rpartition(_LAYER)[2].partition("\n")[2]
    elif text.startswith("in user code:"):
        text = text.strip().rpartition("\n")[2]
    return textwrap.shorten(f"{type(error).__name__}: {text.strip()}", _LENGTH)


def reason(subject: str, error: Exception) -> str:
    """The message of an error behind its subject."""
    return textwrap.shorten(f"{subject}: {message(error)}", _LENGTH)
