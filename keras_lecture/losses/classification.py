"""Cross entropy: of a softmax over classes, and of a sigmoid."""

from keras import ops

from keras_lecture._backend import accelerate, fuse
from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture.losses._base.class_loss import ClassLoss
from keras_lecture.losses._base.loss import Loss
from keras_lecture.losses._base.targets import aligned, class_numbers, is_one_hot


@register
class SoftmaxCrossEntropy(ClassLoss):
    """Cross entropy of the softmax of scores: the loss of choice for one class out of K. Never satisfied, never 0.

    Takes scores (logits), not probabilities: the last layer of the model has no activation.

        L = −Σₖ qₖ·log pₖ,  p = softmax(s),  log pₖ = (sₖ − m) − log Σᵢ exp(sᵢ − m),  m = maxᵢ sᵢ
        q = (1 − ε)·y + ε/K

    s `y_pred`, y `y_true` (one-hot), ε `label_smoothing`. Class numbers give the same loss as their one-hot rows. A
    number that names no class makes the loss of its sample NaN, on every backend and device. A score of −∞ takes a
    class out: 0·(−∞) = 0. The loss of a sure and right answer keeps all digits, and so does its gradient p − q.

    Args:
        label_smoothing: Share ε in [0, 1) of the target that is spread evenly over the classes. Defaults to `0.0`.
        ignore_class: Number of a class, real or not, whose samples do not count, whatever their scores are; of one-hot
            rows that with a 1 in this column. Defaults to `None`, no class.
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

    def __init__(
        self,
        *,
        label_smoothing: float = 0.0,
        ignore_class: int | None = None,
        reduction="sum_over_batch_size",
        name=None,
        dtype=None,
    ):
        checks.number("SoftmaxCrossEntropy", "label_smoothing", label_smoothing, "[0, 1)")
        super().__init__(ignore_class=ignore_class, reduction=reduction, name=name, dtype=dtype)
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
    index = ops.expand_dims(numbers, -1)
    true = ops.arange(scores.shape[-1], dtype="int32") == index
    if label_smoothing:
        losses = one_hot_cross_entropy(true, scores, label_smoothing=label_smoothing)
    else:
        losses = _cross_entropy_of_one(true, ops.take_along_axis(scores, index, axis=-1), scores)
    return ops.where(is_class, losses, float("nan"))


@accelerate
@fuse
def one_hot_cross_entropy(y_true, scores, *, label_smoothing):
    return _cross_entropy(smoothed(ops.cast(y_true, scores.dtype), label_smoothing), scores)


def smoothed(y_true, label_smoothing):
    """q = (1 − ε)·y + ε/K."""
    return (1.0 - label_smoothing) * y_true + label_smoothing / y_true.shape[-1] if label_smoothing else y_true


def _cross_entropy_of_one(true, s_y, s):
    """(m − s_y) + log(1 + u), u = Σ_{k≠y} exp(s_k − m) + exp(s_y − m) − 1: two terms without cancellation.

    The 1 of the largest score is no part of the sum u, in which it would drown the others. Where s_y is the largest,
    scores are measured from it, so that its derivative −(1 − p_y) is found as the sum of the other p.
    """
    m = ops.stop_gradient(ops.max(s, axis=-1, keepdims=True))
    right = s_y == m
    others = ops.where(true, 0.0, ops.exp(s - ops.where(right, s_y, m)))
    own = ops.where(right, 0.0, ops.expm1(s_y - m))
    losses = ops.where(right, 0.0, m - s_y) + ops.log1p(ops.sum(others, axis=-1, keepdims=True) + own)
    return ops.squeeze(losses, -1)


def _cross_entropy(q, s):
    """Σ q·(m − s + log(1 + u)); as above where all of q lies on the largest score and no other equals it."""
    largest = ops.max(s, axis=-1, keepdims=True)
    m = ops.stop_gradient(largest)
    top, gap = s == m, m - s
    right = ops.sum(ops.where(top, 1, ops.where(q != 0, 2, 0)), axis=-1, keepdims=True) == 1
    true = ops.logical_and(top, right)
    e = ops.where(true, 0.0, ops.exp(s - ops.where(right, largest, m)))
    u = ops.sum(e, axis=-1, keepdims=True) - ops.where(right, 0.0, 1.0)
    # 0·∞ = 0, for a score of −∞ and for a gap beyond the range of floats.
    gap = ops.where(ops.logical_or(true, ops.logical_and(q == 0, gap == float("inf"))), 0.0, gap)
    return ops.sum(q * (gap + ops.log1p(u)), axis=-1)


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
    """Two terms that are never negative, log(1 + e^−|s|) and |s| times the share of the other answer."""
    positive = s >= 0
    # `where` and not `abs`: its derivative at 0 is 0, and that of the loss would be 0 instead of ½ − y.
    magnitude = ops.where(positive, s, -s)
    wrong = ops.where(positive, 1 - y, y)
    # 0·∞ = 0: a score that is infinitely right.
    away = ops.where(ops.logical_and(wrong == 0, magnitude == float("inf")), 0.0, magnitude)
    losses = wrong * away + ops.log1p(ops.exp(-magnitude))
    losses = ops.where(ops.logical_and(y >= 0, y <= 1), losses, float("nan"))
    return ops.mean(losses, axis=-1) if len(losses.shape) > 1 else losses
