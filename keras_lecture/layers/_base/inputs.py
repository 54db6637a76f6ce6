"""What layers ask of their inputs: sizes that only a run knows, and integers."""

import keras
from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core.types import Tensor


@accelerate
def refuse(condition, message: str):
    """Raises `message` where `condition` holds; a graph of TensorFlow does so when it runs, but not one of XLA's."""
    if condition is True:
        raise ValueError(message)


def floating(x: Tensor, dtype: str) -> Tensor:
    """`x`, integers as numbers of the type that a layer computes in: Keras casts floating-point inputs alone."""
    return x if "float" in keras.backend.standardize_dtype(x.dtype) else ops.cast(x, dtype)
