"""The types of public signatures that no framework shares."""

from typing import Any

# A tensor of the selected backend, or a NumPy array where the backend converts one.
Tensor = Any
