"""The loss of a model on a batch and its gradient as functions of NumPy arrays, in one precision."""

import numpy as np
from keras import ops, tree

from keras_lecture import _backend
from keras_lecture._core.objective import loss_on
from keras_lecture.diagnosis._numeric.double import is_float


def as_tensor(value, floats):
    """A tensor; one of floats has the type `floats`."""
    if value is None:
        return None
    value = value if ops.is_tensor(value) else np.asarray(value)
    return ops.convert_to_tensor(value, dtype=floats if is_float(value.dtype) else None)


class NumericObjective:
    """Loss and gradient of `model` on a batch, with the same random numbers in every call.

    Weights are float64 arrays, whatever the type in which the model computes.
    """

    def __init__(self, model, batch, arrays, training: bool, floats: str) -> None:
        self._variables = model.trainable_variables
        groups = model.non_trainable_variables, model.metrics_variables
        batch = tree.map_structure(lambda value: as_tensor(value, floats), batch)
        self._rest = (batch, *(_tensors(part, group) for part, group in zip(arrays[1:], groups, strict=True)))
        self.weights = self.rounded(arrays[0])

        def loss(weights, batch, non_trainable, metrics):
            return loss_on(model, batch, non_trainable, metrics, training=training)(weights)

        evaluate = _backend.value_and_grad(loss)
        value = _backend.compile(lambda *args: loss(*args)[0])
        gradient = _backend.compile(lambda *args: (lambda found: (found[0][0], found[1]))(evaluate(*args)))
        # One wrapper for both, so that the loss and its gradient see the same dropout masks.
        self._run = _backend.repeatable(lambda compute, weights: compute(weights, *self._rest))
        self._value, self._gradient = value, gradient

    def rounded(self, arrays) -> list[np.ndarray]:
        """The arrays as the variables' types represent them."""
        return [_numpy(tensor) for tensor in _tensors(arrays, self._variables)]

    def gradient(self, weights) -> tuple[float, list[np.ndarray]]:
        value, gradients = self._run(self._gradient, _tensors(weights, self._variables))
        return float(_numpy(value)), [_numpy(g) for g in gradients]

    def along(self, weights, index: int, position: int):
        """`at(t) → (t as represented, loss)` with t added to one entry of one weight."""
        tensors, variable, array = _tensors(weights, self._variables), self._variables[index], weights[index]

        def at(t):
            moved = array.copy()
            moved.flat[position] += t
            tensors[index] = _tensors([moved], [variable])[0]
            there = _numpy(tensors[index]).flat[position] - array.flat[position]
            return float(there), float(_numpy(self._run(self._value, list(tensors))))

        return at

    def value(self, weights) -> float:
        return float(_numpy(self._run(self._value, _tensors(weights, self._variables))))


def _tensors(arrays, variables):
    return [ops.convert_to_tensor(a, dtype=v.dtype) for a, v in zip(arrays, variables, strict=True)]


def _numpy(tensor):
    return ops.convert_to_numpy(ops.stop_gradient(tensor)).astype("float64")
