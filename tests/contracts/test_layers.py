"""The contract of every public layer; listing a new layer in `__all__` is enough to include it."""

import copy
import inspect

import keras
import numpy as np
import pytest
from keras import ops
from keras.src.backend.common.masking import get_keras_mask, set_keras_mask
from keras.src.testing import TestCase
from oracles.basic import finite_differences
from support.constructions import ARGUMENTS, Fresh
from support.harness import BACKEND, assert_close, numpy, precision
from support.public import public_classes

from keras_lecture import _backend

LAYERS = {
    name.removeprefix("layers."): cls
    for name, cls in public_classes().items()
    if name.startswith("layers.") and issubclass(cls, keras.Layer)
}

# Input shapes without the batch axis; images by default.
IMAGE = (6, 6, 4)
SHAPES = {
    "MaxPooling1D": (7, 4),
    "MaxPooling3D": (5, 5, 5, 2),
    "Maxout": (5,),
    "LayerNormalization": (5, 4),
}

# Further constructions that must meet the contract, besides those in `ARGUMENTS`.
VARIANTS = {
    "AtrousSpatialPyramidPooling": [{"filters": 3, "rates": [1, 2]}],
    "BatchNormalization": [{"statistics": "population"}, {"center": False, "scale": False}],
    "DenseBlock": [{"growth": 2, "layers": 1, "normalization": None, "activation": "elu"}],
    "DropConnect": [Fresh(layer=lambda: keras.layers.Conv2D(3, 3), rate=lambda: 0.3)],
    "Dropout": [{"rate": 0.4, "scaling": "test", "noise_shape": (None, 1, 1, None)}],
    "GroupNormalization": [{"groups": 1}, {"groups": -1}],
    "LayerNormalization": [{"axis": [1, 2]}, {"scale": False, "center": False}],
    "LocalResponseNormalization": [{"size": 2, "k": 1.0, "alpha": 0.5, "beta": 0.4}],
    "MaxPooling2D": [
        {"pool_size": (3, 2), "strides": 2, "padding": ((1, 0), (0, 0))},
        {"pool_size": 3, "strides": 2, "padding": 1, "ceil_mode": True},
        {"pool_size": 3, "strides": 1, "padding": "same"},
    ],
    "MaxoutConv2D": [{"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "use_bias": False}],
    "PReLU": [{"shared_axes": []}],
    "ResidualBlock": [{"filters": 8, "strides": 2, "bottleneck": True}],
    "RandomAffine": [{"shift": 0.4, "fill_mode": "reflect"}],
    "ZeroCenter": [{"unit_variance": True, "mean": 0.5, "deviation": [1.0, 2.0, 3.0, 4.0]}],
}


def constructions(included=lambda name, arguments: True):
    return [
        pytest.param(name, arguments, id=f"{name}-{number}")
        for name in LAYERS
        for number, arguments in enumerate([ARGUMENTS.get(f"layers.{name}", {}), *VARIANTS.get(name, [])])
        if included(name, arguments)
    ]


def channels_first(name):
    """The argument that makes a layer work on axis 1."""
    has_format = "data_format" in inspect.signature(LAYERS[name]).parameters
    return {"data_format": "channels_first"} if has_format else {"axis": 1}


def has_channels(name, arguments):
    """Whether the layer has such an argument and `arguments` do not set it; that of LayerNormalization is not it."""
    return (
        len(SHAPES.get(name, IMAGE)) > 1
        and name != "LayerNormalization"
        and {*channels_first(name)} <= {*inspect.signature(LAYERS[name]).parameters} - {*arguments}
    )


def make(name, arguments, **more):
    return LAYERS[name](**arguments, **more)


def batch(name, size=3, dtype="float32"):
    return np.random.default_rng(1).normal(size=(size, *SHAPES.get(name, IMAGE))).astype(dtype)


def model_of(name, arguments, shape=None):
    return keras.Sequential([keras.Input(shape or SHAPES.get(name, IMAGE)), make(name, arguments)])


@pytest.mark.once
@pytest.mark.parametrize(("name", "arguments"), constructions())
def test_the_config_of_a_built_layer_is_plain_data(name, arguments):
    """A list in it was Keras's list of the layer's parts: the config held the layer, and saving as `.h5` failed."""
    layer = make(name, arguments)
    layer.build((3, *SHAPES.get(name, IMAGE)))
    config = layer.get_config()
    assert tracked(config) == []
    copy.deepcopy(config)


def tracked(value):
    """Keras's containers inside a config."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    own = [type(value)] if type(value).__module__.startswith("keras") and isinstance(value, dict | list) else []
    return own + [each for part in parts for each in tracked(part)]


# Keras's own contract passes a generator to `fit`.
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")
@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights:UserWarning")
@pytest.mark.parametrize(("name", "arguments"), constructions())
def test_meets_the_layer_contract_of_keras(name, arguments):
    case = TestCase()
    case.setUp()
    # Checks `fit` with default compilation, the round trip of the config, symbolic and real calls, mixed precision.
    case.run_layer_test(LAYERS[name], arguments, input_shape=(3, *SHAPES.get(name, IMAGE)))


@pytest.mark.parametrize(("name", "arguments"), constructions())
def test_a_saved_model_loads_without_custom_objects_and_predicts_the_same(name, arguments, tmp_path):
    model = model_of(name, arguments)
    # A training call first, so that statistics and random streams are not in their initial state.
    model(batch(name), training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].get_config() == model.layers[0].get_config()
    assert_close(loaded(batch(name)), numpy(model(batch(name))))
    assert_close(loaded(batch(name), training=True), numpy(model(batch(name), training=True)))


@pytest.mark.parametrize(("name", "arguments"), constructions())
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_keeps_float32_weights_and_is_close_to_float32(name, arguments, policy):
    x = batch(name)
    keras.utils.set_random_seed(0)
    exact = make(name, {**arguments, **_seed(name)})
    expected = numpy(exact(x, **_training(exact)))
    mixed = make(name, {**arguments, **_seed(name)}, dtype=policy)
    mixed.build(x.shape)
    mixed.set_weights(_start(exact, x.shape))
    result = mixed(x, **_training(mixed))
    assert keras.backend.standardize_dtype(result.dtype) == policy.removeprefix("mixed_")
    assert all(weight.dtype == "float32" for weight in mixed.weights)
    np.testing.assert_allclose(numpy(result), expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(("name", "arguments"), constructions())
def test_float64_is_float64_and_gradients_match_finite_differences(name, arguments):
    with precision("float64"):
        layer = make(name, {**arguments, **_seed(name)})
        x = batch(name, size=2, dtype="float64")
        layer.build(x.shape)
        rest = [v.value for v in layer.non_trainable_variables]
        cotangent = np.random.default_rng(2).normal(size=layer.compute_output_shape(x.shape))

        def loss(weights):
            y, _ = layer.stateless_call(weights[1:], rest, weights[0], **_training(layer))
            assert keras.backend.standardize_dtype(y.dtype) == "float64"
            return ops.sum(ops.multiply(y, cotangent)), None

        start = [ops.convert_to_tensor(x), *[v.value for v in layer.trainable_variables]]
        _, gradients = _backend.compile(_backend.value_and_grad(loss))(start)
        value = _backend.compile(lambda weights: loss(weights)[0])
        for index, gradient in enumerate(gradients):
            values = numpy(start[index])

            def at(changed, index=index):
                moved = [*start[:index], ops.convert_to_tensor(changed), *start[index + 1 :]]
                return float(numpy(value(moved)))

            picked = np.random.default_rng(3).permutation(values.size)[:12]
            expected = _partial(at, values, picked)
            np.testing.assert_allclose(numpy(gradient).ravel()[picked], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "arguments"), constructions(has_channels))
def test_channels_first_equals_channels_last_transposed(name, arguments):
    x = batch(name)
    last = make(name, {**arguments, **_seed(name)})
    expected = numpy(last(x, **_training(last)))
    # A new axis after the batch axis (TenCrop) keeps its position.
    expected = np.moveaxis(expected, -1, 1 + expected.ndim - x.ndim)
    layer = make(name, {**arguments, **_seed(name), **channels_first(name)})
    moved = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    layer.build(moved.shape)
    layer.set_weights(
        [
            w if w.shape == v.shape else np.moveaxis(w, -1, 0)
            for w, v in zip(_start(last, x.shape), layer.weights, strict=True)
        ]
    )
    if _training(layer):
        y = _compiled_if_convolutional(lambda x: layer(x, training=True), layer)(moved)
    else:
        model = keras.Sequential([keras.Input(moved.shape[1:]), layer])
        # On a CPU TensorFlow supports channels-first convolution only under XLA.
        model.compile(loss="mse", jit_compile=BACKEND != "torch")
        y = model.predict(moved, verbose=0)
    assert_close(y, expected, atol=1e-5)


@pytest.mark.parametrize(("name", "arguments"), constructions())
def test_unknown_batch_and_spatial_sizes(name, arguments):
    shape = SHAPES.get(name, IMAGE)
    unknown = shape if arguments.get("shared_axes") == [] or name == "LayerNormalization" else None
    model = model_of(name, arguments, unknown or (*[None] * (len(shape) - 1), shape[-1]))
    x = batch(name)
    assert model.output_shape[0] is None
    predicted = model.predict(x, verbose=0)
    assert predicted.shape == model.layers[0].compute_output_shape(x.shape)
    assert_close(predicted, numpy(model(x, training=False)), atol=1e-5)


@pytest.mark.parametrize(("name", "arguments"), constructions())
def test_a_mask_is_passed_on_unchanged_or_dropped_with_a_warning(name, arguments):
    """A mask that is passed on must fit the output. Keras warns if a layer does not support masking."""
    layer = make(name, arguments)
    x = ops.convert_to_tensor(batch(name))
    mask = ops.ones(x.shape[:-1], dtype="bool")
    set_keras_mask(x, mask)
    if layer.supports_masking:
        y = layer(x)
        assert get_keras_mask(y) is mask
        assert mask.shape == y.shape[:-1]
    else:
        with pytest.warns(UserWarning, match="does not support masking"):
            assert get_keras_mask(layer(x)) is None


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights:UserWarning")
@pytest.mark.parametrize(("name", "arguments"), constructions())
def test_compiled_training_equals_eager_training_and_traces_once(name, arguments):
    x = batch(name, size=8)
    results, calls = [], []
    # PyTorch trains eagerly by default: there the test checks that two runs are equal.
    for compiled in (True, False) if BACKEND != "torch" else (False, False):
        keras.utils.set_random_seed(5)
        model = model_of(name, {**arguments, **_seed(name)})
        target = np.random.default_rng(4).normal(size=(8, *model.output_shape[1:]))
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=compiled, run_eagerly=not compiled)
        call, count = model.layers[0].call, []
        model.layers[0].call = lambda *args, call=call, count=count, **kwargs: count.append(1) or call(*args, **kwargs)
        # Keras's contract calls `fit`; its data pipeline on TensorFlow takes longer than the layer.
        model.train_on_batch(x[:4], target[:4])
        traced = len(count)
        for half in (slice(4, 8), slice(0, 4), slice(4, 8)):
            model.train_on_batch(x[half], target[half])
        calls.append((compiled, traced, len(count)))
        results.append([numpy(v) for v in model.variables])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert all(traced == total for compiled, traced, total in calls if compiled)


@pytest.mark.parametrize("name", [n for n, c in LAYERS.items() if "seed" in inspect.signature(c).parameters])
def test_a_seed_reproduces_and_two_calls_differ(name):
    arguments = {**ARGUMENTS.get(f"layers.{name}", {}), "seed": 7}
    x = batch(name)
    first, second = make(name, arguments), make(name, arguments)
    one = numpy(first(x, training=True))
    assert_close(second(x, training=True), one)
    assert not np.allclose(one, numpy(first(x, training=True)))


def _seed(name):
    return {"seed": 11} if "seed" in inspect.signature(LAYERS[name]).parameters else {}


def _training(layer):
    return {"training": True} if "training" in inspect.signature(layer.call).parameters else {}


def _compiled_if_convolutional(f, layer):
    """`f`, compiled if needed: on a CPU TensorFlow supports channels-first convolution only under XLA."""
    convolutions = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
    if BACKEND != "tensorflow" or not any(isinstance(part, convolutions) for part in layer._flatten_layers()):
        return f
    import tensorflow as tf

    return tf.function(f, jit_compile=True)


def _start(layer, shape):
    """The weights before the first call of `layer`: its trainable weights, and the others of a new layer."""
    fresh = type(layer).from_config(layer.get_config())
    fresh.build(shape)
    trained = {id(v) for v in layer.trainable_weights}
    return [numpy(v) if id(v) in trained else numpy(w) for v, w in zip(layer.weights, fresh.weights, strict=True)]


def _partial(f, x, indices):
    """The partial derivatives of f with respect to some elements of x, by central differences."""

    def along(index):
        def one(t):
            moved = x.copy()
            moved.ravel()[index] += t[()]
            return f(moved)

        return float(finite_differences(one, np.zeros(())))

    return [along(index) for index in indices]
