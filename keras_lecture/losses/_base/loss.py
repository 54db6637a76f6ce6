"""Base class of the losses: precision, sample weights, reduction."""

import re
from typing import Any, Self

import keras
from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core import checks
from keras_lecture._core.masks import mask_of
from keras_lecture._core.types import Tensor
from keras_lecture.losses._base.exclusion import with_mask, without_excluded

REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)
HALF_PRECISION = ("float16", "bfloat16")


class Loss(keras.losses.Loss):
    """A Keras loss whose `call` returns one value per sample; weighting, masking and reduction as in Keras.

    Samples with weight 0, masked samples and samples of an ignored class have loss 0 and gradient 0, whatever their
    labels and scores: Keras multiplies by 0, and 0·NaN is NaN. Means divide by the number of samples that are neither
    masked nor ignored, `"mean_with_sample_weight"` by the sum of their weights.

    A loss computes in at least float32: in half precision the logarithms of small probabilities are lost, and class
    indices above 256 (bfloat16) or 2048 (float16) would be rounded to another class.
    """

    def __init__(
        self,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        owner = type(self).__name__
        checks.one_of(owner, "reduction", reduction, REDUCTIONS)
        precision = keras.dtype_policies.get(dtype or keras.config.floatx()).compute_dtype
        super().__init__(
            name=name or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", owner).lower(),
            reduction=reduction,
            dtype="float32" if precision in HALF_PRECISION else precision,
        )
        self._given_dtype = dtype

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        # Keras treats a list as several tensors; here it is one tensor, as a user types it.
        y_true, y_pred = (
            ops.convert_to_tensor(t) if isinstance(t, list | tuple | int | float) else t for t in (y_true, y_pred)
        )
        shape = self.sample_shape(tuple(y_pred.shape))
        mask = self._mask(y_true, y_pred, shape)
        if sample_weight is None and mask is None:
            return reduced(self, y_true, y_pred, None)
        weight = None if sample_weight is None else self._per_sample("sample_weight", sample_weight, shape, self.dtype)
        weight = with_mask(weight, mask, self.reduction, self.dtype)
        if self.reduction == "mean_with_sample_weight":
            # Keras would divide by the sum of the weights before they are broadcast.
            weight = ops.broadcast_to(weight, ops.shape(y_pred)[: len(shape)])
        return reduced(self, *without_excluded(y_true, y_pred, weight, self.dtype), weight)

    def sample_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of `call`'s result for predictions of `shape`: without the last axis, unless it is the only one."""
        return shape[:-1] if len(shape) > 1 else shape

    def counted(self, y_true: Tensor, y_pred: Tensor) -> Tensor | None:
        """Which samples count by their labels; None if all do."""

    def _mask(self, y_true, y_pred, shape):
        """Which samples count by Keras's mask (an attribute of `y_pred`) and by their labels; None if all do."""
        masks = [
            self._per_sample("mask", mask, shape, "bool")
            for mask in (mask_of(y_pred), self.counted(y_true, y_pred))
            if mask is not None
        ]
        return ops.logical_and(*masks) if len(masks) == 2 else next(iter(masks), None)

    def _per_sample(self, name, weight, shape, dtype):
        """`weight` with as many axes as `shape`: the weight of a sample applies to all of its values.

        Keras would broadcast a weight of shape (batch,) along the last axis of values of shape (batch, time).
        """
        weight = ops.cast(ops.convert_to_tensor(weight), dtype)
        given = tuple(weight.shape)
        if len(given) == len(shape) + 1 and given[-1] == 1:
            given = given[:-1]
        if len(given) > len(shape):
            self._reject_weight(name, given, shape)
        for size, expected in zip(given, shape, strict=False):
            if size not in (1, None) and expected is not None and size != expected:
                self._reject_weight(name, given, shape)
        return ops.reshape(weight, (*ops.shape(weight)[: len(given)], *(1,) * (len(shape) - len(given))))

    def _reject_weight(self, name, given, shape):
        checks.reject(type(self).__name__, name, f"a tensor whose shape begins {shape}", given)

    def get_config(self) -> dict[str, Any]:
        dtype = self._given_dtype
        return {**super().get_config(), "dtype": keras.saving.serialize_keras_object(dtype) if dtype else None}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        dtype = config.get("dtype")
        if isinstance(dtype, dict):
            config = {**config, "dtype": keras.saving.deserialize_keras_object(dtype)}
        return cls(**config)


@accelerate
def reduced(loss, y_true, y_pred, sample_weight):
    value = keras.losses.Loss.__call__(loss, y_true, y_pred, sample_weight)
    # Keras does not reduce an empty batch; its loss is 0.
    return ops.sum(value) if len(value.shape) and loss.reduction not in (None, "none") else value
