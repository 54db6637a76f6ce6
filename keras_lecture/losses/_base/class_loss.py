"""Base class of the losses for one class out of K."""

from typing import Any

import keras
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.types import Tensor
from keras_lecture.losses._base.loss import Loss
from keras_lecture.losses._base.targets import is_one_hot


class ClassLoss(Loss):
    """A loss of class indices or one-hot rows; samples of the class `ignore_class` are excluded."""

    def __init__(self, *, ignore_class: int | None, **options: Any) -> None:
        if ignore_class is not None:
            checks.whole(type(self).__name__, "ignore_class", ignore_class, "(-∞, ∞)", "None ignores no class.")
        super().__init__(**options)
        self.ignore_class = ignore_class

    def sample_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape[:-1]

    def counted(self, y_true: Tensor, y_pred: Tensor) -> Tensor | None:
        if self.ignore_class is None:
            return None
        if not is_one_hot(type(self).__name__, y_true, y_pred):
            indices = y_true[..., 0] if len(y_true.shape) == len(y_pred.shape) else y_true
            # A label that is no class, as 0.5, is none to ignore. In the dtype of small labels 256 would be 0.
            is_wide = keras.backend.standardize_dtype(indices.dtype).startswith(("float", "bfloat", "int64"))
            return (indices if is_wide else ops.cast(indices, "int32")) != self.ignore_class
        if not 0 <= self.ignore_class < y_pred.shape[-1]:
            return None  # No column stands for this class.
        return y_true[..., self.ignore_class] != 1

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ignore_class": self.ignore_class}
