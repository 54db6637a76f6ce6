"""The accepted forms of labels: the shape of the prediction, class indices, or one-hot rows.

Any other shape is an error. Nothing is broadcast: (n,) against (n, 1) must never become (n, n).
"""

from keras import ops

from keras_lecture._backend import fuse
from keras_lecture._core import checks
from keras_lecture._core.types import Tensor


def aligned(owner: str, y_true: Tensor, y_pred: Tensor) -> Tensor:
    """`y_true` in the shape and dtype of `y_pred`; (n,) and (n, 1) are interchangeable."""
    target, prediction = tuple(y_true.shape), tuple(y_pred.shape)
    if len(target) + 1 == len(prediction) and prediction[-1] == 1:
        y_true, target = ops.expand_dims(y_true, -1), (*target, 1)
    elif len(target) == len(prediction) + 1 and target[-1] == 1:
        y_true, target = ops.squeeze(y_true, -1), target[:-1]
    checks.same_shape(owner, "y_true", target, prediction, "Targets and predictions are compared element by element.")
    return ops.cast(y_true, y_pred.dtype)


def is_one_hot(owner: str, y_true: Tensor, y_pred: Tensor) -> bool:
    """Whether `y_true` holds a distribution over the classes per sample, not a class index."""
    target, scores = tuple(y_true.shape), tuple(y_pred.shape)
    checks.rank(owner, "y_pred", scores, 1, "The last axis holds one score for each class.")
    if scores[-1] is not None and scores[-1] < 2:
        remedy = "For a single score use BinaryCrossEntropy or Logistic."
        checks.reject(owner, "y_pred", "scores of at least two classes on the last axis", scores, remedy)
    if len(target) == len(scores) and target[-1] != 1:
        checks.same_shape(owner, "y_true", target, scores, "One-hot labels have one column for each class.")
        return True
    indices = target[:-1] if len(target) == len(scores) else target
    remedy = "Class indices have the shape of the scores without the last axis."
    checks.same_shape(owner, "y_true", indices, scores[:-1], remedy)
    return False


@fuse
def indices_of_rows(one_hot: Tensor) -> Tensor:
    """The class index of each one-hot row, and −1 for a row that is not one-hot."""
    one_hot = ops.cast(one_hot, "float32")
    # Not `argmax`, which takes ten times as long as a sum on JAX's CPU backend.
    number = ops.sum(one_hot * ops.arange(one_hot.shape[-1], dtype="float32"), axis=-1)
    index = ops.cast(ops.clip(number, 0, one_hot.shape[-1] - 1), "int32")
    entry = ops.take_along_axis(one_hot, ops.expand_dims(index, -1), axis=-1)
    is_one_hot = ops.logical_and(ops.squeeze(entry, -1) == 1, ops.sum(ops.abs(one_hot), axis=-1) == 1)
    return ops.where(is_one_hot, number, -1.0)


def class_indices(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """`y_true` as int32 with one index per sample, 0 where it is not a class of `y_pred`; and where it is one."""
    if len(y_true.shape) == len(y_pred.shape):
        y_true = ops.squeeze(y_true, -1)
    label = ops.cast(y_true, y_pred.dtype)
    is_class = ops.clip(ops.floor(label), 0, y_pred.shape[-1] - 1) == label
    return ops.cast(ops.where(is_class, label, 0), "int32"), is_class
