"""Protocol for objects whose state can be saved and restored when training resumes in another process."""

from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Stateful(Protocol):
    """`restore(state())` on a new object of the same configuration continues where the old one was."""

    def state(self) -> dict[str, np.ndarray]:
        """The state between any two steps of `fit`, as named arrays."""

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Sets the state before `fit`."""
