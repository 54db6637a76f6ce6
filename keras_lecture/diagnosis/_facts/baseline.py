"""The skill of two simple methods on the data: can the labels be learned from these inputs at all?

    rows             number of rows used, at most 500
    target           name of the target that is predicted best
    kind             "classes" or "numbers"
    p                probability of such a skill if the labels had been drawn without regard to the inputs; the smallest
                     of all methods, times their number
    method           the method with this p: "neighbors", "ridge", or the same on "summary" (statistics of each sample,
                     which are the same for a shifted signal)
    accuracy         its accuracy on rows that it was not given (classes), and
    chance           the share of the commonest class; or
    r2               1 − (mean squared error) / (variance of the targets) on rows that it was not given (numbers)
    methods          {method: {"p", "accuracy" or "r2"}}

All predictions leave the row out, all features are standardized, and p-values come from permuted targets.
"""

import math
from typing import Any

import numpy as np

from keras_lecture.diagnosis._facts.arrays import blocks, chosen
from keras_lecture.diagnosis._facts.targets import class_numbers

ROWS = 500
FEATURES = 3000
NEIGHBORS = 5
PERMUTATIONS = 60


def baseline_facts(
    inputs: dict[str, np.ndarray], targets: dict[str, np.ndarray], kinds: list[Any], tokens: bool, seed: int = 0
) -> dict[str, Any] | None:
    """The facts; `None` for token sequences, without targets, and on fewer than 20 rows."""
    counts = {len(array) for array in [*inputs.values(), *targets.values()]}
    if tokens or not targets or len(counts) != 1 or min(counts) < 20:
        return None
    rows = chosen(counts.pop(), ROWS, seed)
    kernels = {"": _kernel(inputs.values(), rows)}
    if any(array.ndim > 2 for array in inputs.values()):
        summaries = [_statistics(array, rows) for array in inputs.values()]
        kernels["summary "] = _kernel(summaries, np.arange(len(rows)))
    best = None
    for kind, (name, array) in zip(kinds, targets.items(), strict=False):
        if kind not in ("classes", "one-hot", "probabilities", "multi-hot", "numbers"):
            continue
        facts = _of_target(kernels, array[rows].astype("float64"), kind, seed)
        if facts is not None and (best is None or facts["p"] < best["p"]):
            best = {"rows": len(rows), "target": name} | facts
    return best


def _of_target(kernels, values, kind, seed):
    classes = class_numbers(values, kind)
    if classes is not None and classes.ndim == 1:
        _, numbered = np.unique(classes, return_inverse=True)
        y = np.eye(numbered.max() + 1)[numbered]
    else:
        y = values.reshape(len(values), -1)
        y = y[:, np.linspace(0, y.shape[1] - 1, min(8, y.shape[1])).astype(int)]
        numbered = None
    kept = np.isfinite(y).all(1)
    y = y[:, y[kept].std(0) > 0] if kept.any() else y[:, :0]
    if not y.shape[1] or kept.sum() < 20 or not all(np.isfinite(kernel).all() for kernel in kernels.values()):
        return None
    rng = np.random.default_rng(seed)
    methods = {}
    for view, kernel in kernels.items():
        for method, smoother in _smoothers(kernel[np.ix_(kept, kept)]):
            methods[view + method] = _skill(smoother, y[kept], None if numbered is None else numbered[kept], rng)
    best = min(methods, key=lambda name: _rank(methods[name]))
    facts = {"kind": "numbers" if numbered is None else "classes", "method": best, "methods": methods}
    facts |= methods[best]
    facts["p"] = min(1.0, min(each["p"] for each in methods.values()) * len(methods))
    if numbered is not None:
        facts["chance"] = float(np.bincount(numbered[kept]).max() / kept.sum())
    return facts


def _rank(facts):
    """By p-value; where the skill is beyond doubt, by its size."""
    size = facts["accuracy"] if "accuracy" in facts else facts["r2"]
    return (facts["p"] if facts["p"] > 1e-6 else 0.0, -size)


def _smoothers(kernel):
    """Matrices S with zero diagonal: S y predicts each row's target from the other rows. One after the other."""
    yield "neighbors", _neighbors(kernel)
    yield "ridge", _ridge(kernel)


