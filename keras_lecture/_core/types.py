"""Types of public signatures that differ between the frameworks."""

from typing import Any

# A tensor of the selected backend, or a NumPy array where the backend converts one.
Tensor = Any
