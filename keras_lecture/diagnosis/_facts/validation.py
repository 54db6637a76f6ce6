"""Facts about the validation data against the training data.

rows             number of validation rows
nonfinite        share of the rows with an input that is not finite
shared           estimated share of the validation rows whose inputs are those of a training row
twins            the same for training rows and other training rows: the share that chance explains, unless they are
copies           training rows with all values equal that chance cannot have made: rows were repeated before the split
same             whether the validation rows are all of the training rows, and nothing else
missing          [[class, share of the training rows, probability of its absence by chance], …]: classes of the
                 training data without a validation row
new              share of the validation rows whose class has no training row
label_shift      classes: half the sum of the differences of shares; numbers: difference of means in standard
                 deviations of the training data
label_p          probability of such a difference by chance, if rows had been drawn at random
input_shift      median over features of |difference of means| / standard deviation of the training data
input_shift_largest      its maximum, and
input_p          the probability of the maximum by chance, corrected for the number of features
other_shapes     [[name, shape of one training target, shape of one validation target], …] where they differ; (1,) is ()
scale            rms of the validation inputs / rms of the training inputs; the most extreme input counts
label_scale      the same for numeric targets
"""

import math
from typing import Any

import numpy as np

from keras_lecture.diagnosis._facts.arrays import blocks, leaves, sample
from keras_lecture.diagnosis._facts.targets import class_numbers


def validation_facts(
    inputs: dict[str, np.ndarray], targets: dict[str, np.ndarray], kinds: list[Any], validation_data: Any, seed: int = 0
) -> dict[str, Any] | None:
    """The facts; `validation_data` is `(x, y)` or `(x, y, sample_weight)` in the form of the training data."""
    if not isinstance(validation_data, list | tuple) or not validation_data:
        return None
    x, y = [*validation_data, None][:2]
    held_in, held_y = leaves(x, "x"), leaves(y, "y")
    rows = len(next(iter(held_in.values())))
    facts: dict[str, Any] = {"rows": rows}
    pairs = [(array, held_in[name]) for name, array in inputs.items() if name in held_in]
    pairs = [pair for pair in pairs if pair[0].shape[1:] == pair[1].shape[1:] and len(pair[1]) and len(pair[0])]
    if pairs:
        facts |= _shared(pairs)
        facts |= _input_shift([pair for pair in pairs if all(array.dtype.kind in "biuf" for array in pair)])
    shapes = [[name, *map(_form, (targets[name], held_y[name]))] for name in targets if name in held_y]
    facts["other_shapes"] = [entry for entry in shapes if entry[1] != entry[2]]
    for kind, (name, array) in zip(kinds, targets.items(), strict=False):
        if name in held_y and array.shape[1:] == held_y[name].shape[1:] and "label_p" not in facts:
            facts |= _labels(array, held_y[name], kind)
    return facts


def _form(array):
    """The shape of one target; losses take `(1,)` for `()`."""
    shape = list(array.shape[1:])
    return shape[:-1] if shape[-1:] == [1] else shape


def _shared(pairs):
    """Equal rows, found by one random projection of each row in double precision."""
    train, held_out = (_fingerprints([pair[i] for pair in pairs]) for i in (0, 1))
    share = len(train) / len(pairs[0][0])
    found = float(np.mean(np.isin(held_out, train)))
    _, first, inverse, counts = np.unique(train, return_index=True, return_inverse=True, return_counts=True)
    twins = float(np.mean(counts[inverse] > 1))
    copies = twins > 0 and not _may_coincide([sample(array)[first] for array, _ in pairs], twins)
    same = len(pairs[0][0]) == len(pairs[0][1]) and found == 1.0
    # Of a sample of the training rows, only this share of the copies is found.
    facts = {"shared": min(1.0, found / share), "twins": min(1.0, twins / share)}
    return facts | {"copies": bool(copies), "same": bool(same)}


def _may_coincide(different, twins):
    """Whether so many twins may be equal by chance, given the rows that differ, at least 100.

    A row has Σ c (c − 1) / n others with its value in a column, c of n rows having the same one; that is the most that
    chance explains. Chance is excluded if it is below a tenth of the share of twins in one column.
    """
    rows = len(different[0])
    if rows < 100 or sum(array[:1].size for array in different) == 1:
        # Rows of one column differ in it by definition, which says nothing about chance.
        return True
    for array in different:
        columns = array.reshape(rows, -1)
        for column in columns[:, np.linspace(0, columns.shape[1] - 1, min(200, columns.shape[1])).astype(int)].T:
            _, counts = np.unique(column.astype(str) if column.dtype == object else column, return_counts=True)
            if np.sum(counts * (counts - 1)) < 0.1 * twins * rows:
                return False
    return True


def _fingerprints(arrays):
    total = 0.0
    for position, array in enumerate(arrays):
        rows = sample(array)
        rows = rows.reshape(len(rows), -1)
        if rows.dtype.kind not in "biuf":
            _, numbered = np.unique(rows.astype(str), return_inverse=True)
            rows = numbered.reshape(len(rows), -1)
        direction = np.random.default_rng(position).normal(size=rows.shape[1])
        with np.errstate(all="ignore"):
            # One row at a time in the same order of additions, so that equal rows have equal sums.
            sums = [
                np.einsum("ij,j->i", np.nan_to_num(rows[part].astype("float32").astype("float64")), direction)
                for part in blocks(*rows.shape)
            ]
        total = total + np.concatenate(sums)
    mantissa, exponent = np.frexp(total)
    return np.ldexp(np.round(mantissa, 11), exponent)


