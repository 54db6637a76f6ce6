"""Losses on random labels, scores, weights and masks against their formulas in 60 digits."""

import keras
import numpy as np
from oracles import losses as oracles
from support.harness import numpy

from keras_lecture import losses

MARGIN = [*oracles.MARGIN_LOSSES, "SmoothHinge"]
CLASSES = ["SoftmaxCrossEntropy", "MulticlassHinge"]
NAMES = [*MARGIN, "BinaryCrossEntropy", "L1", "L2", *CLASSES]
# Of float32; float16 and bfloat16 are asked for the nearest number after a computation in float32.
DIGITS = {"float32": 4e-6, "float16": 4e-3, "bfloat16": 3e-2}
REDUCTIONS = ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", None]


def case(draw):
    name, dtype = draw.choice(NAMES), draw.choice(["float32"] * 4 + ["float16", "bfloat16"])
    shape = tuple(int(n) for n in draw.integers(1, 5, size=draw.integers(1, 4)))
    options = {"reduction": REDUCTIONS[draw.integers(len(REDUCTIONS))]}
    if name == "SmoothHinge":
        options["alpha"] = float(draw.integers(1, 5))
    if name == "MulticlassHinge":
        options["margin"] = float(draw.uniform(0.1, 3))
    if name in CLASSES:
        classes = int(draw.integers(2, 6))
        scores = _scores(draw, (*shape, classes), dtype)
        labels = draw.integers(0, classes, shape).astype(draw.choice(["int32", "uint8", "int64"]))
        if draw.random() < 0.3:
            options["ignore_class"] = int(draw.integers(0, classes))
        if name == "SoftmaxCrossEntropy" and draw.random() < 0.4:
            options["label_smoothing"] = float(draw.uniform(0, 0.9))
    else:
        scores = _scores(draw, shape, dtype)
        targets = draw.normal(size=shape) if name in ("L1", "L2") else draw.integers(0, 2, shape)
        labels = np.asarray(targets, scores.dtype if name in ("L1", "L2") else "float32")
    samples = shape if name in CLASSES or len(shape) == 1 else shape[:-1]
    # A weight may have fewer axes: it is that of all values of a sample.
    axes = draw.integers(1, len(samples) + 1)
    weight = draw.integers(0, 3, samples[:axes]).astype("float32") if draw.random() < 0.4 else None
    weights = None if weight is None else weight.shape
    description = f"{name}({options}) on {dtype} {scores.shape}, labels {labels.dtype}, weights {weights}"
    return description, lambda: check(name, options, labels, scores, weight, dtype)


def _scores(draw, shape, dtype):
    scores = draw.normal(size=shape) * 10.0 ** draw.uniform(-3, 1.3)
    return numpy(keras.ops.cast(scores.astype("float32"), dtype)).astype("float32")


def check(name, options, labels, scores, weight, dtype):
    loss = getattr(losses, name)(**options, dtype=dtype)
    seen = numpy(loss(labels, keras.ops.cast(scores, dtype), weight)).astype("float64")
    values, sizes = values_of(name, options, labels, scores)
    expected, terms = reduced(values, weight, labels, options)
    bound = DIGITS[dtype] * (np.abs(terms) + np.abs(sizes).max(initial=0) * 1e-1 + 1e-6)
    worst = np.abs(seen - expected)
    # The largest finite number of float16 is near.
    fits = np.abs(expected) < 6e4 if dtype == "float16" else np.full(np.shape(expected), True)
    assert np.all((worst <= bound) | ~fits), f"{seen} in place of {expected}, at most {bound} apart"


def values_of(name, options, labels, scores):
    """The value of each element or sample by the formula, and the size of its terms."""
    if name in CLASSES:
        rows = scores.reshape(-1, scores.shape[-1]).astype(float)
        picked = labels.reshape(-1)
        values = [_class_value(name, options, int(y), list(s)) for y, s in zip(picked, rows, strict=True)]
        return np.array(values, float).reshape(labels.shape), scores
    pairs = zip(labels.reshape(-1).astype(float), scores.reshape(-1).astype(float), strict=True)
    values = np.array([_value(name, options, y, s) for y, s in pairs], float).reshape(scores.shape)
    if name in ("L1", "L2"):
        # A distance sums over the last axis; a score alone is a sample of one number only if it has that axis.
        return (values.sum(-1) if values.ndim > 1 else values), scores
    return (values.mean(-1) if values.ndim > 1 else values), scores


def _class_value(name, options, y, s):
    if name == "MulticlassHinge":
        return oracles.hinge(y, [oracles.mpf(v) for v in s], oracles.mpf(options["margin"]))[0]
    smoothing, n = options.get("label_smoothing", 0.0), len(s)
    q = [(1 - smoothing) * (k == y) + smoothing / n for k in range(n)]
    return oracles.cross_entropy([oracles.mpf(v) for v in q], [oracles.mpf(v) for v in s])[0]


def _value(name, options, y, s):
    y, s = oracles.mpf(y), oracles.mpf(s)
    if name in ("L1", "L2"):
        return oracles.distance(1 if name == "L1" else 2, y, s)[0]
    if name == "BinaryCrossEntropy":
        return oracles.binary_cross_entropy(y, s)[0]
    margin = (2 * y - 1) * s
    if name == "SmoothHinge":
        return oracles.smooth_hinge(margin, options["alpha"])[0]
    return oracles.MARGIN_LOSSES[name][0](margin)


def reduced(values, weight, labels, options):
    """The reduced loss, and the size of the terms that it sums, for the bound of its rounding.

    Means divide by the number of samples that are not of the ignored class.
    """
    counted = np.full(values.shape, True) if "ignore_class" not in options else labels != options["ignore_class"]
    w = counted * np.ones(values.shape)
    if weight is not None:
        w = w * weight.reshape(*weight.shape, *(1,) * (values.ndim - weight.ndim))
    # 0 · NaN = 0: an excluded sample counts for nothing whatever its scores are.
    weighted = np.where(w == 0, 0.0, values * w)
    total, size = weighted.sum(), np.abs(weighted).sum()
    reduction = options["reduction"]
    if reduction is None:
        return weighted, weighted
    divisor = {"sum": 1, "mean_with_sample_weight": w.sum()}.get(reduction, counted.sum())
    return (0.0, 0.0) if divisor == 0 else (total / divisor, size / divisor)
