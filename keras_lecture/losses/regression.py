"""Regression losses: L2 and L1."""

from collections.abc import Callable

from keras import ops

from keras_lecture._backend import fuse
from keras_lecture._core.kinks import absolute
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.losses._base.loss import Loss
from keras_lecture.losses._base.targets import aligned


class _Distance(Loss):
    """A distance between prediction and target, summed over the last axis: one value per sample."""

    distance: Callable[[Tensor], Tensor]

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_true = aligned(type(self).__name__, y_true, y_pred)
        return _summed(y_true, y_pred, distance=type(self).distance)


@fuse
def _summed(y_true, y_pred, *, distance):
    values = distance(y_pred - y_true)
    return ops.sum(values, axis=-1) if len(values.shape) > 1 else values


@register
class L2(_Distance):
    """Squared distance, the maximum-likelihood loss under Gaussian noise; outliers count most.

    Smooth and cheap; a single bad target can dominate the batch: then use `L1`.

        L = ‖f − y‖² = Σⱼ (fⱼ − yⱼ)²

    f `y_pred`, y `y_true`, j the last axis. For a single output `L2()` is the mean squared error; `reduction="sum"`
    gives the slides' sum over all samples.

    Args:
        reduction, name, dtype: As in every Keras loss; the precision is at least float32.

    Example:
        >>> loss = keras_lecture.losses.L2(reduction="sum")
        >>> float(loss([[12.0, 24.0, 42.0]], [[15.0, 20.0, 40.0]]))
        29.0

    Reference:
        Decks A, C (sum), D (mean). `keras.losses.MeanSquaredError` also divides by the number of outputs j.
    """

    distance = staticmethod(ops.square)


@register
class L1(_Distance):
    """Absolute distance, a robust loss: an outlier counts in proportion to its distance, and the fit is the median.

    Its gradient does not shrink near the solution, so the learning rate must.

        L = Σⱼ |fⱼ − yⱼ|,  derivative 0 where fⱼ = yⱼ

    f `y_pred`, y `y_true`, j the last axis. For a single output `L1()` is the mean absolute error; `reduction="sum"`
    gives the slides' sum over all samples.

    Args:
        reduction, name, dtype: As in every Keras loss; the precision is at least float32.

    Example:
        >>> loss = keras_lecture.losses.L1(reduction="sum")
        >>> float(loss([[12.0, 24.0, 42.0]], [[15.0, 20.0, 40.0]]))
        9.0

    Reference:
        Decks A, C (sum), D (mean). `keras.losses.MeanAbsoluteError` also divides by the number of outputs j.
    """

    distance = staticmethod(absolute)
