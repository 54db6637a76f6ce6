"""Every kernel of the layers equals its formula: value, gradient and Hessian, eagerly and compiled.

Oracle: the formula in `keras.ops` that the kernel replaces; float32 tolerance, gradients 1e-4. A backend without a
kernel has no test of it here.
"""

import keras
import numpy as np
import pytest
from keras import ops
from support.harness import BACKEND, assert_close, in_one, numpy

from keras_lecture import _backend
from keras_lecture._backend.acceleration import formulas, qualified
from keras_lecture.layers import max_pooling, prelu
from keras_lecture.layers._base import random_bits
from keras_lecture.layers.augmentation import random_affine
from keras_lecture.layers.normalization import batch_normalization, group_normalization, layer_normalization

KERNELS = _backend._part("kernels").KERNELS


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(0.5, 2.0, size=shape).astype("float32")


IMAGE, WEIGHT = (3, 6, 5, 4), (4,)
# Angles, shifts and scale factors of three images.
AFFINE = [ops.convert_to_tensor(data(*shape, seed=7)) for shape in ((3,), (3, 2))]
AFFINE.append(ops.convert_to_tensor(np.array([[0.8, 1.3], [1.0, 1.0], [1.2, 0.7]], "float32")))
# Formula, differentiable arguments, the rest.
CALLS = {
    "batch, channels last": (batch_normalization.batch_normalize, [IMAGE, WEIGHT, WEIGHT], (-1, 0.01)),
    "batch, channels first": (batch_normalization.batch_normalize, [(3, 4, 6, 5), WEIGHT, WEIGHT], (1, 0.01)),
    "batch, no weights": (batch_normalization.batch_normalize, [IMAGE], (None, None, -1, 0.01)),
    "groups, channels last": (group_normalization.group_normalize, [IMAGE, WEIGHT, WEIGHT], (2, -1, 0.01)),
    "groups, channels first": (group_normalization.group_normalize, [(3, 4, 6, 5), WEIGHT, WEIGHT], (4, 1, 0.01)),
    # More positions than fit one row of a kernel, and a number of positions that no row length divides.
    "instances": (group_normalization.group_normalize, [(3, 32, 16, 2), (2,), (2,)], (2, -1, 0.01)),
    "groups, odd positions": (group_normalization.group_normalize, [(3, 7, 5, 4), WEIGHT, WEIGHT], (2, -1, 0.01)),
    "layer": (layer_normalization.layer_normalize, [IMAGE, WEIGHT, WEIGHT], ([-1], 0.01)),
    "pool, even padding": (max_pooling.max_pool, [IMAGE], ((3, 2), (2, 1), ((1, 1), (0, 0)), "channels_last")),
    "pool, odd padding": (max_pooling.max_pool, [IMAGE], ((2, 3), (2, 2), ((1, 0), (0, 2)), "channels_first")),
    "pool, same": (max_pooling.max_pool, [IMAGE], ((3, 3), (2, 2), "same", "channels_last")),
    "pool, sequence": (max_pooling.max_pool, [(3, 7, 4)], ((3,), (2,), ((1, 1),), "channels_last")),
    "pool, volume": (max_pooling.max_pool, [(2, 4, 5, 3, 2)], ((2,) * 3, (1,) * 3, ((1, 1),) * 3, "channels_last")),
    # Windows with gaps, windows that overlap three times, and windows with more offsets than a byte can index.
    "pool, gaps": (max_pooling.max_pool, [(2, 8, 7, 3)], ((2, 1), (3, 2), "same", "channels_last")),
    "pool, overlaps": (max_pooling.max_pool, [(2, 9, 8, 3)], ((5, 3), (2, 1), ((2, 2), (1, 1)), "channels_last")),
    "pool, large": (max_pooling.max_pool, [(2, 13, 24, 2)], ((12, 11), (6, 11), "same", "channels_last")),
    "slopes": (prelu.leak, [IMAGE, (1, 1, 4)], ()),
    "a slope per unit": (prelu.leak, [IMAGE, (6, 5, 4)], ()),
    "an affine change": (random_affine.place, [IMAGE], (*AFFINE, "constant", 0.3, ops)),
}
KEY = np.array([5, 77], "int32")
DROP = {"dropout": (random_bits.drop, [IMAGE], (KEY, IMAGE, 0.3, True))}
MODULES = (batch_normalization, group_normalization, layer_normalization, max_pooling, prelu, random_affine)


def arguments(case, first=0):
    """The differentiable arguments of a case, from seed `first`, and the rest."""
    _, shapes, rest = {**CALLS, **DROP}[case]
    tensors = [ops.convert_to_tensor(data(*shape, seed=k)) for k, shape in enumerate(shapes, first)]
    return tensors, [ops.convert_to_tensor(KEY) if value is KEY else value for value in rest]


def taken(case):
    """Whether a kernel of this backend takes the call: if not, the formula would be compared with itself."""
    kernel = KERNELS.get(qualified({**CALLS, **DROP}[case][0]))
    tensors, rest = arguments(case)
    return kernel is not None and kernel(*tensors, *rest) is not None


TAKEN = [case for case in [*CALLS, *DROP] if taken(case)]


