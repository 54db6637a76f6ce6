"""Plain numbers: what an experiment returns can be written as JSON, and is short."""

from typing import Any

import numpy as np


def plain(values: Any, digits: int = 6) -> Any:
    """A number, or nested lists of numbers, with so many digits; `None` for those that are not finite."""
    values = np.asarray(values, "float64")
    if values.ndim:
        return [plain(row, digits) for row in values]
    return float(f"{values:.{digits}g}") if np.isfinite(values) else None
