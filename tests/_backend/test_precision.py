"""`double_precision` computes in float64 on every backend and restores every setting."""

import keras
import pytest
from keras import ops
from support.harness import BACKEND

from keras_lecture import _backend


def product():
    return keras.backend.standardize_dtype(ops.matmul(ops.ones((2, 2)), ops.ones((2, 2))).dtype)


def test_operations_are_in_float64_inside_alone():
    policy = keras.config.dtype_policy()
    with _backend.double_precision():
        assert product() == "float64"
        assert keras.backend.standardize_dtype(keras.layers.Dense(1)(ops.ones((1, 1))).dtype) == "float64"
    assert product() == "float32"
    assert keras.config.floatx() == "float32"
    assert keras.config.dtype_policy() is policy
    assert keras.backend.result_type("float64", "float32") == ("float64" if BACKEND == "tensorflow" else "float32")


def test_settings_are_restored_after_an_exception():
    with pytest.raises(ZeroDivisionError), _backend.double_precision():
        raise ZeroDivisionError
    assert product() == "float32"
    assert keras.config.floatx() == "float32"