if TAKEN:

    @pytest.mark.parametrize("case", [case for case in TAKEN if case in CALLS])
    # On JAX eager and compiled are the same to a kernel; on PyTorch nothing is compiled.
    @pytest.mark.parametrize("compiled", [False, True] if BACKEND == "tensorflow" else [True])
    def test_value_and_gradient_equal_those_of_the_formula(case, compiled, monkeypatch):
        function = CALLS[case][0]
        start, rest = arguments(case)

        def loss(weights):
            y = function(*weights, *rest)
            outputs = y if isinstance(y, tuple) else (y,)
            # An uneven weight on every output, the moments of batch normalization included.
            return sum(ops.sum(ops.sin(ops.cast(o, "float32"))) for o in outputs), outputs

        evaluate = _backend.compile(_backend.value_and_grad(loss)) if compiled else _backend.value_and_grad(loss)
        (_, outputs), gradients = evaluate(start)
        for module in MODULES:
            for name in {name.removeprefix("layers.") for name in formulas} & vars(module).keys():
                monkeypatch.setattr(module, name, formulas[f"layers.{name}"])
        function = formulas[qualified(function)]
        (_, expected), slopes = in_one(_backend.value_and_grad(loss))(start)
        for output, value in zip(outputs, expected, strict=True):
            assert_close(output, numpy(value), atol=1e-5)
        for gradient, slope in zip(gradients, slopes, strict=True):
            assert_close(gradient, numpy(slope), rtol=1e-4, atol=1e-4)


# One case for each gradient, the kernel's own or the framework's.
TWICE = ["batch, channels last", "groups, channels last", "instances", "layer", "pool, same", "slopes"]
TWICE += ["a slope per unit", "an affine change", "dropout"]


if TAKEN:

    @pytest.mark.parametrize("case", [case for case in TAKEN if case in TWICE])
    def test_hessian_vector_products_equal_those_of_the_formula(case):
        """Newton's method and the measures of curvature differentiate the gradient of a kernel a second time."""
        function = {**CALLS, **DROP}[case][0]
        (start, rest), (direction, _) = arguments(case), arguments(case, first=9)

        def products(function):
            def loss(weights):
                y = function(*weights, *rest)
                return ops.sum(ops.sin(y[0] if isinstance(y, tuple) else y)), None

            return in_one(_backend.hessian_vector_product(loss))(start, direction)

        for product, expected in zip(products(function), products(formulas[qualified(function)]), strict=True):
            assert_close(product, numpy(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(7,), (3, 5), (300, 1000)])
@pytest.mark.parametrize("scaled", [False, True])
def test_the_dropout_kernels_draw_the_mask_of_the_formula(shape, scaled):
    """300 × 1000 is more than one block of PyTorch's kernel; the masks are identical."""
    key = ops.convert_to_tensor(np.array([2**31 - 5, 77]), "int32")
    expected = numpy(in_one(lambda key: formulas["layers.random_keep"](key, shape, 0.3))(key))
    np.testing.assert_array_equal(numpy(random_bits.random_keep(key, shape, 0.3)), expected)
    x = ops.convert_to_tensor(data(*shape))
    kept = numpy(in_one(lambda x: formulas["layers.drop"](x, key, shape, 0.3, scaled))(x))

    def loss(weights):
        y = random_bits.drop(weights[0], key, shape, 0.3, scaled)
        return ops.sum(y), y

    (_, y), (gradient,) = in_one(_backend.value_and_grad(loss))([x])
    assert_close(y, kept)
    assert_close(gradient, expected / (1 - random_bits.drawn_rate(0.3)) if scaled else expected.astype("float32"))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_dropped_nan_or_infinity_becomes_zero(dtype):
    """Forward and in the gradient, as in the formula.

    PyTorch's float32 kernel is different: it multiplies by the mask, as PyTorch's own dropout does, and 0 · ∞ is NaN.
    """
    key, strange = ops.convert_to_tensor(KEY), np.array([np.nan, np.inf, -np.inf, -3.0, 0.5, 2.0] * 50, "float32")
    keep = numpy(formulas["layers.random_keep"](key, strange.shape, 0.3))

    def loss(weights):
        y = random_bits.drop(ops.cast(weights[0], dtype), key, strange.shape, 0.3, True)
        return ops.sum(ops.cast(y, "float32") * weights[1]), y

    leaves = [ops.convert_to_tensor(strange), ops.convert_to_tensor(strange)]
    (_, y), (gradient, _) = in_one(_backend.value_and_grad(loss))(leaves)
    for found in (y, gradient):
        expected = np.where(keep, strange / (1 - random_bits.drawn_rate(0.3)), 0)
        if BACKEND == "torch" and dtype == "float32":
            expected = np.where(np.isfinite(strange), expected, np.where(keep, strange, np.nan))
        assert_close(ops.cast(found, "float32"), expected, rtol=1e-2 if dtype != "float32" else 1e-6)


def test_dropout_of_whole_channels_equals_the_formula():
    x, key, shape = ops.convert_to_tensor(data(*IMAGE)), ops.convert_to_tensor(KEY), (3, 1, 1, 4)
    expected = in_one(lambda x: formulas["layers.drop"](x, key, shape, 0.3, True))(x)
    assert_close(in_one(lambda x: random_bits.drop(x, key, shape, 0.3, True))(x), numpy(expected))


if "layers.normal" in KERNELS:

    @pytest.mark.parametrize("shape", [(7,), (300, 1000)])
    def test_normal_numbers_are_those_of_the_formula(shape):
        """300 × 1000 is more than one block of PyTorch's kernel."""
        expected = formulas["layers.normal"](ops.convert_to_tensor(KEY), shape)
        assert_close(random_bits.normal(ops.convert_to_tensor(KEY), shape), numpy(expected), rtol=1e-5, atol=1e-5)


def test_the_formula_computes_what_a_kernel_declines():
    """Half precision on PyTorch, and symbolic tensors on every backend."""
    y = group_normalization.group_normalize(ops.cast(data(2, 3, 4), "float16"), None, None, 2, -1, 0.01)
    assert keras.backend.standardize_dtype(y.dtype) == "float16"
    symbolic = keras.KerasTensor((None, 6, 6, 4))
    assert layer_normalization.layer_normalize(symbolic, None, None, [-1], 0.01).shape == (None, 6, 6, 4)
