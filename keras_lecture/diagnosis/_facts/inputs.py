"""Facts about one input array; the fields are listed in `data.py`."""

from typing import Any

import numpy as np

from keras_lecture.diagnosis._facts.arrays import blocks, has_strings, sample

# Rows for means and spreads: their errors are below 2 %.
_MOMENTS = 5000


def input_facts(name: str, array: np.ndarray) -> dict[str, Any]:
    """The facts about one input array."""
    facts: dict[str, Any] = {"name": name, "shape": list(array.shape[1:]), "dtype": str(array.dtype)}
    if array.dtype.kind not in "biuf":
        return facts | {"kind": "strings" if has_strings(array) else "objects"}
    rows = sample(array)
    rows = rows.reshape(len(rows), -1)
    facts["nonfinite"] = _nonfinite(rows)
    values = sample(rows, _MOMENTS)
    features = _features(values)
    if not features["count"].any():
        return facts | {"kind": "numbers"}
    facts |= _whole(features) | {"features": values.shape[1], "kind": "numbers"}
    # Images and tables of integers have channels or large steps; token sequences have one axis and start at 0 or 1.
    if array.dtype.kind in "iu" and array.ndim == 2 and array.shape[1] > 1 and facts["smallest"] >= 0:
        facts["kind"] = "tokens"
    mean, std = features["mean"], features["std"]
    varies = std > 1e-7 * np.maximum(np.abs(mean), 1e-30)
    facts["constant"] = int(np.sum(~varies)) if len(values) > 1 else 0
    if varies.any():
        facts |= {"feature_std_smallest": float(std[varies].min()), "feature_std_largest": float(std[varies].max())}
        ranges = np.sort((features["largest"] - features["smallest"])[varies])
        facts["spread"] = float(ranges[-1] / ranges[(len(ranges) - 1) // 4])
        facts["offset"] = float(np.median(np.abs(mean[varies]) / std[varies]))
    return facts


def _nonfinite(rows):
    """The share of the rows with a value that is not finite."""
    if rows.dtype.kind != "f":
        return 0.0
    bad = [~np.isfinite(rows[part]).all(1) for part in blocks(*rows.shape)]
    return float(np.mean(np.concatenate(bad))) if len(rows) else 0.0


def _features(rows):
    """Of each feature: the number of finite values, their mean, spread and range, and whether all are whole numbers."""
    parts = [_of_block(rows[:, part]) for part in blocks(rows.shape[1], len(rows))]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _of_block(rows):
    values = rows.astype("float64")
    finite = np.isfinite(values)
    count = finite.sum(0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        mean = np.where(finite, values, 0.0).sum(0) / np.maximum(count, 1)
        variance = np.where(finite, values - mean, 0.0)
        variance = np.square(variance, out=variance).sum(0) / np.maximum(count, 1)
    return {
        "count": count,
        "mean": mean,
        "std": np.sqrt(variance),
        "smallest": np.where(finite, values, np.inf).min(0, initial=np.inf),
        "largest": np.where(finite, values, -np.inf).max(0, initial=-np.inf),
        "whole": (~finite | (values == np.round(values))).all(0),
    }


def _whole(features):
    """The moments and the range of all finite values, from those of the features."""
    known = features["count"] > 0
    share = features["count"][known] / features["count"].sum()
    mean, std = (features[name][known] for name in ("mean", "std"))
    center = float(np.sum(share * mean))
    variance = float(np.sum(share * (std**2 + (mean - center) ** 2)))
    return {
        "rms": float(np.sqrt(np.sum(share * (std**2 + mean**2)))),
        "mean": center,
        "std": float(np.sqrt(variance)),
        "smallest": float(features["smallest"][known].min()),
        "largest": float(features["largest"][known].max()),
        "whole": bool(features["whole"][known].all()),
    }
