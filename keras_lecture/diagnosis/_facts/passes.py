"""One pass of a model forward and backward, compiled, with numbers about each layer's signal and each weight."""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_lecture import _backend
from keras_lecture._core.objective import loss_on
from keras_lecture.diagnosis._facts import calls, units
from keras_lecture.diagnosis._facts.batches import copied

Batch = tuple[Any, Any, Any]


class Measured(NamedTuple):
    """The loss, a row of numbers for each layer in call order, and the paths of weights without any gradient."""

    loss: float | None
    rows: list[dict[str, Any]]
    no_gradient: list[str]


class Pass:
    """Measures a model on batches of one shape; the model, its seeds and statistics do not change.

    The gradient of a signal is that of a zero added to it. Zeros need shapes, so the layers are first traced.
    """

    def __init__(self, model: keras.Model, batch: Batch, *, training: bool = True, backward: bool = True) -> None:
        self.model = model
        self._training, self._backward = training, backward
        try:
            self._watched = calls.leaves(model)
            self._shapes = self._trace(batch)
        except Exception:
            # A model that calls its inner layers in a way that cannot be intercepted, as in a loop of its own.
            self._watched = calls.outer(model)
            self._shapes = self._trace(batch)
        self._run = _backend.compile(self._forward_backward if backward else self._forward)

    def __call__(self, batch: Batch) -> Measured:
        model, batch = self.model, (copied(batch[0]), *batch[1:])
        weights, others, metrics = calls.values(model)
        zeros = [ops.zeros(shape, dtype) for _, shape, dtype in self._shapes] if self._backward else []
        loss, numbers, of_units, of_weights = self._run(weights, zeros, others, metrics, batch)
        samples = _size(batch)
        numbers = ops.convert_to_numpy(numbers).astype("float64") if self._shapes else ()
        rows = []
        for (layer, shape, _), row, unit in zip(self._shapes, numbers, of_units, strict=True):
            rows.append(_row(layer, shape, row, ops.convert_to_numpy(unit), samples if self._backward else None))
        no_gradient = self._add_weights(rows, ops.convert_to_numpy(of_weights).astype("float64"))
        return Measured(float(ops.convert_to_numpy(loss)) if self._backward else None, rows, no_gradient)

    def _trace(self, batch):
        """`(layer, shape, dtype)` of the first output of each layer that is a float tensor, in call order."""
        found = []

        def see(layer, inputs, outputs):
            signal = _signal(outputs)
            if signal is not None and all(layer is not other for other, _, _ in found):
                found.append((layer, tuple(signal.shape), keras.backend.standardize_dtype(signal.dtype)))
            return outputs

        weights, others, metrics = calls.values(self.model)

        def run(weights, others, metrics, batch):
            with calls.intercepted(self.model, self._watched, see):
                return self._predictions(weights, others, metrics, batch)

        _backend.trace(run, weights, others, metrics, batch)
        return found

    def _predictions(self, weights, others, metrics, batch):
        groups = self.model.trainable_variables, self.model.non_trainable_variables, self.model.metrics_variables
        with _backend.scope(groups, (weights, others, metrics), collect_losses=True):
            return self.model(batch[0], training=self._training)

    def _forward(self, weights, zeros, others, metrics, batch):
        numbers, of_units, see = self._measuring([])
        with calls.intercepted(self.model, self._watched, see):
            self._predictions(weights, others, metrics, batch)
        squares = ops.stack([_square(w) for w in weights]) if weights else ops.zeros((0,))
        return 0.0, _stacked(numbers), of_units, ops.stack([squares, ops.zeros_like(squares)])

    def _forward_backward(self, weights, zeros, others, metrics, batch):
        count = len(weights)

        def objective(both):
            numbers, of_units, see = self._measuring(both[count:])
            with calls.intercepted(self.model, self._watched, see):
                loss, _ = loss_on(self.model, batch, others, metrics, training=self._training)(both[:count])
            return loss, (_stacked(numbers), of_units)

        (loss, (numbers, of_units)), gradients = _backend.value_and_grad(objective)([*weights, *zeros])
        rms = [ops.sqrt(_square(g) / max(int(np.prod(g.shape)), 1)) for g in gradients[count:]]
        if rms:
            numbers = ops.concatenate([numbers, ops.stack(rms)[:, None]], axis=1)
        both = weights, gradients[:count]
        squares = [ops.stack([_square(v) for v in each]) if count else ops.zeros((0,)) for each in both]
        return loss, numbers, of_units, ops.stack(squares)

    def _measuring(self, zeros):
        """Lists for the numbers, and the function that fills them and adds the zeros to the signals."""
        numbers, of_units, seen = [], [], set()
        position = {id(layer): index for index, (layer, _, _) in enumerate(self._shapes)}

        def see(layer, inputs, outputs):
            signal = _signal(outputs)
            if signal is None or id(layer) in seen or id(layer) not in position:
                return outputs
            seen.add(id(layer))
            if zeros:
                outputs = _replaced(outputs, signal, signal + zeros[position[id(layer)]])
            axis = calls.channel_axis(layer, len(signal.shape))
            row, unit = units.scalars(ops.stop_gradient(signal), calls.activation(layer), axis)
            numbers.append(row)
            of_units.append(unit)
            return outputs

        return numbers, of_units, see

    def _add_weights(self, rows, squares):
        """Adds norms of weights and gradients to the rows; returns the weights whose gradient is exactly zero."""
        owner = {id(v): row for (layer, _, _), row in zip(self._shapes, rows, strict=True) for v in layer.weights}
        no_gradient = []
        norms = np.sqrt(squares).T
        for variable, (norm, gradient) in zip(self.model.trainable_variables, norms, strict=True):
            if self._backward and gradient == 0.0:
                no_gradient.append(variable.path)
            entry = {"path": variable.path, "norm": float(norm)}
            entry["gradient"] = float(gradient) if self._backward else None
            if id(variable) in owner:
                owner[id(variable)]["weights"].append({**entry, "update": None})
        return no_gradient


def _row(layer, shape, numbers, unit, samples):
    row = {"layer": layer.name, "class": type(layer).__name__, "activation": calls.activation(layer)}
    row |= {name: float(value) for name, value in zip(units.SCALARS, numbers, strict=False)}
    row["units"] = int(unit.shape[1])
    row["dead"] = None if row["dead"] < 0 else int(row["dead"])
    row["saturated"] = None if row["saturated"] < 0 else row["saturated"]
    row["nonfinite"] = int(row["nonfinite"])
    row["equal"] = units.equal_share(unit)
    # The loss is a mean over the samples: its gradient for one sample is that of the sum.
    row["gradient"] = None if samples is None else float(numbers[-1]) * samples
    row["weights"] = []
    return row


def _signal(outputs):
    """The first float tensor among the outputs of a layer."""
    return next((tensor for tensor in calls.tensors(outputs) if calls.is_float(tensor) and tensor.shape), None)


def _replaced(outputs, old, new):
    if outputs is old:
        return new
    return keras.tree.map_structure(lambda leaf: new if leaf is old else leaf, outputs)


def _stacked(numbers):
    return ops.stack(numbers) if numbers else ops.zeros((0, len(units.SCALARS)))


def _square(x):
    return ops.sum(ops.square(ops.cast(x, "float32")))


def _size(batch):
    first = calls.tensors(batch[0])
    return int(first[0].shape[0]) if first and first[0].shape else 1
