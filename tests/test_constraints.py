"""`MaxNorm`, and `constrain` on built models: the right axes for every kernel."""

import keras
import numpy as np
import pytest
from oracles.initializers import max_norm
from support.harness import assert_close, in_one, numpy

from keras_lecture import initializers
from keras_lecture.constraints import MaxNorm, constrain
from keras_lecture.layers import WeightNormalization

layers = keras.layers


@pytest.mark.parametrize(
    ("shape", "axis", "along"),
    [
        ((5,), None, 0),
        ((5, 4), None, 0),
        ((3, 5, 4), None, (0, 1)),
        ((2, 3, 5, 4), None, (0, 1, 2)),
        ((2, 2, 3, 5, 4), None, (0, 1, 2, 3)),
        ((5, 4), 1, 1),
        ((2, 3, 5, 4), (0, 1, 3), (0, 1, 3)),
        ((2, 3, 5, 4), -1, -1),
    ],
)
def test_matches_closed_form(shape, axis, along, dtype):
    """Oracle: NumPy float64."""
    w = np.random.default_rng(0).standard_normal(shape) * 2
    w = w.astype(dtype)
    actual = numpy(in_one(MaxNorm(1.5, axis))(keras.ops.convert_to_tensor(w)))
    assert actual.dtype == dtype
    assert_close(actual, max_norm(w, 1.5, along), dtype)
    norms = np.sqrt(np.square(actual, dtype="float64").sum(along))
    assert norms.max() <= 1.5 * (1 + 4 * np.finfo(dtype).eps)


def test_the_weights_of_a_unit_within_the_bound_do_not_change_in_any_bit():
    """`keras.constraints.MaxNorm` shrinks them by 1e-7/‖w‖ at every step."""
    w = np.random.default_rng(0).uniform(size=(3, 100)).astype("float32")
    w[:, 50:] *= 100
    kept = numpy(MaxNorm(2.0)(w))[:, :50]
    np.testing.assert_array_equal(kept, w[:, :50])
    assert (numpy(keras.constraints.MaxNorm(2.0)(w))[:, :50] != kept).any()


def test_the_default_axis_of_keras_is_wrong_for_convolutions():
    """Axis 0 of a 2-D kernel is the row: Keras bounds w[:, column, channel, filter] and not the filter."""
    w = np.ones((3, 3, 16, 2), "float32")
    norm = np.sqrt(np.square(w).sum((0, 1, 2)))
    np.testing.assert_allclose(norm, 12)
    ours, theirs = numpy(MaxNorm(2.0)(w)), numpy(keras.constraints.MaxNorm(2.0)(w))
    np.testing.assert_allclose(np.sqrt(np.square(ours).sum((0, 1, 2))), 2, rtol=1e-6)
    np.testing.assert_allclose(theirs, w, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_nothing_overflows_and_zeros_stay_zero(dtype):
    """In float16, 300² is infinite, and Keras's constraint returns NaN."""
    top = 3e4 if dtype == "float16" else 3e30
    w = keras.ops.convert_to_tensor([[0.0, top, 300.0], [0.0, top, 400.0], [0.0, -top, 0.0]], dtype)
    actual = MaxNorm(2.0)(w)
    assert keras.backend.standardize_dtype(actual.dtype) == dtype
    expected = [[0, 2 / np.sqrt(3), 1.2], [0, 2 / np.sqrt(3), 1.6], [0, -2 / np.sqrt(3), 0]]
    assert_close(keras.ops.cast(actual, "float32"), expected, dtype)


KERNELS = {
    "dense": (lambda: layers.Dense(5), (3,), {"kernel": (0,)}),
    "convolution": (lambda: layers.Conv2D(4, 3, groups=2), (8, 8, 4), {"kernel": (0, 1, 2)}),
    "depthwise": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), (8, 8, 4), {"kernel": (0, 1)}),
    "separable": (
        lambda: layers.SeparableConv1D(5, 3),
        (8, 4),
        {"depthwise_kernel": (0,), "pointwise_kernel": (0, 1)},
    ),
    "transposed": (lambda: layers.Conv2DTranspose(5, 3), (8, 8, 4), {"kernel": (0, 1, 3)}),
    "einsum": (lambda: layers.EinsumDense("abc,cde->abde", (8, 2, 3)), (8, 4), {"kernel": (0,)}),
    "batch of kernels": (lambda: layers.EinsumDense("abc,bcd->abd", (8, 3)), (8, 4), {"kernel": (1,)}),
    "recurrent": (lambda: layers.LSTM(3), (8, 4), {"kernel": (0,), "recurrent_kernel": (0,)}),
    "embedding": (lambda: layers.Embedding(9, 3), (5,), {"embeddings": (1,)}),
}


@pytest.mark.parametrize("name", KERNELS)
def test_constrain_bounds_the_incoming_weights_of_each_unit(name):
    """Oracle: NumPy float64, along the axes that the layer's documentation gives."""
    make, shape, axes = KERNELS[name]
    layer = make()
    layer.build((None, *shape))
    assert len(constrain(layer, MaxNorm(0.05))) == len(axes)
    owner = getattr(layer, "cell", layer)
    for attribute, along in axes.items():
        kernel = getattr(owner, attribute)
        before = numpy(kernel)
        after = numpy(in_one(kernel.constraint)(kernel.value))
        assert_close(after, max_norm(before, 0.05, along))
        assert (after != before).any()
    restored = layer.from_config(layer.get_config())
    restored.build((None, *shape))
    for attribute, along in axes.items():
        constraint = getattr(getattr(restored, "cell", restored), attribute).constraint
        assert constraint.get_config() == {"max_value": 0.05, "axis": list(along)}


