"""The first batches of the epochs, compared until two of them differ."""

import math
from typing import Any

import keras

from keras_lecture.diagnosis._facts.watch import digest

# Rows of a batch that are compared, and epochs after which the order stays unknown.
_ROWS, _EPOCHS = 64, 64
# A coincidence that has to be less probable than this is none.
_CHANCE = math.log(1e-9)


class Order:
    """Digests of first batches, for data whose order is not Keras's own: `tf.data`, a `DataLoader`, a generator."""

    def __init__(self, kind: str, x: Any) -> None:
        self.looks = kind in ("tf.data", "DataLoader", "generator")
        self._shuffled = _is_shuffled(x)
        self._seen: list[str] = []
        self._surprise = 0.0

    def see(self, batch: Any) -> None:
        """Takes the first batch of an epoch."""
        # Until it is read without an error.
        self.looks = False
        rows = keras.tree.map_structure(lambda leaf: None if leaf is None else leaf[:_ROWS], batch)
        seen = digest(rows)
        if seen is not None:
            self._seen.append(seen)
            self.looks = True

    def epoch(self, steps: int) -> tuple[bool | None, bool | None, int]:
        """Whether the order changes, whether it was to change, as far as the data say, and the number of epochs.

        A shuffled epoch begins with the same batch with a probability of at most one over the number of orders of its
        rows, or of the batches of the epoch if these are shuffled as wholes.
        """
        if len(self._seen) > 1:
            orders = float(self._seen[0].partition(":")[2])
            self._surprise = (len(self._seen) - 1) * min(orders, math.log(max(steps, 1)))
        changes = True if len(set(self._seen)) > 1 else False if -self._surprise < _CHANCE else None
        self.looks = self.looks and changes is None and len(self._seen) < _EPOCHS
        return changes, self._shuffled, len(self._seen)


def _is_shuffled(x):
    """Whether the data set says that each epoch has an order of its own; `None` if it does not say."""
    if type(getattr(x, "sampler", None)).__name__ == "RandomSampler":
        return True
    part = x
    while type(part).__module__.startswith("tensorflow"):
        if "Shuffle" in type(part).__name__:
            # A data set shuffled once, on purpose, has `reshuffle_each_iteration=False`.
            return True if getattr(part, "_reshuffle_each_iteration", None) is not False else None
        part = getattr(part, "_input_dataset", None)
    return None