def _input_shift(pairs):
    """Differences of the features' means and of the scales; on each input at most 2,000 features."""
    shifts, scales, smallest_p, features, nonfinite = [], [], 1.0, 0, 0.0
    for train, held_out in pairs:
        a, b = (_matrix(array) for array in (train, held_out))
        nonfinite = max(nonfinite, float(np.mean(~np.isfinite(b).all(1))))
        a, b = a[np.isfinite(a).all(1)], b[np.isfinite(b).all(1)]
        if len(a) < 2 or not len(b):
            continue
        rms = [float(np.sqrt(np.mean(part**2))) for part in (a, b)]
        if min(rms) > 0:
            scales.append(rms[1] / rms[0])
        std, difference = a.std(0), np.abs(b.mean(0) - a.mean(0))
        varies = std > 1e-7 * np.maximum(np.abs(a.mean(0)), 1e-30)
        if not varies.any():
            continue
        shift = difference[varies] / std[varies]
        error = np.sqrt(std[varies] ** 2 / len(a) + np.maximum(b.std(0)[varies], std[varies]) ** 2 / len(b))
        z = float(np.max(difference[varies] / error))
        features += len(shift)
        smallest_p = min(smallest_p, math.erfc(z / math.sqrt(2)))
        shifts.append(shift)
    facts = {"nonfinite": nonfinite}
    if shifts:
        every = np.concatenate(shifts)
        facts |= {"input_shift": float(np.median(every)), "input_shift_largest": float(every.max())}
        facts["input_p"] = min(1.0, smallest_p * features)
    if scales:
        facts["scale"] = max(scales, key=lambda scale: abs(math.log(scale)))
    return facts


def _matrix(array):
    rows = sample(array, 5000)
    rows = rows.reshape(len(rows), -1)
    return rows[:, np.linspace(0, rows.shape[1] - 1, min(2000, rows.shape[1])).astype(int)].astype("float64")


def _labels(train, held_out, kind):
    if any(array.dtype.kind not in "biuf" for array in (train, held_out)):
        return {}
    train, held_out = sample(train).astype("float64"), sample(held_out).astype("float64")
    classes = [class_numbers(array, kind) for array in (train, held_out)]
    if any(part is None for part in classes):
        return _number_shift(train, held_out) if kind == "numbers" else {}
    first, second = (part.reshape(-1) for part in classes)
    present = np.unique(np.concatenate([first, second]))
    counts = np.stack(
        [(part[:, None] == present).sum(0) if len(present) < 50 else _counts(part, present) for part in (first, second)]
    )
    shares = counts / counts.sum(1, keepdims=True)
    # Positions of one row, as in segmentation, are not independent.
    rows = len(classes[1])
    absent = [i for i in range(len(present)) if counts[1, i] == 0 and counts[0, i] > 0]
    missing = [[int(present[i]), float(shares[0, i]), float((1 - shares[0, i]) ** rows)] for i in absent]
    missing.sort(key=lambda entry: entry[2])
    return {
        "missing": missing[:20],
        "new": float(shares[1, counts[0] == 0].sum()),
        "label_shift": float(np.abs(shares[0] - shares[1]).sum() / 2),
        "label_p": _same_shares(counts) if classes[0].ndim == 1 else None,
    }


def _counts(part, present):
    values, counts = np.unique(part, return_counts=True)
    found = np.zeros(len(present), int)
    found[np.searchsorted(present, values)] = counts
    return found


def _same_shares(counts):
    """p-value of the χ² test that two sets have the same class shares; rare classes are merged into one."""
    total = counts.sum(0)
    expected = total * counts.sum(1).min() / counts.sum()
    common = expected >= 5
    table = np.column_stack([counts[:, common], counts[:, ~common].sum(1)]).astype("float64")
    table = table[:, table.sum(0) > 0]
    freedom = table.shape[1] - 1
    if freedom < 1:
        return 1.0
    fit = np.outer(table.sum(1), table.sum(0)) / table.sum()
    statistic = float(np.sum((table - fit) ** 2 / fit))
    return _tail(statistic, freedom)


def _tail(statistic, freedom):
    """The probability that χ² with so many degrees of freedom is larger: a finite sum."""
    half = statistic / 2
    if half == 0:
        return 1.0
    first = 0.0 if freedom % 2 == 0 else 0.5
    total = math.erfc(math.sqrt(half)) if first else 0.0
    powers = [first + step for step in range(freedom // 2)]
    return min(1.0, total + sum(math.exp(p * math.log(half) - half - math.lgamma(p + 1)) for p in powers))


def _number_shift(train, held_out):
    a, b = (part.reshape(len(part), -1)[:, 0] for part in (train, held_out))
    a, b = a[np.isfinite(a)], b[np.isfinite(b)]
    if len(a) < 2 or len(b) < 2 or a.std() == 0:
        return {}
    error = math.sqrt(a.var() / len(a) + b.var() / len(b))
    z = abs(b.mean() - a.mean()) / error
    scale = math.sqrt(np.mean(b**2) / np.mean(a**2))
    p = math.erfc(z / math.sqrt(2))
    return {"label_shift": float(abs(b.mean() - a.mean()) / a.std()), "label_p": p, "label_scale": scale}