def test_a_compiled_model_is_retraced_with_the_constraint_and_saves_it(tmp_path):
    """A step with learning rate 0 only projects. Oracle: NumPy float64."""
    stack = [layers.DepthwiseConv2D(3), layers.Flatten(), layers.Dense(1)]
    model = keras.Sequential([keras.Input((5, 5, 2)), *stack])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x, y = np.zeros((2, 5, 5, 2), "float32"), np.zeros((2, 1), "float32")
    model.train_on_batch(x, y)
    before = [numpy(layer.kernel) for layer in (stack[0], stack[2])]
    constrain(model, MaxNorm(0.05))
    model.train_on_batch(x, y)
    assert_close(stack[0].kernel, max_norm(before[0], 0.05, (0, 1)))
    assert_close(stack[2].kernel, max_norm(before[1], 0.05, 0))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].kernel.constraint.axis == [0, 1]


def test_attention_is_bounded_along_the_axes_of_each_kernel():
    layer = layers.MultiHeadAttention(2, 3)
    layer.build((None, 5, 4), (None, 5, 4))
    constrain(layer, MaxNorm(0.1))
    kernels = [variable for variable in layer.trainable_variables if variable.constraint is not None]
    assert [variable.constraint.axis for variable in kernels] == [[0], [0], [0], [0, 1]]


def test_given_axes_are_kept_and_none_removes_the_constraint():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    constrain(model, MaxNorm(1.0, axis=1))
    assert model.layers[0].kernel.constraint.axis == [1]
    constrain(model, keras.constraints.NonNeg())
    assert isinstance(model.layers[0].kernel_constraint, keras.constraints.NonNeg)
    constrain(model, None)
    assert model.layers[0].kernel.constraint is None
    assert model.layers[0].kernel_constraint is None


@pytest.mark.parametrize(
    "arguments", [(0,), (-1,), (float("nan"),), ("2",), (True,), (2.0, "0"), (2.0, 0.5), (2.0, (0, None))]
)
def test_rejects(arguments):
    argument = "axis" if len(arguments) > 1 else "max_value"
    with pytest.raises((ValueError, TypeError), match=f"MaxNorm: `{argument}` must be .* Received: {argument}="):
        MaxNorm(*arguments)


def test_rejects_an_axis_that_the_weight_does_not_have():
    with pytest.raises(ValueError, match=r"MaxNorm: `axis` must be a whole number in \[-2, 2\). Received: axis=2"):
        MaxNorm(2.0, axis=2)(keras.ops.ones((3, 4)))


def test_constrain_rejects():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    with pytest.raises(TypeError, match="constrain: `constraint` must be a function of a weight, or None. Received: "):
        constrain(model, 3.0)
    with pytest.raises(ValueError, match="constrain: `where` must be one of 'all', 'biases', 'kernels'. Received: "):
        constrain(model, MaxNorm(), where="kernel")


@pytest.mark.parametrize(
    "change",
    [
        lambda model: constrain(model, MaxNorm(0.5)),
        lambda model: initializers.initialize(model, initializers.Xavier(seed=0)),
        lambda model: initializers.rescale(model, np.ones((4, 3), "float32"), verbose=0),
    ],
    ids=["constrain", "initialize", "rescale"],
)
def test_kernels_with_lora_are_refused(change):
    """They acted on the frozen kernel and on each factor, so the kernel in use had another norm or variance."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="adapted")])
    model.layers[0].enable_lora(2)
    with pytest.raises(ValueError, match="`model` must be without LoRA in the selected layers. Received: .*adapted"):
        change(model)


def test_biases_of_layers_with_lora_are_constrained_and_constraints_removed():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    model.layers[0].enable_lora(2)
    assert constrain(model, lambda w: keras.ops.clip(w, -1, 1), where="biases") == [model.layers[0].bias.path]
    assert len(constrain(model, None)) == 3


def test_a_kernel_that_starts_from_data_takes_no_constraint():
    """The model trained, but its file could not be loaded; on JAX the first step ended in a raw error."""
    for wrapped in (keras.layers.Dense(3), keras.layers.SeparableConv2D(3, 2)):
        layer = WeightNormalization(wrapped)
        layer.build((None, 4) if isinstance(wrapped, keras.layers.Dense) else (None, 4, 4, 2))
        with pytest.raises(ValueError, match="constrain: `model` must be without `WeightNormalization` that starts"):
            constrain(layer, MaxNorm(1.0))
        constrain(layer, None)


def test_quantized_kernels_are_refused():
    """`initialize` ended in the framework's own error about integers, and a constraint was set without an effect."""
    model = keras.layers.Dense(3)
    model.build((None, 4))
    model.quantize("int8")
    with pytest.raises(ValueError, match="constrain: `model` must be without quantized weights"):
        constrain(model, MaxNorm(1.0))
    with pytest.raises(ValueError, match="initialize: `model` must be without quantized weights"):
        initializers.initialize(model, initializers.Kaiming())
