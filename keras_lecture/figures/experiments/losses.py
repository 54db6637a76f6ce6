"""`losses`: the margin losses over the margin, and hinge against cross entropy on the slides' scores."""

from typing import Any

import numpy as np
from keras import ops

from keras_lecture._core import checks
from keras_lecture.figures.experiments._numbers import plain
from keras_lecture.losses import (
    Exponential,
    Logistic,
    MulticlassHinge,
    Savage,
    SmoothHinge,
    SoftmaxCrossEntropy,
    Square,
    SquaredHinge,
    Tangent,
)

_MARGIN_LOSSES = {
    "logistic": Logistic,
    "exponential": Exponential,
    "squared hinge": SquaredHinge,
    "smooth hinge": SmoothHinge,
    "square": Square,
    "savage": Savage,
    "tangent": Tangent,
}
# Deck C: scores of cat, chair and car for a picture of each, and of three models for one picture of class 0.
_IMAGES = {"cat": [3.2, 5.1, -1.7], "chair": [1.3, 4.9, 2.0], "car": [2.2, 2.5, -3.1]}
_MODELS = {"model 1": [5.0, -3.0, 2.0], "model 2": [5.0, 10.0, 10.0], "model 3": [5.0, -20.0, -20.0]}


def losses(*, seed: int = 0, points: int = 101) -> dict[str, Any]:
    """Losses over the margin and over the lead of the true class, and those of the slides' worked scores.

    Use it to see what a loss asks of a sample that is already right, and how hard it punishes one that is wrong.

        margin v = y·f,    lead d = s_y − s_k for both other classes k
        hinge 2·max(0, 1 − d),    cross entropy log(1 + 2·e^(−d))

    The hinge over the margin is `losses.MulticlassHinge` of the scores ±v/2.

    Args:
        seed: Without effect: nothing is random.
        points: Points of each curve. Defaults to `101`.

    Returns:
        `margin` and `margin_losses`, by name; `lead`, `hinge` and `cross_entropy`; `images` and `models`, each with
        `names`, `scores`, `lead` (over the best other class), `hinge` and `cross_entropy`.

    Example:
        >>> data = keras_lecture.figures.experiments.losses()
        >>> [round(loss, 2) for loss in data["images"]["cross_entropy"]]
        [2.04, 0.08, 6.16]

    Reference:
        Deck A (other loss functions), deck C (hinge against cross entropy).
    """
    checks.whole("losses", "points", points, "[2, ∞)")
    margin, lead = np.linspace(-2.5, 3.0, points), np.linspace(-6.0, 26.0, points)
    ones = np.ones((points, 1), "float32")
    by_name = {"hinge": _of_class_0(MulticlassHinge, np.stack([margin / 2, -margin / 2], axis=1))}
    for name, loss in _MARGIN_LOSSES.items():
        by_name[name] = _numbers(loss(reduction=None)(ones, margin[:, None].astype("float32")))
    scores = np.stack([lead, np.zeros(points), np.zeros(points)], axis=1)
    return {
        "margin": plain(margin),
        "margin_losses": by_name,
        "lead": plain(lead),
        "hinge": _of_class_0(MulticlassHinge, scores),
        "cross_entropy": _of_class_0(SoftmaxCrossEntropy, scores),
        "images": _worked(_IMAGES, labels=[0, 1, 2]),
        "models": _worked(_MODELS, labels=[0, 0, 0]),
    }


def _worked(scores, labels):
    """Both losses of each row of scores, and the lead of the true class over the best other class."""
    rows = np.array(list(scores.values()))
    others = np.where(np.eye(3, dtype=bool)[labels], -np.inf, rows)
    return {
        "names": list(scores),
        "scores": rows.tolist(),
        "lead": plain(rows[range(3), labels] - others.max(axis=1)),
        "hinge": _of_class(MulticlassHinge, labels, rows),
        "cross_entropy": _of_class(SoftmaxCrossEntropy, labels, rows),
    }


def _of_class_0(loss, scores):
    return _of_class(loss, np.zeros(len(scores)), scores)


def _of_class(loss, labels, scores):
    return _numbers(loss(reduction=None)(np.asarray(labels, "int32"), np.asarray(scores, "float32")))


def _numbers(values):
    return plain(np.ravel(ops.convert_to_numpy(values)))
