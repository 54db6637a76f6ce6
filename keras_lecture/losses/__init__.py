"""Losses for regression and classification."""

from keras_lecture.losses.classification import BinaryCrossEntropy, SoftmaxCrossEntropy
from keras_lecture.losses.margin import (
    Exponential,
    Logistic,
    MulticlassHinge,
    Savage,
    SmoothHinge,
    Square,
    SquaredHinge,
    Tangent,
)
from keras_lecture.losses.regression import L1, L2

__all__ = [
    "BinaryCrossEntropy",
    "Exponential",
    "L1",
    "L2",
    "Logistic",
    "MulticlassHinge",
    "Savage",
    "SmoothHinge",
    "SoftmaxCrossEntropy",
    "Square",
    "SquaredHinge",
    "Tangent",
]
