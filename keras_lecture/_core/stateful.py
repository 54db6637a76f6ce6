"""What is offered by whoever has a state that must survive when training is resumed in another process."""

from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Stateful(Protocol):
    """`restore(state())` in a new object of the same configuration goes on where the old one was."""

    def state(self) -> dict[str, np.ndarray]:
        """The state, at any time between two steps of `fit`: plain arrays under plain names."""

    def restore(self, state: dict[str, np.ndarray]):
        """Takes a state over, before `fit`."""
