"""The parts of a record that are written while a model trains."""

import itertools
import json
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture._training.chain import innermost
from keras_lecture.callbacks._doctor import steps
from keras_lecture.callbacks._doctor.schedule import thinned
from keras_lecture.diagnosis._facts import batches
from keras_lecture.diagnosis._record.record import Record, plain

_LOSSES, _EPOCHS, _PROBES, _STEPS = 512, 512, 16, 24


def open_fit(record: Record, model: keras.Model, fit: dict[str, Any], source: str) -> None:
    """Writes down the arguments of the running `fit`."""
    iterator, x = fit.get("epoch_iterator"), fit.get("x")
    number = getattr(iterator, "num_batches", None)
    size = (fit.get("batch_size") or 32) if source == "arrays" else None
    record["fit"] = {
        "epochs": fit.get("epochs"),
        "initial_epoch": fit.get("initial_epoch"),
        "batch_size": size,
        "steps_per_epoch": None if number is None else int(number),
        "shuffle": bool(fit.get("shuffle")) if source == "arrays" else None,
        "samples": batches.size(x) if source == "arrays" else None,
        "source": source,
        "class_weight": fit.get("class_weight") is not None,
        "weighted": fit.get("sample_weight") is not None,
        "steps_per_execution": int(model.steps_per_execution or 1),
    }


def packed(saved: dict[str, Any]) -> np.ndarray:
    """Plain data as an array of bytes, for files of arrays."""
    return np.frombuffer(json.dumps(plain(saved)).encode(), "uint8").copy()


def unpacked(array: np.ndarray) -> dict[str, Any]:
    """The data of `packed`."""
    return json.loads(bytes(np.asarray(array, "uint8")).decode())


def add_losses(record: Record, losses: list[tuple[int, float]]) -> None:
    """Adds steps of an epoch, each with the mean training loss of the steps since the previous one."""
    pairs = [*zip(record["losses"]["steps"], record["losses"]["values"], strict=True), *losses]
    pairs = thinned(pairs, _LOSSES)
    record["losses"] = {"steps": [pair[0] for pair in pairs], "values": [pair[1] for pair in pairs]}


def last_loss(record: Record) -> float:
    """The latest training loss; 0 before the first."""
    return float(record["losses"]["values"][-1]) if record["losses"]["values"] else 0.0


def add_epoch(record: Record, epoch: int, step: int, logs: dict[str, Any]) -> None:
    """Adds the logs of an epoch, as far as they are numbers."""
    values = {}
    for name, value in logs.items():
        array = np.asarray(value)
        if array.size == 1 and array.dtype.kind in "biuf":
            values[str(name)] = float(array.item())
    record["epochs"] = thinned([*record["epochs"], {"epoch": epoch, "step": step, "logs": values}], _EPOCHS)


def samples_of_epoch(record: Record, steps_seen: int) -> tuple[int | None, int | None]:
    """The number of samples that an epoch of so many steps saw, and the number given; `None` if they are unknown."""
    facts = record["fit"]
    if facts.get("source") != "arrays" or not facts["samples"]:
        return None, None
    return min(steps_seen * facts["batch_size"], facts["samples"]), facts["samples"]


def add_probe(record: Record, instruments: Any, model: keras.Model, step: int, epoch: int) -> None:
    """Measures the model and adds a probe."""
    record["probes"] = thinned([*record["probes"], instruments.probe(step, epoch)], _PROBES)
    record["unseen"] = list(dict.fromkeys([*record["unseen"], *instruments.unseen]))


def add_step(record: Record, model: keras.Model, step: int, before: list[Any], state: Any, invariants: Any) -> None:
    """Adds an observed step: `before` holds the variables before it and, if observed, before the previous step."""
    everything = len(before[-1]) > len(model.trainable_variables)
    after = steps.snapshot(model, state, everything)
    # The trainable variables come first.
    weights = dict(itertools.islice(before[-1].items(), len(model.trainable_variables)))
    last = record["steps"][-1]["step"] if record["steps"] else None
    angle = None
    if len(before) == 2 and last is not None and step - last == model.steps_per_execution:
        angle = steps.cosine({path: before[0][path] for path in weights}, weights, after)
    entry = {
        "step": step,
        "learning_rate": _learning_rate(model, step, state),
        "weights": steps.moved(weights, after),
        "cosine": angle,
    }
    record["steps"] = thinned([*record["steps"], entry], _STEPS)
    if everything and invariants is not None:
        invariants.step(before[-1], after)


def _learning_rate(model, step, state):
    rate = getattr(innermost(model.optimizer), "_learning_rate", None)
    try:
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            return float(np.asarray(ops.convert_to_numpy(rate(max(step - 1, 0)))))
        # On JAX the variables have no values while an epoch runs: they are in the state.
        values = [v.value for v in model.optimizer.variables] if state is None else state[2]
        known = {id(v): value for v, value in zip(model.optimizer.variables, values, strict=True)}
        return float(np.asarray(ops.convert_to_numpy(known[id(rate)])))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
