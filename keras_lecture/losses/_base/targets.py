"""What a target may look like: the same shape as the prediction, class numbers, one-hot rows, or signs.

A target that fits none of these is an error. Nothing is broadcast: (n,) against (n, 1) must never become (n, n).
"""

from keras import ops

from keras_lecture._backend import fuse
from keras_lecture._core import checks


def aligned(owner, y_true, y_pred):
    """`y_true` in the shape and precision of `y_pred`; (n,) and (n, 1) stand for each other."""
    target, prediction = tuple(y_true.shape), tuple(y_pred.shape)
    if len(target) + 1 == len(prediction) and prediction[-1] == 1:
        y_true, target = ops.expand_dims(y_true, -1), (*target, 1)
    elif len(target) == len(prediction) + 1 and target[-1] == 1:
        y_true, target = ops.squeeze(y_true, -1), target[:-1]
    checks.same_shape(owner, "y_true", target, prediction, "Targets and predictions are compared one by one.")
    return ops.cast(y_true, y_pred.dtype)


def is_one_hot(owner, y_true, y_pred):
    """Whether `y_true` holds a distribution over the classes for each sample, and not a class number."""
    target, scores = tuple(y_true.shape), tuple(y_pred.shape)
    checks.rank(owner, "y_pred", scores, 1, "The last axis holds one score for each class.")
    if scores[-1] is not None and scores[-1] < 2:
        remedy = "For a single score use BinaryCrossEntropy or Logistic."
        checks.reject(owner, "y_pred", "scores of at least two classes on the last axis", scores, remedy)
    if len(target) == len(scores) and target[-1] != 1:
        checks.same_shape(owner, "y_true", target, scores, "One-hot labels have one column for each class.")
        return True
    numbers = target[:-1] if len(target) == len(scores) else target
    checks.same_shape(owner, "y_true", numbers, scores[:-1], "Class numbers have the shape of the scores but the last.")
    return False


@fuse
def numbers_of_rows(one_hot):
    """The class number of each one-hot row, and −1 for a row that is not one-hot."""
    one_hot = ops.cast(one_hot, "float32")
    # Not `argmax`, which takes ten times as long as a sum on JAX's CPUs.
    number = ops.sum(one_hot * ops.arange(one_hot.shape[-1], dtype="float32"), axis=-1)
    index = ops.cast(ops.clip(number, 0, one_hot.shape[-1] - 1), "int32")
    entry = ops.take_along_axis(one_hot, ops.expand_dims(index, -1), axis=-1)
    is_one_hot = ops.logical_and(ops.squeeze(entry, -1) == 1, ops.sum(ops.abs(one_hot), axis=-1) == 1)
    return ops.where(is_one_hot, number, -1.0)


def class_numbers(y_true, y_pred):
    """`y_true` as int32 in the shape of the samples, 0 where it names no class of `y_pred`; and where it names one."""
    if len(y_true.shape) == len(y_pred.shape):
        y_true = ops.squeeze(y_true, -1)
    label = ops.cast(y_true, y_pred.dtype)
    is_class = ops.clip(ops.floor(label), 0, y_pred.shape[-1] - 1) == label
    return ops.cast(ops.where(is_class, label, 0), "int32"), is_class


def signs(owner, y_true, y_pred):
    """`y_true` ∈ {−1, 1} or {0, 1} as −1 and 1 in the shape of `y_pred`; anything else is NaN."""
    y = aligned(owner, y_true, y_pred)
    return ops.where(y == 0, -1.0, ops.where(ops.abs(y) == 1, y, float("nan")))
