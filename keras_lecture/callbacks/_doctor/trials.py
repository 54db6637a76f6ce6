"""Short trainings on the doctor's samples that compare treatments; each of them is undone."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture._core.random_state import same_random_state
from keras_lecture._training.rehearsal import rehearsal

STEPS = 36


class Trials:
    """Trains a model for some 36 steps on a batch of samples and puts everything back.

    Args:
        model: The model of the running `fit`, at the end of an epoch or of a step.
        batch: `(x, y, sample_weight)`, tensors.
        size: The batch size of the running `fit`, if it is known.
    """

    def __init__(self, model: keras.Model, batch: tuple[Any, Any, Any], size: int | None) -> None:
        self._model = model
        rows = min(int(leaf.shape[0]) for leaf in keras.tree.flatten(batch) if leaf is not None)
        self._size = min(size or 32, rows)
        # Whole batches, because a remainder would be compiled again; few epochs, because each costs time of its own.
        batches = min(rows // self._size, STEPS)
        self.rows, count = self._size * batches, max(batches, STEPS // 3)
        self._epochs = round(STEPS / count)
        order = np.resize(np.arange(self.rows), self._size * count)

        def part(leaf):
            return None if leaf is None else np.asarray(ops.convert_to_numpy(leaf))[order]

        self._batch = tuple(None if p is None else keras.tree.map_structure(part, p) for p in batch)

    def loss(self, prepare: Callable[[], Any], *, epochs: int | None = None) -> float:
        """The mean loss of the last epoch, a third of the steps, after `prepare()`; infinite if one is not finite."""
        x, y, weight = self._batch
        model, epochs = self._model, epochs or self._epochs
        with same_random_state(), rehearsal(model):
            prepare()
            options = {"batch_size": self._size, "epochs": epochs, "verbose": 0}
            losses = model.fit(x, y, sample_weight=weight, **options).history["loss"]
        if not np.isfinite(losses).all():
            return math.inf
        return float(losses[-1])
