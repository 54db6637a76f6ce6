"""Class indices from labels, for stratified splits and balanced batches."""

import numpy as np

from keras_lecture._core import checks
from keras_lecture.data._rows import examples

_BINS = 10
# Numbers are classes if each value occurs at least this often on average: once per fifth of the data.
_REPEATS = 5


def class_numbers(owner: str, argument: str, labels, count: int, remedy: str) -> np.ndarray:
    """The class index of each example, without gaps, from integers, strings, booleans or one-hot rows."""
    labels = _column(owner, argument, labels, count, remedy)
    if labels.dtype.kind == "f" and not np.all(labels == np.floor(labels)):
        checks.reject(owner, argument, "class labels without fractions", labels[:5], remedy)
    return _numbered(labels)


def strata(owner: str, argument: str, labels, count: int, remedy: str) -> np.ndarray:
    """The class index of each example; for continuous targets, the index of the tenth of the distribution.

    All classes of one example are merged into one class, because none of them can be in every part.
    """
    labels = _column(owner, argument, labels, count, remedy)
    distinct = len(np.unique(labels))
    if labels.dtype.kind in "iuf" and distinct > max(_BINS, count / _REPEATS):
        labels = np.searchsorted(np.quantile(labels, np.arange(1, _BINS) / _BINS), labels, side="right")
    numbers = _numbered(labels)
    single = np.bincount(numbers)[numbers] == 1
    return _numbered(np.where(single, -1, numbers))


def _column(owner, argument, labels, count, remedy):
    """One label per example, from any accepted form."""
    try:
        labels = examples.array(labels)
    except (TypeError, ValueError):
        checks.reject(owner, argument, "one array of labels", type(labels), remedy, TypeError)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "biuf" and np.all((labels == 0) | (labels == 1)):
        labels = labels.argmax(1) if np.all(labels.sum(1) == 1) else labels
    if labels.shape != (count,):
        checks.reject(owner, argument, f"one label, or one-hot row, for each of {count} examples", labels.shape, remedy)
    if labels.dtype == object:
        labels = _of_one_kind(owner, argument, labels, remedy)
    # Numbers that are not finite, and invalid dates.
    missing = ~np.isfinite(labels) if labels.dtype.kind in "fcmM" else np.zeros(count, bool)
    if missing.any():
        checks.reject(owner, argument, "finite", labels[missing][:5], remedy)
    return labels


def _of_one_kind(owner, argument, labels, remedy):
    """An array of strings, booleans or numbers from an array of objects, as frames have."""
    # Compared as strings: NaN is not equal to itself, and pandas' NA has no truth value.
    missing = [label is None or str(label) in ("nan", "<NA>", "NaT") for label in labels]
    if any(missing):
        checks.reject(owner, argument, "free of missing values", labels[missing][:5].tolist(), remedy)
    array = np.array(labels.tolist())
    kinds = {str if isinstance(label, str) else bool if isinstance(label, bool) else float for label in labels}
    if len(kinds) > 1 or array.ndim != 1 or array.dtype == object:
        checks.reject(
            owner, argument, "numbers, booleans or strings, all of one type", labels[:5].tolist(), remedy, TypeError
        )
    return array


def _numbered(labels):
    return np.unique(labels, return_inverse=True)[1].reshape(-1)
