"""The record of a run for the comparison with another one: weights, batch and quantities in two precisions."""

import dataclasses
import sys
from typing import Any

import keras
import numpy as np

from keras_lecture._core.objective import build_for
from keras_lecture._core.random_state import same_random_state
from keras_lecture.diagnosis._divergence.listing import listed, listed_steps, owners
from keras_lecture.diagnosis._divergence.passes import Passes, Results, is_seed
from keras_lecture.diagnosis._divergence.quantities import Quantity
from keras_lecture.diagnosis._divergence.settings import settings
from keras_lecture.diagnosis._divergence.step import steps
from keras_lecture.diagnosis._facts import calls
from keras_lecture.diagnosis._facts.reasons import message
from keras_lecture.diagnosis._facts.recorded_pass import array
from keras_lecture.diagnosis._numeric.objective import as_tensor


@dataclasses.dataclass
class Weight:
    """A variable of the model: its path, its layer, its type and its values."""

    path: str
    layer: str
    dtype: str
    values: np.ndarray


@dataclasses.dataclass
class Recording:
    """A run: `about` (versions, backend, device), settings of the optimizer, weights, batch, quantities, and notes."""

    about: dict[str, Any]
    settings: dict[str, Any]
    weights: list[Weight]
    batch: tuple[Any, Any, Any]
    quantities: list[Quantity]
    notes: list[str]


def build(model: keras.Model, batch: tuple[Any, Any, Any]) -> None:
    """Builds the model, and the optimizer too if there are targets."""
    tensors = keras.tree.map_structure(lambda value: as_tensor(value, keras.config.floatx()), batch)
    if model.compiled and model.loss is not None:
        build_for(model, tensors)
    elif not model.built:
        model(tensors[0], training=False)


def own_weights(model: keras.Model) -> list[Weight]:
    """The variables of a built model in order, without the states of seeds."""
    owner = owners(model)
    kept = [v for v in model.variables if not is_seed(v)]
    return [Weight(v.path, owner[id(v)].name, keras.backend.standardize_dtype(v.dtype), array(v)) for v in kept]


def recorded(model: keras.Model, batch: tuple[Any, Any, Any], weights: list[Weight]) -> Recording:
    """Measures a built `model` on a batch of NumPy arrays, with these weights; the model does not change."""
    given = {id(v): weight.values for v, weight in zip(_kept(model), weights, strict=True)}
    groups = model.trainable_variables, model.non_trainable_variables, model.metrics_variables
    values = [[given[id(v)] if id(v) in given else array(v) for v in group] for group in groups]
    notes: list[str] = []
    with same_random_state():
        try:
            watched = calls.leaves(model)
            results = _in_both(model, watched, batch, values, notes)
        except Exception:
            # A model that calls its inner layers in a way that cannot be intercepted, as in a loop of its own.
            del notes[:]
            watched = calls.outer(model)
            results = _in_both(model, watched, batch, values, notes)
        quantities = listed(model, *results) + _steps(model, values[0], notes)
    return Recording(_about(model), settings(model), weights, batch, quantities, notes)


def _kept(model):
    return [v for v in model.variables if not is_seed(v)]


def _in_both(model, watched, batch, values, notes):
    """The passes in the model's own precision and in float64, or `None` for the latter."""
    own = _results(Passes(model, watched, batch, values, keras.config.floatx()), model, notes)
    try:
        double = _results(Passes(model, watched, batch, values, "float64"), model, [])
    # Any framework's error: a device or the model's own code may lack float64.
    except Exception as error:
        notes.append(f"Rounding was not calibrated, because float64 failed ({message(error)}).")
        double = None
    return own, double


def _results(passes, model, notes):
    forward, random, backward = {}, {}, None
    with passes.precision():
        for mode in ("inference", "training"):
            forward[mode] = passes.forward(mode == "training")
            random[mode] = _first_random(forward[mode], passes.forward(mode == "training", other_seeds=True))
            if random[mode] is not None:
                name = forward[mode].called[random[mode]].name
                notes.append(f"Random in {mode} mode, so not compared from there on: {name}.")
        if not model.compiled or model.loss is None:
            notes.append("Without a compiled loss, gradients and the optimizer's step were not compared.")
        elif random["training"] is None:
            try:
                backward = passes.backward(forward["training"])
            except Exception as error:
                notes.append(f"Gradients were not compared: {message(error)}.")
    return Results(forward, random, backward)


def _first_random(one, other):
    for site, a, b in zip(one.sites, one.values, other.values, strict=False):
        if a.shape != b.shape:
            return site.position
        finite = np.isfinite(a) & np.isfinite(b)
        a, b = a[finite].astype("float64"), b[finite].astype("float64")
        if np.abs(a - b).max(initial=0.0) > 1e-2 * np.abs(a).max(initial=0.0):
            return site.position
    return None


def _steps(model, weights, notes):
    """The optimizer's updates of the weights and its variables after them."""
    if not model.compiled or model.optimizer is None or model.loss is None or not weights:
        return []
    try:
        own = steps(model, weights, double=False)
    except Exception as error:
        notes.append(f"The optimizer's step was not compared: {message(error)}.")
        return []
    try:
        double = steps(model, weights, double=True)
    except Exception as error:
        notes.append(f"The step was not computed in float64: {message(error)}.")
        double = None
    return listed_steps(model, own, double)


def _about(model):
    backend = keras.backend.backend()
    device = str(getattr(keras.ops.zeros((1,)), "device", "unknown")).rpartition("device:")[2]
    return {
        "backend": f"{backend} {getattr(sys.modules.get(backend), '__version__', '')}".strip(),
        "keras": keras.__version__,
        "device": device,
        "compiled": not model.run_eagerly,
        "model": model.name,
    }
