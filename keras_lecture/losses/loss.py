"""The base class of the losses: precision, sample weights, reduction."""

import re
from typing import Any

import keras
from keras import ops

from keras_lecture import checks
from keras_lecture.backend import accelerate

Tensor = Any

REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)
HALF_PRECISION = ("float16", "bfloat16")


class Loss(keras.losses.Loss):
    """One value per sample from `call`; weighting, masking and reduction as in Keras.

    A loss computes in float32 at least: in half precision the logarithms of small probabilities are lost and class
    numbers above 256 (bfloat16) or 2048 (float16) would be rounded to another class.
    """

    def __init__(self, *, reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype=None):
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
        # Keras takes a list for several tensors; here it is one, as a user types it.
        y_true, y_pred = (ops.convert_to_tensor(t) if isinstance(t, list | tuple) else t for t in (y_true, y_pred))
        if sample_weight is not None:
            sample_weight = self._per_sample(sample_weight, self.sample_shape(tuple(y_pred.shape)))
        return reduced(self, y_true, y_pred, sample_weight)

    def sample_shape(self, shape: tuple) -> tuple:
        """The shape of the values that `call` returns for predictions of `shape`: one value for each last axis."""
        return shape[:-1]

    def _per_sample(self, weight, shape):
        """`weight` with as many axes as there are in `shape`: a weight for each sample counts for all of its parts.

        Keras would broadcast a weight of shape (batch,) along the last axis of values of shape (batch, time).
        """
        weight = ops.convert_to_tensor(weight, dtype=self.dtype)
        given = tuple(weight.shape)
        if len(given) == len(shape) + 1 and given[-1] == 1:
            given = given[:-1]
        if len(given) > len(shape):
            self._reject_weight(given, shape)
        for size, expected in zip(given, shape, strict=False):
            if size not in (1, None) and expected is not None and size != expected:
                self._reject_weight(given, shape)
        return ops.reshape(weight, (*ops.shape(weight)[: len(given)], *(1,) * (len(shape) - len(given))))

    def _reject_weight(self, given, shape):
        checks.reject(type(self).__name__, "sample_weight", f"a tensor whose shape begins {shape}", given)

    def get_config(self):
        dtype = self._given_dtype
        return {**super().get_config(), "dtype": keras.saving.serialize_keras_object(dtype) if dtype else None}

    @classmethod
    def from_config(cls, config):
        dtype = config.get("dtype")
        if isinstance(dtype, dict):
            config = {**config, "dtype": keras.saving.deserialize_keras_object(dtype)}
        return cls(**config)


@accelerate
def reduced(loss, y_true, y_pred, sample_weight):
    value = keras.losses.Loss.__call__(loss, y_true, y_pred, sample_weight)
    # Keras does not reduce an empty batch; its loss is 0.
    return ops.sum(value) if len(value.shape) and loss.reduction not in (None, "none") else value
