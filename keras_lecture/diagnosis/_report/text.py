"""Text of a page: escaped names, short numbers, lists in words."""

import html
import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from keras_lecture.diagnosis._record.record import number

_LINE_BREAKS = "\n\t"


def clean(text: Any) -> str:
    """`text` without characters that steer a terminal, change the direction of writing, or cannot be encoded."""
    return "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in _LINE_BREAKS else c for c in str(text)
    )


def esc(text: Any) -> str:
    """`text` for HTML, in elements and in quoted attributes."""
    return html.escape(clean(text))


def prose(text: Any) -> str:
    """A sentence for HTML; names in backticks become code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", esc(text).replace(" %", "\u00a0%"))


def short(value: Any) -> str:
    """A number of a record in at most three digits; "–" if it is missing."""
    value = number(value)
    if value is None:
        return "–"
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value and not 1e-3 <= abs(value) < 1e4:
        return short_power(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def short_power(value: float) -> str:
    """A number as the label of a logarithmic scale: `"1e-3"`, `"3.2e0"`."""
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def is_finite(value: Any) -> bool:
    """Whether a number of a record is known and finite."""
    value = number(value)
    return value is not None and math.isfinite(value)


def listed(names: Sequence[str], most: int = 3) -> str:
    """`"a, b, c and 4 others"`."""
    shown, rest = list(names[:most]), len(names) - most
    if rest > 0:
        return f"{', '.join(shown)} and {rest} other{'' if rest == 1 else 's'}"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def picked(count: int, most: int) -> list[int]:
    """At most `most` evenly spaced indices of `count` elements, with the first and the last."""
    if count <= most:
        return list(range(count))
    return sorted({round(index * (count - 1) / (most - 1)) for index in range(most)})
