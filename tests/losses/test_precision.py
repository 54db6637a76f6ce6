"""Every loss at extreme scores and near cancellation: −∞, the largest and smallest floats, confident predictions.

Oracle: the formulas in 60 digits, at exactly these scores. Tolerance: 4 ulp of the oracle's value, rounded to float32,
and of its gradient, rounded to the precision of the scores; backends may round subnormal numbers to 0.
"""

import ml_dtypes
import numpy as np
import pytest
from keras import ops
from mpmath import mpf
from oracles import losses as oracles
from support.harness import numpy

from keras_lecture import _backend, losses

TYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
EVERY_TYPE = pytest.mark.parametrize("dtype", TYPES)


def ends(dtype):
    limits = ml_dtypes.finfo(TYPES[dtype])
    sizes = [limits.max, limits.max / 4, limits.tiny, limits.smallest_subnormal, 60, 17, 2.5, 1, 0.75, 1 / 256, 1e-4]
    near_1 = [1 - limits.eps, 1 - 16 * limits.eps, 0.99, 0.9, 1 + limits.eps]
    return np.array([-np.inf, 0, *sizes, *(-np.array(sizes, "float64")), *near_1], "float64").astype(TYPES[dtype])


def check(loss, labels, scores, expected, slopes, dtype):
    """Values and gradients of `loss` at `scores`, an array of `dtype`, against lists of mpmath's numbers."""

    def total(weights, y):
        values = loss(y, weights[0])
        return ops.sum(values), values

    predictions = ops.cast(ops.convert_to_tensor(scores.astype("float32")), dtype)
    (_, values), (gradient,) = _backend.compile(_backend.value_and_grad(total))([predictions], labels)
    _agree(numpy(values), expected, np.float32)
    _agree(numpy(gradient), slopes, TYPES[dtype])


def _agree(actual, expected, kind):
    limits = ml_dtypes.finfo(kind)
    expected = np.array(expected, object)
    with np.errstate(over="ignore", invalid="ignore"):
        # The second rounding, to float64, is far below an ulp of float32.
        expected = np.vectorize(float, otypes=["float64"])(expected)
        rounded = expected.astype(kind).astype("float64")
        gap = np.abs(actual.astype("float64") - rounded)
    ulp = limits.eps * np.maximum(np.abs(expected), limits.tiny)
    right = (actual == rounded) | (gap <= 4 * ulp + limits.tiny)
    assert right.all(), [(a, e) for a, e in zip(actual[~right], expected[~right], strict=True)]


@EVERY_TYPE
@pytest.mark.parametrize("label", [1.0, -1.0])
@pytest.mark.parametrize("name", sorted(oracles.MARGIN_LOSSES))
def test_margin_losses(name, label, dtype):
    phi, slope = oracles.MARGIN_LOSSES[name]
    scores = ends(dtype)
    if name == "Tangent":
        # It is 0 at tan ½ = 0.546: near it, the difference is dominated by the rounding error of arctan.
        scores = scores[abs(abs(scores.astype("float32")) - 0.75) > 0.3]
    margins = [label * mpf(float(f)) for f in scores]
    unit = getattr(losses, name)(reduction=None)
    labels = np.full(len(scores), label, "float32")
    check(unit, labels, scores, [phi(v) for v in margins], [label * slope(v) for v in margins], dtype)


@EVERY_TYPE
@pytest.mark.parametrize("alpha", [0.5, 1.0, 3.0, 40.0])
def test_smooth_hinge(alpha, dtype):
    scores = ends(dtype)
    pairs = [oracles.smooth_hinge(mpf(float(v)), alpha) for v in scores]
    unit = losses.SmoothHinge(alpha=alpha, reduction=None)
    check(unit, np.ones(len(scores), "float32"), scores, *zip(*pairs, strict=True), dtype)


@EVERY_TYPE
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_binary_cross_entropy(label, dtype):
    scores = ends(dtype)
    pairs = [oracles.binary_cross_entropy(mpf(label), mpf(float(s))) for s in scores]
    unit = losses.BinaryCrossEntropy(reduction=None)
    check(unit, np.full(len(scores), label, "float32"), scores, *zip(*pairs, strict=True), dtype)


@EVERY_TYPE
@pytest.mark.parametrize("loss", [losses.L1, losses.L2])
def test_distances(loss, dtype):
    scores = ends(dtype)
    # Subnormal numbers may be rounded to 0, where the slope of |·| is 0.
    targets = np.where(abs(scores.astype("float64")) < ml_dtypes.finfo(TYPES[dtype]).tiny, 0.75, 0.0)
    power = 1 if loss is losses.L1 else 2
    pairs = [oracles.distance(power, mpf(y), mpf(float(f))) for y, f in zip(targets, scores, strict=True)]
    check(loss(reduction=None), targets.astype("float32"), scores, *zip(*pairs, strict=True), dtype)


def rows(dtype, width):
    """Rows of scores of at most three classes, padded with −∞ to `width` classes."""
    limits = ml_dtypes.finfo(TYPES[dtype])
    low, high, tiny, subnormal = -np.inf, limits.max, limits.tiny, limits.smallest_subnormal
    given = [
        [0.0, low, low],
        [20.0, 0.0, -3.0],
        [80.0, 0.0, low],
        [2.5, 2.5, 2.5],
        [1.0, 2.0, low],
        [0.0, 30.0, 1.0],
        [high, high / 2, low],
        [high, -high, 0.0],
        [tiny, -tiny, subnormal],
        [16.0, 0.0, 16.0],
        [-high, -high, low],
    ]
    table = np.full((len(given), width), -np.inf)
    table[:, :3] = given
    return table.astype(TYPES[dtype])


@pytest.mark.parametrize(("dtype", "width"), [*((dtype, 3) for dtype in TYPES), ("float32", 300)])
@pytest.mark.parametrize("form", ["numbers", "one-hot"])
def test_softmax_cross_entropy(form, width, dtype):
    """300 classes are enough for the compiled kernels of TensorFlow."""
    scores = rows(dtype, width)
    one_hot = np.zeros((len(scores), width), "float32")
    one_hot[:, 0] = 1
    pairs = [oracles.cross_entropy([mpf(float(q)) for q in one_hot[0]], [mpf(float(x)) for x in s]) for s in scores]
    labels = np.zeros(len(scores), "int32") if form == "numbers" else one_hot
    unit = losses.SoftmaxCrossEntropy(reduction=None)
    check(unit, labels, scores, *zip(*pairs, strict=True), dtype)


@pytest.mark.parametrize(("dtype", "width"), [*((dtype, 3) for dtype in TYPES), ("float32", 300)])
@pytest.mark.parametrize("form", ["numbers", "one-hot"])
def test_multiclass_hinge(form, width, dtype):
    """At a score of 10⁸, a margin that is subtracted from it first is lost to rounding."""
    scores = rows(dtype, width)
    if dtype != "float16":
        scores[1, :3] = 1e8
    pairs = [oracles.hinge(0, [mpf(float(x)) for x in s], 1) for s in scores]
    labels = np.zeros(len(scores), "int32") if form == "numbers" else np.eye(width, dtype="float32")[[0] * len(scores)]
    check(losses.MulticlassHinge(reduction=None), labels, scores, *zip(*pairs, strict=True), dtype)
