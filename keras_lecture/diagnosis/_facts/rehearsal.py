"""A rehearsal: can the model fit one batch? A few dozen steps of its own optimizer on it, taken back afterwards.

    steps      number of steps taken, at most 40
    losses     the loss of the batch in training mode: before the first step, and before each later one

A model that cannot learn 64 samples by heart will not learn from more. Everything that the steps change is restored:
weights, statistics, the optimizer, metrics, random states.
"""

import time
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture._core.random_state import same_random_state
from keras_lecture._training.rehearsal import rehearsal
from keras_lecture.diagnosis._facts import variables

STEPS = 40
# The first step compiles and does not count.
_SECONDS = 4.0


def rehearse(model: keras.Model, batch: tuple[Any, Any, Any], steps: int = STEPS) -> dict[str, Any] | None:
    """The facts; `None` for a model with its own `train_step`, whose steps may do more than change variables."""
    if variables.has_custom_train_step(model) or "train_step" in vars(model):
        return None
    x, y, sample_weight = batch
    losses, end = [], None
    with same_random_state(), rehearsal(model):
        while len(losses) <= steps and (end is None or time.perf_counter() < end):
            model.reset_metrics()
            logs = model.train_on_batch(x, y, sample_weight, return_dict=True)
            losses.append(float(ops.convert_to_numpy(logs["loss"])))
            end = end or time.perf_counter() + _SECONDS
            if not np.isfinite(losses[-1]):
                break
    return {"steps": len(losses) - 1, "losses": losses}