def _neighbors(kernel):
    squares = np.diag(kernel)
    distances = -2 * kernel
    distances += squares[:, None]
    distances += squares
    np.fill_diagonal(distances, np.inf)
    nearest = np.argpartition(distances, NEIGHBORS, 1)[:, :NEIGHBORS]
    smoother = np.zeros_like(kernel)
    np.put_along_axis(smoother, nearest, 1 / NEIGHBORS, 1)
    return smoother


def _ridge(kernel):
    """Ridge regression with a constant; its strength is the mean eigenvalue of the kernel."""
    n = len(kernel)
    centered = kernel - kernel.mean(0)
    centered -= kernel.mean(1)[:, None]
    centered += kernel.mean()
    strength = max(np.trace(centered) / n, 1e-12)
    smoother = centered @ np.linalg.inv(centered + strength * np.eye(n))
    smoother += 1 / n
    smoother /= np.maximum(1 - np.diag(smoother), 1e-9)[:, None]
    np.fill_diagonal(smoother, 0.0)
    return smoother


def _skill(smoother, y, classes, rng):
    """The skill against that on permuted targets, as a p-value of the normal distribution."""

    def score(y):
        centered = y - y.mean(0)
        predicted = smoother @ centered
        predicted = predicted - predicted.mean(0)
        scale = np.sqrt(np.sum(predicted**2, 0) * np.sum(centered**2, 0))
        return float(np.mean(np.sum(predicted * centered, 0) / np.maximum(scale, 1e-30)))

    by_chance = [score(y[rng.permutation(len(y))]) for _ in range(PERMUTATIONS)]
    z = (score(y) - np.mean(by_chance)) / max(float(np.std(by_chance)), 1e-12)
    facts = {"p": 0.5 * math.erfc(float(z) / math.sqrt(2))}
    predicted = smoother @ y
    if classes is not None:
        facts["accuracy"] = float(np.mean(predicted.argmax(1) == classes)) if y.shape[1] > 1 else 1.0
    else:
        facts["r2"] = float(1 - np.sum((y - predicted) ** 2) / np.sum((y - y.mean(0)) ** 2))
    return facts


def _kernel(arrays, rows):
    """x xᵀ of the standardized features x, some columns at a time: in double precision all are eight times an image."""
    kernel = np.zeros((len(rows), len(rows)))
    for array in arrays:
        shape = array.shape[1:] or (1,)
        columns = np.random.default_rng(0).permutation(math.prod(shape))[:FEATURES]
        columns = np.unravel_index(np.sort(columns), shape)
        array = array.reshape(len(array), *shape)
        for part in blocks(len(columns[0]), len(rows)):
            features = array[rows[:, None], *(index[part] for index in columns)]
            x = _standardized(features.astype("float64"))
            kernel += x @ x.T
    return kernel


def _standardized(x):
    """Without the columns that do not vary."""
    std = x.std(0)
    x = x[:, std > 1e-7 * np.maximum(np.abs(x.mean(0)), 1e-30)]
    x -= x.mean(0)
    x /= np.maximum(x.std(0), 1e-30)
    return x


def _statistics(array, rows):
    """Statistics per channel, the last axis: moments, range, and the size of the differences between neighbors."""
    parts = blocks(len(rows), array[0].size)
    return np.concatenate([_statistics_of(array[rows[part]].astype("float64")) for part in parts])


def _statistics_of(array):
    if array.ndim < 3:
        return array
    if array.shape[-1] > 64:
        array = array[..., None]
    steps = np.diff(array, axis=1).reshape(len(array), -1, array.shape[-1])
    flat = array.reshape(len(array), -1, array.shape[-1])
    turns = np.mean(np.diff(np.sign(steps), axis=1) != 0, 1) if steps.shape[1] > 1 else np.zeros_like(flat[:, 0])
    sizes = np.abs(steps).mean(1) if steps.shape[1] else np.zeros_like(flat[:, 0])
    return np.concatenate([flat.mean(1), flat.std(1), flat.min(1), flat.max(1), sizes, turns], 1)
