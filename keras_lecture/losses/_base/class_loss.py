"""The base of the losses for one class out of K."""

from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.types import Tensor
from keras_lecture.losses._base.loss import Loss
from keras_lecture.losses._base.targets import is_one_hot


class ClassLoss(Loss):
    """Labels are class numbers or one-hot rows; samples of the class `ignore_class` do not count."""

    def __init__(self, *, ignore_class: int | None, reduction, name, dtype):
        if ignore_class is not None:
            checks.whole(type(self).__name__, "ignore_class", ignore_class, "(-∞, ∞)", "Or None: every class counts.")
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.ignore_class = ignore_class

    def counted(self, y_true: Tensor, y_pred: Tensor) -> Tensor | None:
        if self.ignore_class is None:
            return None
        if not is_one_hot(type(self).__name__, y_true, y_pred):
            numbers = y_true[..., 0] if len(y_true.shape) == len(y_pred.shape) else y_true
            # Not in the type of the labels: 256 is 0 in eight bits.
            return ops.cast(numbers, "int32") != self.ignore_class
        if not 0 <= self.ignore_class < y_pred.shape[-1]:
            return None  # No row is of such a class.
        return y_true[..., self.ignore_class] != 1

    def get_config(self):
        return {**super().get_config(), "ignore_class": self.ignore_class}
