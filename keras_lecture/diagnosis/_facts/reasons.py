"""The reason why something could not be measured, in one line."""

import re

_LENGTH = 240
_FRAME = re.compile(r"Exception encountered when calling (.*)\.")


def reason(subject: str, error: Exception) -> str:
    """`"subject: Error: message"` from the first line of the message, behind Keras's name of the layer."""
    lines = [line for line in re.sub(r"\x1b\[\d*m", "", str(error)).splitlines() if line.strip()]
    frame = _FRAME.match(lines[0]) if lines else None
    text = f"{lines[1]} ({frame[1]})" if frame and len(lines) > 1 else lines[0] if lines else ""
    return f"{subject}: {type(error).__name__}: {text}"[:_LENGTH]
