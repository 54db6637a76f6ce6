"""The record of a model and its data before the first training step."""

import contextlib
from typing import Any

import keras

from keras_lecture._core import checks
from keras_lecture._core.objective import build_for
from keras_lecture._core.random_state import same_random_state
from keras_lecture._core.types import Tensor
from keras_lecture.diagnosis._facts import batches
from keras_lecture.diagnosis._facts.arrays import leaves
from keras_lecture.diagnosis._facts.instruments import Instruments
from keras_lecture.diagnosis._facts.reasons import message
from keras_lecture.diagnosis._record.record import Record, new_record

# Samples for signals and gradients, and for losses.
_SIGNALS, _LOSSES = 64, 256


def audited(
    model: keras.Model,
    x: Tensor,
    y: Tensor | None = None,
    sample_weight: Tensor | None = None,
    *,
    validation_data: tuple[Any, ...] | None = None,
    batch_size: int = 32,
    shuffle: bool = True,
    rehearsal: bool = True,
) -> Record:
    """The record that `audit` judges, with its arguments; with `rehearsal` the model trains on one batch, undone."""
    _check(model, batch_size, shuffle)
    count = _rows("x", x)
    for name, part in (("y", y), ("sample_weight", sample_weight)):
        if part is not None and _rows(name, part) != count:
            checks.reject("audit", name, f"of {count} rows, as `x`", _rows(name, part))
    if validation_data is not None and not isinstance(validation_data, list | tuple):
        remedy = "Pass arrays in a tuple."
        checks.reject("audit", "validation_data", "(x, y) or (x, y, sample_weight)", type(validation_data), remedy)
    data = x, y, sample_weight
    with same_random_state():
        signals, losses = (_sample(model, data, count, size) for size in (_SIGNALS, _LOSSES))
        held_out = _validation(model, validation_data)
        _build(model, signals)
        if held_out is not None:
            _take(model, "validation_data", held_out)
        instruments = Instruments(model, signals, losses, held_out)
        record = _record(instruments, data, validation_data, batch_size, shuffle)
        if rehearsal:
            instruments.rehearse(record)
    record["fit"] |= {"samples": count, "weighted": sample_weight is not None}
    return record


def _check(model, batch_size, shuffle):
    checks.instance("audit", "model", model, keras.Model, "a Keras model")
    checks.whole("audit", "batch_size", batch_size)
    checks.boolean("audit", "shuffle", shuffle)
    if not model.compiled:
        checks.reject("audit", "model", "compiled", model.name, "Call `model.compile(…)`: the loss is judged, too.")


def _rows(name, structure):
    """The number of rows; clear errors for no rows, different numbers of rows, and text."""
    kind = "an array, or a list or dict of arrays, with one row per sample"
    remedy = "Pass arrays; for a generator, use one of its batches, or `callbacks.Doctor` in `fit`."
    try:
        arrays = leaves(structure, name)
    except (TypeError, ValueError):
        checks.reject("audit", name, kind, type(structure), remedy, TypeError)
    if not arrays or any(hasattr(structure, attribute) for attribute in ("__next__", "num_batches", "element_spec")):
        checks.reject("audit", name, kind, type(structure), remedy, TypeError)
    for part, array in arrays.items():
        if array.dtype.kind not in "biuf":
            remedy = (
                "Number the classes: `_, y = np.unique(y, return_inverse=True)`."
                if name == "y"
                else "Encode text first."
            )
            checks.reject("audit", part, "of numbers", str(array.dtype), remedy, TypeError)
    counts = {len(array) for array in arrays.values()}
    if len(counts) > 1:
        checks.reject("audit", name, "arrays with the same number of rows", sorted(counts))
    if counts == {0}:
        checks.reject("audit", name, "at least one sample", {part: array.shape for part, array in arrays.items()})
    return counts.pop()


def _sample(model, data, count, size):
    parts = tuple(None if part is None else _as_arrays(part) for part in data)
    return batches.as_tensors("audit", model, batches.sampled(parts, count, size))


def _as_arrays(part):
    """A list of numbers or of rows is one array."""
    if isinstance(part, list | tuple) and list(leaves(part, "x")) == ["x"]:
        return leaves(part, "x")["x"]
    return part


def _validation(model, validation_data):
    if validation_data is None:
        return None
    data = [*validation_data, None, None][:3]
    counts = [_rows("validation_data", part) for part in data[:1] + [part for part in data[1:] if part is not None]]
    if len(set(counts)) > 1:
        checks.reject("audit", "validation_data", "of as many rows in each part", counts)
    return _sample(model, data, counts[0], _LOSSES)


def _build(model, batch):
    """Builds what `fit` would build."""
    _take(model, "x", batch)
    # Targets that do not fit the loss are the subject of rules.
    with contextlib.suppress(Exception):
        build_for(model, batch)


def _take(model, argument, batch):
    """Calls the model; the error of a model that cannot take the data says so."""
    try:
        model(batch[0], training=False)
    except Exception as error:
        shapes = keras.tree.map_structure(lambda leaf: tuple(leaf.shape), batch[0])
        raise ValueError(
            f"audit: `{argument}` must be data that the model {model.name!r} can take. Received: shapes {shapes}. "
            f"The model answered: {message(error)}"
        ) from error


def _record(instruments, data, validation_data, batch_size, shuffle) -> Record:
    record = new_record()
    record["fit"] = {"batch_size": batch_size, "shuffle": shuffle, "source": "arrays", "class_weight": False}
    instruments.open(record, data, validation_data, batch_size=batch_size, shuffle=shuffle, whole=True)
    return record
