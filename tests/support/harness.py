"""The backend under test, precision and tolerances, shared by all tests."""

import contextlib

import keras
import numpy as np
from keras.src.backend.common import dtypes

from keras_lecture import _backend

BACKEND = keras.backend.backend()

# Relative and absolute tolerances against a float64 oracle, by the precision of the computation.
TOLERANCES = {
    "float64": {"rtol": 1e-10, "atol": 1e-12},
    "float32": {"rtol": 1e-5, "atol": 1e-6},
    "bfloat16": {"rtol": 2e-2, "atol": 2e-2},
    "float16": {"rtol": 2e-3, "atol": 2e-3},
}


@contextlib.contextmanager
def precision(dtype):
    """Sets Keras to `dtype`; float64 is true float64 on every backend.

    Outside of TensorFlow, Keras 3.15 casts float64 operands of many operations (`matmul` on PyTorch, `tanh` on JAX) to
    float32, to match JAX's default. Disabling its table, and enabling 64 bits in JAX, allows to compare a formula with
    its float64 oracle without this rounding.
    """
    with contextlib.ExitStack() as stack:
        if dtype == "float64" and BACKEND != "tensorflow":
            table = dtypes.BIT64_TO_BIT32_DTYPE
            stack.callback(table.update, dict(table))
            table.update({name: name for name in table})
        if dtype == "float64" and BACKEND == "jax":
            stack.enter_context(double_jax())
        keras.config.set_floatx(dtype)
        keras.config.set_dtype_policy(dtype)
        yield dtype


def double_jax():
    """JAX with 64 bits: a public name of JAX itself since 0.8."""
    import jax
    from jax import experimental

    return (jax.enable_x64 if hasattr(jax, "enable_x64") else experimental.enable_x64)(True)


def in_one(f):
    """`f` compiled as one program on JAX, for a function that is called once: eager JAX compiles every operation.

    Eager TensorFlow and PyTorch compile nothing.
    """
    return _backend.compile(f) if BACKEND == "jax" else f


def numpy(tensor):
    """A NumPy array from a tensor of any backend, with or without a graph; bfloat16 becomes float32."""
    array = keras.ops.convert_to_numpy(keras.ops.stop_gradient(keras.ops.convert_to_tensor(tensor)))
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


def assert_close(actual, expected, dtype="float32", **override):
    """Asserts that `actual` equals the oracle within the tolerance of `dtype`."""
    np.testing.assert_allclose(numpy(actual), expected, **{**TOLERANCES[dtype], **override})


def bound(optimizer, model):
    """`optimizer`, bound to `model` if it or an optimizer inside it must be bound."""
    core = optimizer
    while hasattr(core, "inner_optimizer"):
        core = core.inner_optimizer
    if hasattr(core, "bind"):
        core.bind(model)
    return optimizer


def built_for(optimizer, variables):
    """Builds an optimizer for a hand-written training loop; one with a look-ahead is built by its first look-ahead."""
    if hasattr(optimizer, "look_ahead"):
        optimizer.look_ahead(variables)
    else:
        optimizer.build(variables)
