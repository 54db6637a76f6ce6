"""Copies of all variables of a model and its optimizer on the host."""

import keras
import numpy as np
from keras import ops

from keras_lecture._training.chain import innermost
from keras_lecture._training.variables import own_non_trainable


class State:
    """The values of weights, statistics, seeds and optimizer variables; `put_back` assigns them."""

    def __init__(self, model: keras.Model) -> None:
        everything = [*model.trainable_variables, *own_non_trainable(model), *model.optimizer.variables]
        self._variables = list({id(v): v for v in everything}.values())
        # Copies: a step may reuse the memory.
        self._values = [np.array(ops.convert_to_numpy(v)) for v in self._variables]

    def put_back(self) -> None:
        """Assigns the values to the variables."""
        for variable, value in zip(self._variables, self._values, strict=True):
            variable.assign(value)

    def is_finite(self) -> bool:
        """Whether no value is infinite or NaN."""
        return all(np.isfinite(value.astype("float64")).all() for value in self._values)


def slots(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> list[keras.Variable]:
    """The optimizer's variables of the shape of `variable` that belong to it: moments, accumulators."""
    prefix = variable.path.replace("/", "_") + "_"
    own = [v for v in innermost(optimizer).variables if v.path.rsplit("/", 1)[-1].startswith(prefix)]
    return [v for v in own if tuple(v.shape) == tuple(variable.shape)]
