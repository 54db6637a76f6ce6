"""Cross entropy: of a softmax over classes, and of a sigmoid."""

from typing import Any

from keras import ops

from keras_lecture import checks
from keras_lecture.backend import accelerate, fuse
from keras_lecture.losses.loss import Loss
from keras_lecture.losses.targets import aligned, class_numbers, is_one_hot
from keras_lecture.saving import register

Tensor = Any


@register
class SoftmaxCrossEntropy(Loss):
    """Cross entropy of the softmax of scores: the loss of choice for one class out of K. Never satisfied, never 0.

    Takes scores (logits), not probabilities: the last layer of the model has no activation.

        L = −Σₖ qₖ·log pₖ,  p = softmax(s),  log pₖ = (sₖ − m) − log Σᵢ exp(sᵢ − m),  m = maxᵢ sᵢ
        q = (1 − ε)·y + ε/K

    s `y_pred`, y `y_true` (one-hot), ε `label_smoothing`. Class numbers give the same loss as their one-hot rows. A
    number that names no class makes the loss of its sample NaN, on every backend and device.

    Args:
        label_smoothing: Share ε in [0, 1) of the target that is spread evenly over the classes. Defaults to `0.0`.
        reduction, name, dtype: As in every Keras loss; the precision is at least float32.

    Example:
        >>> loss = keras_lecture.losses.SoftmaxCrossEntropy()
        >>> round(float(loss([0], [[3.2, 5.1, -1.7]])), 2)
        2.04

    Reference:
        Decks A, C, D; smoothing: Szegedy et al., 2016, arXiv:1512.00567, section 7. Deviation: none. Keras has two
        classes for the two forms of labels, expects probabilities unless `from_logits=True`, and raises or returns NaN
        for a wrong label, depending on backend and device.
    """

    def __init__(self, *, label_smoothing: float = 0.0, reduction="sum_over_batch_size", name=None, dtype=None):
        checks.number("SoftmaxCrossEntropy", "label_smoothing", label_smoothing, "[0, 1)")
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        form = one_hot_cross_entropy if is_one_hot("SoftmaxCrossEntropy", y_true, y_pred) else class_cross_entropy
        return form(y_true, y_pred, label_smoothing=self.label_smoothing)

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@accelerate
@fuse
def class_cross_entropy(y_true, scores, *, label_smoothing):
    numbers, is_class = class_numbers(y_true, scores)
    target = ops.squeeze(ops.take_along_axis(scores, ops.expand_dims(numbers, -1), axis=-1), -1)
    if label_smoothing:
        target = (1.0 - label_smoothing) * target + label_smoothing * ops.mean(scores, axis=-1)
    return ops.where(is_class, ops.logsumexp(scores, axis=-1) - target, float("nan"))


@accelerate
@fuse
def one_hot_cross_entropy(y_true, scores, *, label_smoothing):
    y_true = ops.cast(y_true, scores.dtype)
    q = (1.0 - label_smoothing) * y_true + label_smoothing / scores.shape[-1] if label_smoothing else y_true
    return -ops.sum(q * ops.log_softmax(scores, axis=-1), axis=-1)


@register
class BinaryCrossEntropy(Loss):
    """Cross entropy of a sigmoid: for yes-or-no questions, one score each; several per sample are averaged.

    Takes scores (logits), not probabilities. Its gradient at the score is the error itself, so that a saturated sigmoid
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

    def call(self, y_true, y_pred):
        return binary_cross_entropy(aligned("BinaryCrossEntropy", y_true, y_pred), y_pred)

    def sample_shape(self, shape):
        return shape[:-1] if len(shape) > 1 else shape


@accelerate
@fuse
def binary_cross_entropy(y, s):
    positive = s >= 0
    # `where` and not `relu` and `abs`: their derivatives at 0 are 0 on both sides, and that of the loss would be −y.
    magnitude = ops.where(positive, s, -s)
    losses = ops.where(positive, s, 0.0) - s * y + ops.log1p(ops.exp(-magnitude))
    losses = ops.where(ops.logical_and(y >= 0, y <= 1), losses, float("nan"))
    return ops.mean(losses, axis=-1) if len(losses.shape) > 1 else losses
