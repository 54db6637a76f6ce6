"""The passes of a model on a batch, in its own precision or in float64, as NumPy arrays."""

import contextlib
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_lecture import _backend
from keras_lecture._core.objective import loss_on
from keras_lecture.diagnosis._divergence.probe import Probe, Site, without_randomness
from keras_lecture.diagnosis._facts.recorded_pass import array
from keras_lecture.diagnosis._numeric.double import in_double
from keras_lecture.diagnosis._numeric.objective import as_tensor

# Added to the seeds of a repeated pass: what changes with them is random.
_OTHER_SEED = 1009


class Forward(NamedTuple):
    """The calls of a forward pass, the tensors at their sites, and the sites of the model's outputs."""

    called: list[keras.layers.Layer]
    sites: list[Site]
    values: list[np.ndarray]
    outputs: list[int | None]
    state: list[np.ndarray]


class Backward(NamedTuple):
    """The loss, and the gradients of the weights and of the float tensors at the sites (`None` for other tensors)."""

    loss: np.ndarray
    weights: list[np.ndarray]
    signals: list[np.ndarray | None]


class Results(NamedTuple):
    """The passes in one precision; `random` has the first position, in each mode, whose output changes with seeds."""

    forward: dict[str, Forward]
    random: dict[str, int | None]
    backward: Backward | None


class Passes:
    """Runs a model with given values of its variables; the model itself does not change.

    `values` are arrays for the trainable, the non-trainable and the metric variables.
    """

    def __init__(self, model: keras.Model, watched: list[Any], batch: Any, values: list[list[Any]], floats: str):
        self._model, self._watched, self._batch = model, watched, batch
        self._values, self._floats = values, floats
        self._compile = (lambda f: f) if model.run_eagerly else _backend.compile
        self._compiled: dict[bool, Any] = {}

    def precision(self) -> contextlib.AbstractContextManager[None]:
        """The context in which all other methods are called."""
        return in_double(self._model) if self._floats == "float64" else contextlib.nullcontext()

    def forward(self, training: bool, other_seeds: bool = False) -> Forward:
        """A pass in one mode, dropout and noise off; `state` holds the non-trainable variables after it."""
        if training not in self._compiled:
            notes: list[Any] = []

            def run(weights, others, metrics, x):
                probe = Probe()
                with probe.watching(self._watched), self._scope(weights, others, metrics) as scope:
                    outputs = self._model(x, training=training)
                    state = [scope.get_current_value(v) for v in self._model.non_trainable_variables]
                notes[:] = [probe.called, probe.sites, probe.outputs(outputs)]
                return probe.tensors, state

            self._compiled[training] = self._compile(run), notes
        run, notes = self._compiled[training]
        weights, others, metrics, batch = self._tensors(other_seeds)
        with without_randomness(self._model):
            tensors, state = run(weights, others, metrics, batch[0])
        called, sites, outputs = notes
        return Forward(called, sites, [array(each) for each in tensors], outputs, [array(each) for each in state])

    def backward(self, forward: Forward) -> Backward:
        """The gradients in training mode; `forward` is the pass in this mode, from which the shapes are known."""
        weights, others, metrics, batch = self._tensors()
        floating = [site for site, value in zip(forward.sites, forward.values, strict=True) if value.dtype.kind == "f"]
        zeros = [ops.convert_to_tensor(np.zeros(site.shape), dtype=site.dtype) for site in floating]
        count = len(weights)

        def run(both, others, metrics, batch):
            def objective(both):
                probe = Probe(both[count:])
                with probe.watching(self._watched):
                    return loss_on(self._model, batch, others, metrics, training=True)(both[:count])[0], ()

            (loss, _), gradients = _backend.value_and_grad(objective)(both)
            return loss, gradients

        with without_randomness(self._model):
            loss, gradients = self._compile(run)([*weights, *zeros], others, metrics, batch)
        arrays = [array(each) for each in gradients]
        signals = iter(arrays[count:])
        found = [next(signals) if value.dtype.kind == "f" else None for value in forward.values]
        return Backward(array(loss), arrays[:count], found)

    def _scope(self, *state):
        model = self._model
        groups = model.trainable_variables, model.non_trainable_variables, model.metrics_variables
        return _backend.scope(groups, state, collect_losses=True)

    def _tensors(self, other_seeds=False):
        model = self._model
        groups = model.trainable_variables, model.non_trainable_variables, model.metrics_variables
        values = [
            [
                ops.convert_to_tensor(_moved(value, variable, other_seeds), dtype=variable.dtype)
                for value, variable in zip(*pair, strict=True)
            ]
            for pair in zip(self._values, groups, strict=True)
        ]
        batch = keras.tree.map_structure(lambda value: as_tensor(value, self._floats), self._batch)
        return (*values, batch)


def _moved(value, variable, other_seeds):
    return value + _OTHER_SEED if other_seeds and is_seed(variable) else value


def is_seed(variable: keras.Variable) -> bool:
    """Whether it is the state of a seed generator."""
    return variable.path.endswith("seed_generator_state")
