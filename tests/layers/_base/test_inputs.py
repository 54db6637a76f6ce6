"""Unusual inputs of layers: integers, empty batches, sizes known only at run time."""

import keras
import numpy as np
import pytest
from keras import ops
from support.harness import BACKEND, assert_close, in_one, numpy

from keras_lecture import layers

IMAGES = (2, 6, 6, 4)
# Name → layer, input shape.
CASES = {
    "DropConnect": (lambda: layers.DropConnect(keras.layers.Dense(3), rate=0.3, per="sample", seed=1), (2, 5, 4)),
    "Dropout": (lambda: layers.Dropout(0.3, seed=1), IMAGES),
    "Dropout, test": (lambda: layers.Dropout(0.3, seed=1, scaling="test"), IMAGES),
    "StochasticDepth": (lambda: layers.StochasticDepth(0.3, seed=1), IMAGES),
    "GroupNormalization": (lambda: layers.GroupNormalization(2), IMAGES),
    "LayerNormalization": (lambda: layers.LayerNormalization(), IMAGES),
    "LocalContrastNormalization": (lambda: layers.LocalContrastNormalization(3), IMAGES),
    "LocalResponseNormalization": (lambda: layers.LocalResponseNormalization(), IMAGES),
    "MaxPooling2D": (lambda: layers.MaxPooling2D(3, 1, 1), IMAGES),
    "Maxout": (lambda: layers.Maxout(3), (2, 4)),
    "PReLU": (lambda: layers.PReLU(), IMAGES),
    "ResidualBlock": (lambda: layers.ResidualBlock(4, normalization="group"), IMAGES),
    "Upscale2D": (lambda: layers.Upscale2D(2), IMAGES),
    "WeightNormalization": (lambda: layers.WeightNormalization(keras.layers.Dense(3), data_init=False), (2, 4)),
}
# TensorFlow 2.21 gives the convolution of an empty batch the wrong shape, in Keras's layer as well.
CONVOLUTIONS = {
    "DropConnect": (lambda: layers.DropConnect(keras.layers.Conv2D(3, 2), rate=0.3, seed=1), IMAGES),
    "MaxoutConv2D": (lambda: layers.MaxoutConv2D(3, 2), IMAGES),
    "WeightNormalization": (lambda: layers.WeightNormalization(keras.layers.Conv2D(3, 2)), IMAGES),
}


def run(layer, x):
    training = {"training": True} if "training" in layer._call_signature.parameters else {}
    return in_one(lambda x: layer(x, **training))(x) if BACKEND != "jax" else layer(x, **training)


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
@pytest.mark.parametrize(
    "case", [*CASES.values(), *CONVOLUTIONS.values()], ids=[*CASES, *(f"{name}, images" for name in CONVOLUTIONS)]
)
def test_integers_are_treated_as_numbers(case, dtype):
    """Keras casts only floating-point inputs. Outputs, or slopes, rounded to integers were silently wrong;
    a convolution inside of a layer ended in "expected scalar type Byte but found Float" and the like.

    Oracle: the same numbers as float32, in the same layer.
    """
    make, shape = case
    x = np.random.default_rng(0).integers(0 if dtype == "uint8" else -9, 9, size=shape).astype(dtype)
    results = []
    for inputs in (x, x.astype("float32")):
        keras.utils.set_random_seed(3)
        layer = make()
        layer.build(shape)
        results.append(run(layer, ops.convert_to_tensor(inputs)))
    assert_close(ops.cast(results[0], "float32"), numpy(results[1]))


@pytest.mark.parametrize("name", CASES)
def test_an_empty_batch_gives_an_empty_batch(name):
    make, shape = CASES[name]
    layer = make()
    layer.build(shape)
    y = run(layer, ops.zeros((0, *shape[1:])))
    assert tuple(y.shape) == (0, *layer.compute_output_shape(shape)[1:])
    assert all(np.isfinite(numpy(v)).all() for v in layer.weights)


