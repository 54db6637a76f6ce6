"""The samples that the doctor looks at, taken from the data of the running `fit`."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_lecture.diagnosis._facts import batches
from keras_lecture.diagnosis._record.record import PROBE_SAMPLES

# Samples for signals and gradients.
_SIGNALS = 32
_PARTS_OF_A_DATASET = 4


class Samples(NamedTuple):
    """Rows of the training data for signals and for losses, validation rows for losses, and all data for the audit."""

    signals: tuple[Any, Any, Any]
    train: tuple[Any, Any, Any]
    validation: tuple[Any, Any, Any] | None
    whole: bool
    data: tuple[Any, Any, Any]
    validation_data: tuple[Any, Any, Any] | None


def kind(x: Any) -> str:
    """The form of the training data: arrays, a data set of Keras or of a framework, or a generator."""
    if isinstance(x, keras.utils.PyDataset):
        return "PyDataset"
    module = type(x).__module__
    if module.startswith("torch.utils.data"):
        return "DataLoader"
    if module.startswith("tensorflow") and hasattr(x, "element_spec"):
        return "tf.data"
    return "arrays" if batches.size(x) is not None and not hasattr(x, "__next__") else "generator"


def from_fit(fit: dict[str, Any], given: tuple[Any, Any]) -> Samples | None:
    """The `given` samples or some of the data of the running `fit`; `None` if these must wait for the first batch."""
    x, validation = fit.get("x"), fit.get("validation_data")
    if given[0] is not None:
        return from_arrays(*given, None, validation)
    if isinstance(x, keras.utils.PyDataset):
        return from_dataset(x, validation)
    if kind(x) == "arrays":
        return from_arrays(x, fit.get("y"), fit.get("sample_weight"), validation)
    return None


def from_arrays(x: Any, y: Any, sample_weight: Any, validation: Any, seed: int = 0) -> Samples:
    """Samples from arrays, chosen with a generator of their own."""
    data = (x, y, sample_weight)
    few, more = (batches.sampled(data, batches.size(x), size, seed) for size in (_SIGNALS, PROBE_SAMPLES))
    valid, held_out = _validation(validation, seed)
    return Samples(few, more, valid, True, data, held_out)


def from_dataset(dataset: keras.utils.PyDataset, validation: Any, seed: int = 0) -> Samples:
    """Samples from the first batches of a `PyDataset`."""
    count = min(len(dataset) if dataset.num_batches else 1, _PARTS_OF_A_DATASET)
    parts = [_unpacked(dataset[index]) for index in range(count)]
    data = keras.tree.map_structure(lambda *leaves: None if leaves[0] is None else np.concatenate(leaves), *parts)
    found = from_arrays(*data, validation, seed)
    return found._replace(whole=False)


def from_batch(batch: Any, validation: Any, seed: int = 0) -> Samples:
    """Samples from a batch of a generator or of another iterator."""
    data = _unpacked(batch)
    return from_arrays(*data, validation, seed)._replace(whole=False)


def _validation(validation, seed):
    if validation is None or not isinstance(validation, tuple | list):
        if isinstance(validation, keras.utils.PyDataset):
            return _validation(_unpacked(validation[0]), seed)
        return None, None
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(tuple(validation))
    count = batches.size(x)
    if not count:
        return None, None
    data = (x, y, sample_weight)
    return batches.sampled(data, count, PROBE_SAMPLES, seed), data


def _unpacked(batch):
    """`(x, y, sample_weight)` as arrays; TensorFlow marks an absent part by an object of its own."""
    parts = keras.utils.unpack_x_y_sample_weight(batch)

    def leaf(value):
        return np.asarray(keras.ops.convert_to_numpy(value)) if hasattr(value, "shape") else None

    return tuple(None if part is None else keras.tree.map_structure(leaf, part) for part in parts)
