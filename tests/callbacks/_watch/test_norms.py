"""Norms of many tensors, formula and kernel, against NumPy in float64."""

import inspect

import keras
import numpy as np
import pytest
from oracles import callbacks as oracles
from support.harness import numpy

from keras_lecture.callbacks._watch import norms

SHAPES = ((3, 4), (5,), (200, 100), ())
# The kernel, where the backend has one, keeps its formula as `__wrapped__`.
HAS_KERNEL = any(hasattr(f, "__wrapped__") for f in vars(norms).values())
FORMULAS = {"as dispatched": lambda f: f} | ({"formula": inspect.unwrap} if HAS_KERNEL else {})


@pytest.mark.parametrize("form", FORMULAS.values(), ids=FORMULAS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_norms_match_numpy_and_half_precision_does_not_overflow(dtype, form):
    """300² is beyond the range of float16."""
    rng = np.random.default_rng(0)
    tensors = [keras.ops.convert_to_tensor(300 * rng.normal(size=shape), dtype) for shape in SHAPES]
    arrays = [numpy(keras.ops.cast(t, "float32")).astype("float64") for t in tensors]
    expected = [oracles.norm([a]) ** 2 for a in arrays]
    np.testing.assert_allclose(numpy(form(norms.square_sums)(tensors)), expected, rtol=1e-5)
    np.testing.assert_allclose(float(form(norms.square_sum)(tensors)), sum(expected), rtol=1e-5)
    assert float(form(norms.largest)(tensors)) == max(np.abs(a).max() for a in arrays)
    halved = form(norms.scaled)(tensors, keras.ops.convert_to_tensor(0.5))
    for ours, a in zip(halved, arrays, strict=True):
        np.testing.assert_allclose(
            numpy(keras.ops.cast(ours, "float32")), a / 2, rtol=1e-2 if dtype == "bfloat16" else 1e-3
        )


@pytest.mark.parametrize("form", FORMULAS.values(), ids=FORMULAS)
def test_each_tensor_that_is_not_finite_is_found(form):
    tensors = [keras.ops.convert_to_tensor(np.array(a, "float32")) for a in ([1.0], [np.nan, 1.0], [2.0, -np.inf])]
    np.testing.assert_array_equal(numpy(form(norms.all_finite)(tensors)), [True, False, False])


@pytest.mark.parametrize("form", FORMULAS.values(), ids=FORMULAS)
@pytest.mark.parametrize("groups", [None, [0, 0, 1, 1]], ids=["together", "in groups"])
def test_the_norms_of_a_step_match_numpy(groups, form):
    rng = np.random.default_rng(0)
    gradients, old, new = [[rng.normal(size=shape).astype("float32") for shape in SHAPES] for _ in range(3)]
    old[2:] = [np.zeros(shape, "float32") for shape in SHAPES[2:]]
    parts = [slice(None)] if groups is None else [slice(None), slice(0, 2), slice(2, 4)]
    expected = []
    for part in parts:
        moved = [b.astype("float64") - a for a, b in zip(old[part], new[part], strict=True)]
        weight = oracles.norm(old[part])
        expected.append([oracles.norm(gradients[part]), weight, oracles.norm(moved) / weight if weight else 0.0])
    tensors = [[keras.ops.convert_to_tensor(np.array(a)) for a in arrays] for arrays in (gradients, old, new)]
    np.testing.assert_allclose(numpy(form(norms.step_norms)(*tensors, groups, 2)), expected, rtol=1e-5)