REFUSED = {
    "remainder": (
        lambda: layers.MaxPooling2D(2, 2, padding=1),
        (1, 5, 5, 2),
        "`padding` must be such that",
    ),
    "one position": (lambda: layers.InstanceNormalization(), (2, 1, 1, 3), "`inputs` must be .*more than one value"),
    "one channel per group": (lambda: layers.GroupNormalization(3), (2, 1, 1, 3), "`inputs` must be"),
}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("name", REFUSED)
def test_dynamic_sizes_are_rejected_as_static_ones_are(name, known):
    """A graph of TensorFlow learns unknown sizes when it runs, the other frameworks when the layer is called."""
    make, shape, message = REFUSED[name]
    layer = make()
    if known:
        with pytest.raises(ValueError, match=message):
            layer.build(shape)
        return
    layer.build((None, None, None, shape[-1]))
    if BACKEND != "tensorflow":
        with pytest.raises(ValueError, match=message):
            layer(np.ones(shape, "float32"))
        return
    import tensorflow as tf

    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, shape[-1]))])
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        graph(tf.ones(shape))
    even = (shape[0], 4, 4, shape[-1]) if name != "remainder" else (1, 4, 4, 2)
    assert np.isfinite(graph(tf.random.normal(even)).numpy()).all()


def test_dtypes_that_a_kernel_declines_go_to_the_formula():
    """TensorFlow pools volumes only in float32 and bfloat16, and no framework pools integers. Oracle: NumPy windows."""
    for dtype in ("float64", "int32") if BACKEND != "jax" else ("int32",):
        x = np.random.default_rng(1).integers(-9, 9, size=(1, 4, 6, 4, 1)).astype(dtype)
        y = numpy(layers.MaxPooling3D(2, 2, dtype="float64")(ops.convert_to_tensor(x)))
        np.testing.assert_array_equal(y, x.reshape(1, 2, 2, 3, 2, 2, 2, 1).max((2, 4, 6)))


def test_layer_normalization_of_a_single_value_is_rejected():
    """Oracle: its output would be beta for every input."""
    with pytest.raises(ValueError, match="LayerNormalization: `axis` must be axes of more than one value"):
        layers.LayerNormalization().build((2, 1))


@pytest.mark.parametrize("argument", ["padding", "output_padding", "dilation_rate"])
def test_upscale_rejects_arguments_that_follow_from_the_factor(argument):
    """`padding="same"` cropped the image twice: its size differed from the symbolic one."""
    with pytest.raises(TypeError, match=f"Upscale2D: `{argument}` must be left out"):
        layers.Upscale2D(2, **{argument: "same" if argument == "padding" else 1})


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (32, 16), (16, 8), (12, 6), (7, 1), (48, 24), (1, 1)])
def test_groups_of_none_are_the_largest_number_that_fits(channels, groups):
    layer = layers.GroupNormalization(None)
    layer.build((2, 4, 4, channels))
    assert layer.groups == groups and layer.get_config()["groups"] is None


def test_a_memory_efficient_block_may_be_used_twice():
    """The gradient rule of the second use read the state after the first, which has a gradient: UnexpectedTracerError.

    Oracle: the same block without recomputation: the same weights after a step.
    """
    results = []
    for efficient in (True, False):
        keras.utils.set_random_seed(1)
        block = layers.DenseBlock(2, layers=1, bottleneck=False, memory_efficient=efficient)
        inputs = keras.Input((3, 3, 2))
        x = keras.layers.Conv2D(2, 1)(block(keras.layers.Conv2D(2, 1)(inputs)))
        model = keras.Model(inputs, block(x))
        model.compile(keras.optimizers.SGD(0.1), "mse")
        x = np.random.default_rng(0).normal(size=(4, 3, 3, 2)).astype("float32")
        model.train_on_batch(x, np.zeros((4, *model.output_shape[1:]), "float32"))
        results.append([numpy(v) for v in model.variables])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
