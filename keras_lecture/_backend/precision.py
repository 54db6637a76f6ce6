"""The settings of Keras itself under which it computes in float64."""

import contextlib
import inspect

import keras

# Keras 3.15 has no public switch for the table by which it casts 64-bit results to 32 bits outside of TensorFlow.
_keras_dtypes = inspect.getmodule(keras.backend.result_type)


@contextlib.contextmanager
def float64_by_default():
    """Sets the default float type and the default policy to float64, and restores both."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    try:
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


@contextlib.contextmanager
def no_cast_to_32_bits():
    """Keeps Keras from casting 64-bit results of its operations to 32 bits."""
    table = _keras_dtypes.BIT64_TO_BIT32_DTYPE
    saved = dict(table)
    try:
        table.update({name: name for name in table})
        yield
    finally:
        table.update(saved)
