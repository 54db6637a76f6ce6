"""Facts about one target array; the fields are listed in `data.py`."""

from typing import Any

import numpy as np

from keras_lecture.diagnosis._facts.arrays import BYTES, has_strings, sample, summary

# Counts of more classes than this say little and take space.
LISTED = 64
ENTROPIES = ("categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy", "hinge")


def target_facts(
    name: str, array: np.ndarray, family: str | None, units: int | None, batch_size: int | None
) -> dict[str, Any]:
    """The facts about one target array, whose loss belongs to `family` and whose output has `units` units."""
    facts: dict[str, Any] = {"name": name, "shape": list(array.shape[1:]), "dtype": str(array.dtype)}
    facts |= {"rows": len(array), "units": units}
    if array.dtype.kind not in "biuf":
        return facts | {"kind": "strings" if has_strings(array) else "objects"}
    # The order of the rows is a fact of its own: a large array is cut, not sampled.
    rows = array if 8 * array.size <= BYTES else sample(array, size=BYTES * array.itemsize // 8)
    values = rows.astype("float64")
    finite = np.isfinite(values)
    facts["nonfinite"] = float(np.mean(~finite.reshape(len(values), -1).all(1))) if len(values) else 0.0
    kept = values[finite]
    if not len(kept):
        return facts | {"kind": "numbers"}
    facts |= summary(kept)
    facts |= {
        "whole": bool(np.all(kept == np.round(kept))),
        "negative": float(np.mean(kept < 0)),
        "above_one": float(np.mean(kept > 1)),
        "below_minus_one": float(np.mean(kept < -1)),
    }
    facts["kind"] = _kind(values, kept, facts["whole"], family, units)
    classes = class_numbers(values, facts["kind"])
    if classes is None:
        facts["distinct"] = len(np.unique(kept[:200_000]))
        facts["autocorrelation"] = _autocorrelation(values)
        return facts
    present, counts = np.unique(classes, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:LISTED]
    facts |= {
        "distinct": len(present),
        "counts": [[int(present[i]), int(counts[i])] for i in most],
        "commonest": float(counts.max() / counts.sum()),
        "rarest": float(counts.min() / counts.sum()),
    }
    if classes.ndim == 1 and len(present) > 1 and rows is array:
        facts["order"] = _order(classes, batch_size)
    return facts


def class_numbers(values: np.ndarray, kind: str) -> np.ndarray | None:
    """The class of each row, or of each position of each row, as whole numbers; `None` if the target has no classes."""
    if kind == "one-hot":
        return values.argmax(-1)
    if kind != "classes" or not np.isfinite(values).all():
        return None
    values = values.round().astype("int64")
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _kind(values, kept, is_whole, family, units):
    width = values.shape[-1] if values.ndim > 1 else 1
    # A grid of class numbers, as in segmentation, is no row of probabilities.
    is_grid = family == "sparse_categorical_crossentropy" and width != units
    if width > 1 and not is_grid and len(kept) == values.size and kept.min() >= 0 and kept.max() <= 1:
        sums = values.sum(-1)
        if is_whole:
            return "one-hot" if np.all(sums == 1) else "multi-hot"
        if np.all(np.abs(sums - 1) < 1e-3):
            return "probabilities"
    if not is_whole:
        return "numbers"
    if family in ENTROPIES:
        return "multi-hot" if family == "binary_crossentropy" and width > 1 else "classes"
    if width > 1:
        return "numbers"
    present = np.unique(kept)
    # Class numbers are few, have hardly any gaps and begin at -1, 0 or 1; a count or a year does not.
    few = len(present) <= max(2, min(100, np.sqrt(len(kept))))
    gaps = present[-1] - present[0] + 1 > len(present) + (1 if set(present) <= {-1, 0, 1} else 0)
    return "classes" if few and not gaps and present[0] in (-1, 0, 1) else "numbers"


def _order(classes, batch_size):
    """The difference of the order of the rows from a random one."""
    shares = np.unique(classes, return_counts=True)[1] / len(classes)
    expected = 1 - np.sum(shares**2)
    changes = float(np.mean(classes[1:] != classes[:-1]))
    spread = np.sqrt(max(expected * (1 - expected), 1e-12) / max(1, len(classes) - 1))
    facts = {"changes": changes, "expected": float(expected), "z": float((changes - expected) / spread)}
    if batch_size and 1 < batch_size < len(classes):
        shuffled = np.random.default_rng(0).permutation(classes)
        facts |= {"purity": _purity(classes, batch_size), "expected_purity": _purity(shuffled, batch_size)}
    return facts


def _purity(classes, batch_size):
    """The mean over batches, at most 200, of the share of the commonest class."""
    _, numbered = np.unique(classes, return_inverse=True)
    starts = np.arange(0, len(classes) - batch_size + 1, batch_size)
    starts = starts[np.linspace(0, len(starts) - 1, min(200, len(starts))).astype(int)]
    return float(np.mean([np.bincount(numbered[i : i + batch_size]).max() / batch_size for i in starts]))


def _autocorrelation(values):
    column = values.reshape(len(values), -1)[:, 0]
    column = column[np.isfinite(column)]
    if len(column) < 3 or column.std() == 0:
        return None
    centered = column - column.mean()
    return float(np.sum(centered[1:] * centered[:-1]) / np.sum(centered**2))
