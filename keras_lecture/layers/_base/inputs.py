"""Inputs of layers: checks of sizes known only at run time, integers, the precision of sums."""

import keras
from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core.types import Tensor


@accelerate
def refuse(condition: Tensor, message: str) -> None:
    """Raises `message` if `condition` holds: a graph of TensorFlow when it runs, and under XLA not at all."""
    if condition is True:
        raise ValueError(message)


def floating(x: Tensor, dtype: str) -> Tensor:
    """`x`, cast to `dtype`, that of the layer's computation, if it has integers: Keras casts only floating point."""
    return x if "float" in keras.backend.standardize_dtype(x.dtype) else ops.cast(x, dtype)


def at_least_float32(x: Tensor) -> Tensor:
    """`x` in float32, or float64 if it is: squares and long sums leave the range of half precision."""
    return ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
