"""Softmax and sigmoid cross entropy."""

from typing import Any

import keras
from keras import ops

from keras_lecture._backend import accelerate, fuse
from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.losses._base.class_loss import ClassLoss
from keras_lecture.losses._base.loss import Loss
from keras_lecture.losses._base.targets import aligned, class_indices, is_one_hot


@register
class SoftmaxCrossEntropy(ClassLoss):
    """Softmax cross entropy, the loss of choice for one class out of K; it never reaches 0.

    Takes scores (logits), not probabilities: the last layer of the model has no activation.

        L = −Σₖ qₖ·log pₖ,  p = softmax(s),  log pₖ = (sₖ − m) − log Σᵢ exp(sᵢ − m),  m = maxᵢ sᵢ
        q = (1 − ε)·y + ε/K

    s `y_pred`, y `y_true` (one-hot), ε `label_smoothing`. Class indices give the same loss as one-hot rows. A label
    that is no class index makes the loss of its sample NaN, on every backend and device; rows are taken as they are. A
    score of −∞ excludes a class: 0·(−∞) = 0. The loss of a confident correct prediction keeps full precision, and so
    does its gradient p − q.

    Args:
        label_smoothing: Share ε in [0, 1) of the target that is spread evenly over the classes. Defaults to `0.0`.
        ignore_class: Class index whose samples are excluded, whatever their scores; it may lie outside the classes. A
            one-hot row is excluded if it has a 1 in this column. Defaults to `None`, all samples count.
        reduction, name, dtype: As in every Keras loss; the precision is at least float32.

    Example:
        >>> loss = keras_lecture.losses.SoftmaxCrossEntropy()
        >>> round(float(loss([0], [[3.2, 5.1, -1.7]])), 2)
        2.04

    Reference:
        Decks A, C, D; smoothing: Szegedy et al., 2016, arXiv:1512.00567, section 7. Deviation: none. Keras has a loss
        class for each form of labels, expects probabilities unless `from_logits=True`, and raises or returns NaN for a
        wrong label, depending on backend and device.
    """

    def __init__(
        self,
        *,
        label_smoothing: float = 0.0,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        checks.number("SoftmaxCrossEntropy", "label_smoothing", label_smoothing, "[0, 1)")
        super().__init__(ignore_class=ignore_class, reduction=reduction, name=name, dtype=dtype)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        form = one_hot_cross_entropy if is_one_hot("SoftmaxCrossEntropy", y_true, y_pred) else class_cross_entropy
        return form(y_true, y_pred, label_smoothing=self.label_smoothing)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@accelerate
@fuse
def class_cross_entropy(y_true: Tensor, scores: Tensor, *, label_smoothing: float) -> Tensor:
    indices, is_class = class_indices(y_true, scores)
    index = ops.expand_dims(indices, -1)
    true = ops.arange(scores.shape[-1], dtype="int32") == index
    if label_smoothing:
        losses = one_hot_cross_entropy(true, scores, label_smoothing=label_smoothing)
    else:
        losses = _cross_entropy_of_one(true, ops.take_along_axis(scores, index, axis=-1), scores)
    return ops.where(is_class, losses, float("nan"))


@accelerate
@fuse
def one_hot_cross_entropy(y_true: Tensor, scores: Tensor, *, label_smoothing: float) -> Tensor:
    return _cross_entropy(_smoothed(ops.cast(y_true, scores.dtype), label_smoothing), scores)


def _smoothed(y_true, label_smoothing):
    """q = (1 − ε)·y + ε/K."""
    return (1.0 - label_smoothing) * y_true + label_smoothing / y_true.shape[-1] if label_smoothing else y_true


def _cross_entropy_of_one(true, s_y, s):
    """(m − s_y) + log(1 + u), u = Σ_{k≠y} exp(s_k − m) + exp(s_y − m) − 1: two terms without cancellation.

    The term 1 of the largest score is kept out of the sum u, where it would absorb the others. Where s_y is the
    largest, scores are taken relative to it, so that its derivative −(1 − p_y) is computed as the sum of the other p.
    """
    m = ops.stop_gradient(ops.max(s, axis=-1, keepdims=True))
    right = s_y == m
    others = ops.where(true, 0.0, ops.exp(s - ops.where(right, s_y, m)))
    own = ops.where(right, 0.0, ops.expm1(s_y - m))
    losses = ops.where(right, 0.0, m - s_y) + ops.log1p(ops.sum(others, axis=-1, keepdims=True) + own)
    return ops.squeeze(losses, -1)


def _cross_entropy(q, s):
    """Σ q·(m − s + log(1 + u)); as above where q is zero except at the largest score, and that one is unique."""
    largest = ops.max(s, axis=-1, keepdims=True)
    m = ops.stop_gradient(largest)
    top, gap = s == m, m - s
    right = ops.sum(ops.where(top, 1, ops.where(q != 0, 2, 0)), axis=-1, keepdims=True) == 1
    true = ops.logical_and(top, right)
    e = ops.where(true, 0.0, ops.exp(s - ops.where(right, largest, m)))
    u = ops.sum(e, axis=-1, keepdims=True) - ops.where(right, 0.0, 1.0)
    # 0·∞ = 0, for a score of −∞ and for a gap that overflows.
    gap = ops.where(ops.logical_or(true, ops.logical_and(q == 0, gap == float("inf"))), 0.0, gap)
    return ops.sum(q * (gap + ops.log1p(u)), axis=-1)


@register
class BinaryCrossEntropy(Loss):
    """Sigmoid cross entropy for yes-or-no questions; several scores per sample are averaged.

    Takes scores (logits), not probabilities. Its gradient in the score is the error ŷ − y, so that a saturated sigmoid
    still learns.

        L = −y·log ŷ − (1 − y)·log(1 − ŷ),  ŷ = σ(s),  ∂L/∂s = ŷ − y

    s `y_pred`, y `y_true` in [0, 1]; any other label makes the loss NaN. With labels 0 and 1 it is `Logistic`.

    Args:
        reduction, name, dtype: As in every Keras loss; the precision is at least float32.

    Example:
        >>> loss = keras_lecture.losses.BinaryCrossEntropy()
        >>> round(float(loss([[1.0]], [[2.0]])), 4)
        0.1269

    Reference:
        Decks C, D. Deviation: none. `keras.losses.BinaryCrossentropy` expects probabilities unless `from_logits=True`.
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return binary_cross_entropy(aligned("BinaryCrossEntropy", y_true, y_pred), y_pred)


@accelerate
@fuse
def binary_cross_entropy(y: Tensor, s: Tensor) -> Tensor:
    """The sum of two nonnegative terms, log(1 + e^−|s|) and |s| times the weight of the other label."""
    positive = s >= 0
    # Not `abs`: its derivative at 0 is 0, which would make that of the loss 0 instead of ½ − y.
    magnitude = ops.where(positive, s, -s)
    wrong = ops.where(positive, 1 - y, y)
    # 0·∞ = 0, for an infinite score with the right sign.
    away = ops.where(ops.logical_and(wrong == 0, magnitude == float("inf")), 0.0, magnitude)
    losses = wrong * away + ops.log1p(ops.exp(-magnitude))
    losses = ops.where(ops.logical_and(y >= 0, y <= 1), losses, float("nan"))
    return ops.mean(losses, axis=-1) if len(losses.shape) > 1 else losses
