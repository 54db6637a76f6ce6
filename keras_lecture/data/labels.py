"""Labels as class numbers: what stratifying and balancing count."""

import numpy as np

from keras_lecture import checks
from keras_lecture.data import examples

_BINS = 10


def class_numbers(owner: str, argument: str, labels, count: int, remedy: str) -> np.ndarray:
    """The number of each example's class, from 0, every one in use; of integers, strings, truth values or one-hot."""
    labels = _column(owner, argument, labels, count, remedy)
    if labels.dtype.kind == "f" and not np.all(labels == np.floor(labels)):
        checks.reject(owner, argument, "class labels, which have no fractions", labels[:5], remedy)
    return np.unique(labels, return_inverse=True)[1].reshape(-1)


def strata(owner: str, argument: str, labels, count: int, remedy: str) -> np.ndarray:
    """`class_numbers`; of a regression target, the tenth of its distribution that each example belongs to."""
    labels = _column(owner, argument, labels, count, remedy)
    if labels.dtype.kind == "f":
        if not np.all(np.isfinite(labels)):
            checks.reject(owner, argument, "finite", labels[~np.isfinite(labels)][:5], remedy)
        if _is_continuous(labels):
            labels = np.searchsorted(np.quantile(labels, np.arange(1, _BINS) / _BINS), labels, side="right")
    return class_numbers(owner, argument, labels, count, remedy)


def _is_continuous(numbers):
    """Whether floating targets measure rather than name: with fractions, or hardly ever twice the same."""
    return bool(np.any(numbers != np.floor(numbers))) or len(np.unique(numbers)) * _BINS > len(numbers)


def _column(owner, argument, labels, count, remedy):
    """One label per example, whichever way they are written."""
    labels = examples.array(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "biuf" and np.all((labels == 0) | (labels == 1)):
        labels = labels.argmax(1) if np.all(labels.sum(1) == 1) else labels
    if labels.shape != (count,):
        checks.reject(owner, argument, f"one label, or one-hot row, for each of {count} examples", labels.shape, remedy)
    return labels
