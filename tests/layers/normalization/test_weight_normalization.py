"""Weight normalization: g·v/‖v‖ on every kind of layer, initialization from data, saving, freezing, penalties."""

import h5py
import keras
import numpy as np
import pytest
import torch
from keras import ops
from support.harness import BACKEND, assert_close, numpy

from keras_lecture import _backend, regularizers
from keras_lecture.initializers import Gaussian, initialize
from keras_lecture.layers import Maxout, MaxoutConv2D, WeightNormalization

k = keras.layers
IMAGES = np.random.default_rng(0).normal(2.0, 3.0, size=(6, 5, 5, 4)).astype("float32")

# Layer, the axes of its kernel over the inputs of a unit, the axes of its outputs that do not index units.
KINDS = {
    "Dense": (lambda: k.Dense(3), (0,), (0, 1, 2)),
    "Conv1D": (lambda: k.Conv1D(3, 2), (0, 1), (0, 1)),
    "Conv2D": (lambda: k.Conv2D(3, 3, strides=2), (0, 1, 2), (0, 1, 2)),
    "grouped Conv2D": (lambda: k.Conv2D(6, 3, groups=2), (0, 1, 2), (0, 1, 2)),
    "Conv3D": (lambda: k.Conv3D(2, 2), (0, 1, 2, 3), (0, 1, 2, 3)),
    "Conv1DTranspose": (lambda: k.Conv1DTranspose(3, 3), (0, 2), (0, 1)),
    "Conv2DTranspose": (lambda: k.Conv2DTranspose(3, 3, strides=2), (0, 1, 3), (0, 1, 2)),
    "DepthwiseConv2D": (lambda: k.DepthwiseConv2D(3, depth_multiplier=2), (0, 1), (0, 1, 2)),
    "SeparableConv2D": (lambda: k.SeparableConv2D(3, 3), (0, 1, 2), (0, 1, 2)),
    "EinsumDense": (lambda: k.EinsumDense("...d,de->...e", (3,), bias_axes="e"), (0,), (0, 1, 2)),
    "EinsumDense of heads": (lambda: k.EinsumDense("abcd,hde->abche", (5, 5, 2, 3), bias_axes="he"), (1,), (0, 1, 2)),
    "Maxout": (lambda: Maxout(3, pieces=2), (0,), (0, 1, 2)),
    "MaxoutConv2D": (lambda: MaxoutConv2D(2, 3), (0, 1, 2), (0, 1, 2)),
}


def batch(name):
    """The same numbers with as many axes as the layer takes."""
    return IMAGES.reshape({"1": (6, 25, 4), "3": (6, 5, 5, 2, 2)}.get(name[4:5], IMAGES.shape))


def wrapped(name, data_init):
    layer = WeightNormalization(KINDS[name][0](), data_init=data_init)
    layer.build(batch(name).shape)
    return layer


def reweighted(v, g, axes):
    """Oracle: `g·v/‖v‖` in float64, with g in the order of the axes that are not inputs."""
    v = v.astype("float64")
    length = np.sqrt((v**2).sum(axes, keepdims=True))
    return g.astype("float64").reshape(length.shape) * v / length


@pytest.mark.parametrize("name", KINDS)
def test_the_layer_computes_with_g_v_over_norm_v_and_folds_back_into_a_plain_layer(name):
    """Oracle: the plain layer with a kernel computed by NumPy in float64; before any change, the wrapped layer."""
    x, layer, plain = batch(name), wrapped(name, data_init=False), KINDS[name][0]()
    plain.build(x.shape)
    plain.set_weights(layer.layer.get_weights())
    assert_close(layer(x), numpy(plain(x)), atol=1e-5)
    kernel, scale = layer.kernels[-1].variable, layer.scale
    g = np.random.default_rng(1).normal(size=scale.shape)
    scale.assign(g)
    expected = [reweighted(numpy(v), g, KINDS[name][1]) if v is kernel else numpy(v) for v in layer.layer.variables]
    plain.set_weights(expected)
    assert_close(layer(x), numpy(plain(x)), atol=1e-5)
    folded = layer.remove()
    assert type(folded) is type(layer.layer) and folded.name == layer.layer.name
    for weight, value in zip(folded.get_weights(), expected, strict=True):
        assert_close(weight, value)


@pytest.mark.parametrize("name", KINDS)
def test_the_first_training_batch_gives_every_unit_mean_zero_and_variance_one(name):
    x, layer = batch(name), wrapped(name, data_init=True)
    inference = numpy(layer(x))
    assert float(layer.initialized) == 0.0
    layer(x, training=True)
    assert float(layer.initialized) == 1.0
    linear = layer.kernels[-1].layer
    plain = layer.remove()
    z = numpy((plain if linear is layer.layer else plain.linear)(x)).astype("float64")
    assert_close(z.mean(KINDS[name][2]), 0, atol=2e-5)
    assert_close(z.std(KINDS[name][2]), 1, rtol=1e-4)
    # Later batches change nothing.
    held = [numpy(v) for v in layer.variables]
    layer(3 * x + 1, training=True)
    for variable, value in zip(layer.variables, held, strict=True):
        np.testing.assert_array_equal(numpy(variable), value)
    assert not np.allclose(inference, numpy(layer(x)))


@pytest.mark.parametrize("bad", [np.empty((0, 4)), np.full((2, 4), np.nan)], ids=["empty", "NaN"])
def test_an_unusable_first_batch_leaves_the_initialization_to_the_next(bad):
    """Scale and bias stayed NaN."""
    x, layer = np.random.default_rng(0).normal(5.0, 2.0, size=(64, 4)).astype("float32"), wrapped("Dense", True)
    layer(bad.astype("float32"), training=True)
    assert np.isfinite(numpy(layer(x))).all()
    y = numpy(layer(x, training=True))
    assert_close(y.mean(0), 0, atol=2e-5)
    assert_close(y.std(0), 1, rtol=1e-4)


def test_values_and_gradients_match_pytorch(float64):
    """Oracle: `torch.nn.utils.parametrizations.weight_norm` on a linear layer and on a convolution."""
    x = np.random.default_rng(2).normal(size=(4, 5, 6, 3))
    native = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv2d(3, 4, 3, dtype=torch.float64))
    g, v = native.parametrizations.weight.original0, native.parametrizations.weight.original1
    with torch.no_grad():
        g.mul_(torch.tensor([2.0, -1.0, 0.5, 3.0], dtype=torch.float64).view(-1, 1, 1, 1))
    y = native(torch.tensor(x).movedim(-1, 1))
    torch.sin(y).sum().backward()
    layer = WeightNormalization(keras.layers.Conv2D(4, 3), data_init=False)
    layer.build(x.shape)
    start = [g.detach().numpy().ravel(), v.detach().permute(2, 3, 1, 0).numpy(), native.bias.detach().numpy()]

    def loss(weights):
        outputs, _ = layer.stateless_call(weights, [], x)
        return ops.sum(ops.sin(outputs)), outputs

    (_, outputs), gradients = _backend.value_and_grad(loss)([ops.convert_to_tensor(w) for w in start])
    assert_close(outputs, y.detach().movedim(1, -1).numpy(), "float64")
    for ours, theirs in zip(gradients, [g.grad.ravel(), v.grad.permute(2, 3, 1, 0), native.bias.grad], strict=True):
        assert_close(ours, theirs.numpy(), "float64")


def test_second_derivatives_include_the_lengths(float64):
    """Meta-learning differentiates gradients. Oracle: the product H·u by differences of gradients."""
    layer = WeightNormalization(keras.layers.Dense(2), data_init=False)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(4, 3))
    layer.build(x.shape)

    def loss(weights):
        return ops.sum(ops.sin(layer.stateless_call(weights, [], x)[0])), None

    point = [rng.normal(size=v.shape) for v in layer.trainable_variables]
    way = [rng.normal(size=w.shape) for w in point]

    def gradient(t):
        moved = [ops.convert_to_tensor(w + t * u) for w, u in zip(point, way, strict=True)]
        return [numpy(g) for g in _backend.value_and_grad(loss)(moved)[1]]

    tensors = [[ops.convert_to_tensor(w) for w in group] for group in (point, way)]
    products = _backend.hessian_vector_product(loss)(*tensors)
    for product, ahead, behind in zip(products, gradient(1e-5), gradient(-1e-5), strict=True):
        assert_close(product, (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-8)


def test_a_kernel_without_direction_is_zero_and_its_gradients_are_finite():
    layer = WeightNormalization(keras.layers.Dense(2, kernel_initializer="zeros"), data_init=False)
    layer.build((None, 3))

    def loss(weights):
        y, _ = layer.stateless_call(weights, [], np.ones((2, 3), "float32"))
        return ops.sum(y), y

    (_, y), gradients = _backend.value_and_grad(loss)([v.value for v in layer.trainable_variables])
    assert_close(y, np.zeros((2, 2)))
    assert all(np.all(np.isfinite(numpy(g))) for g in gradients)


def test_compiled_training_is_initialized_by_the_first_batch_and_equals_training_of_g_v_and_b():
    """Oracle: g, v and b as three tensors, initialized by hand on the first batch, SGD in PyTorch, float64."""
    rng = np.random.default_rng(4)
    x, y = rng.normal(1.0, 2.0, size=(24, 4)).astype("float32"), rng.normal(size=(24, 3)).astype("float32")
    model = keras.Sequential([keras.Input((4,)), WeightNormalization(keras.layers.Dense(3, activation="tanh"))])
    v = torch.tensor(numpy(model.layers[0].kernels[0].variable), dtype=torch.float64, requires_grad=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", jit_compile=BACKEND != "torch")
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)

    batches = [torch.tensor(x[i : i + 8], dtype=torch.float64) for i in (0, 8, 16)]
    t = (batches[0] @ (v / v.norm(dim=0))).detach()
    g = (1 / t.std(0, correction=0)).requires_grad_()
    b = (-t.mean(0) / t.std(0, correction=0)).requires_grad_()
    descent = torch.optim.SGD([g, v, b], lr=0.1, momentum=0.9)
    for step in range(6):
        descent.zero_grad()
        predicted = torch.tanh(batches[step % 3] @ (g * v / v.norm(dim=0)) + b)
        target = torch.tensor(y[8 * (step % 3) : 8 * (step % 3) + 8], dtype=torch.float64)
        torch.mean((predicted - target) ** 2).backward()
        descent.step()
    plain = model.layers[0].remove()
    assert_close(plain.get_weights()[0], (g * v / v.norm(dim=0)).detach().numpy(), rtol=1e-4, atol=1e-5)
    assert_close(plain.get_weights()[1], b.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_a_saved_model_has_one_kernel_and_is_the_same_after_loading(tmp_path):
    model = keras.Sequential([keras.Input((5, 5, 4)), WeightNormalization(keras.layers.Conv2D(3, 2, name="inner"))])
    model(IMAGES, training=True)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(loaded(IMAGES), numpy(model(IMAGES)))
    # It is not initialized again.
    assert_close(loaded(2 * IMAGES, training=True), numpy(model(2 * IMAGES, training=True)))
    sizes = []
    with h5py.File(tmp_path / "model.weights.h5") as file:
        file.visititems(lambda name, item: sizes.append(item.size) if isinstance(item, h5py.Dataset) else None)
    # One kernel of 2·2·4·3, four vectors of 3, one flag; there is no counter of an optimizer.
    assert sorted(sizes) == [1, 3, 3, 3, 3, 48]


def test_a_whole_model_folds_back_by_cloning():
    inner = WeightNormalization(keras.layers.Conv2D(3, 2, activation="relu"))
    model = keras.Sequential([keras.Input((5, 5, 4)), inner, keras.layers.Flatten(), keras.layers.Dense(2)])
    model(IMAGES, training=True)
    plain = keras.models.clone_model(
        model, clone_function=lambda layer: layer.remove() if isinstance(layer, WeightNormalization) else layer
    )
    assert [type(layer) for layer in plain.layers] == [k.Conv2D, k.Flatten, k.Dense]
    assert_close(plain(IMAGES), numpy(model(IMAGES)), atol=1e-5)


def test_a_frozen_layer_is_neither_changed_nor_initialized():
    layer = wrapped("Dense", data_init=True)
    layer.trainable = False
    assert layer.trainable_variables == []
    held = numpy(layer(IMAGES))
    assert_close(layer(IMAGES, training=True), held)
    assert float(layer.initialized) == 0.0
    layer.trainable = True
    assert len(layer.trainable_variables) == 3
    assert not layer.scale_start.trainable


def test_a_penalty_applies_to_the_derived_kernel_and_is_counted_once():
    layer = WeightNormalization(keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.5)), data_init=False)
    layer.build((None, 4))
    layer.scale.assign([1.0, 2.0, 3.0])
    layer(IMAGES)
    layer(IMAGES)
    # The squared length of each column is g².
    assert_close(layer.losses, [0.5 * (1 + 4 + 9)])
    assert isinstance(layer.remove().kernel_regularizer, keras.regularizers.L2)
    assert layer.layer.kernel_regularizer is not layer.layer.kernel.regularizer


def test_a_constraint_applies_to_the_derived_kernel_after_a_step():
    """Oracle: `MaxNorm` of the kernel after the same step without a constraint."""
    results = []
    for constraint in (keras.constraints.MaxNorm(0.2, axis=0), None):
        keras.utils.set_random_seed(1)
        inner = keras.layers.Dense(3, kernel_constraint=constraint)
        model = keras.Sequential([keras.Input((4,)), WeightNormalization(inner, data_init=False)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(IMAGES[:, 0, 0], np.ones((6, 3)), batch_size=6, verbose=0)
        results.append(model.layers[0].remove().get_weights()[0])
    constrained, free = results
    assert np.linalg.norm(free, axis=0).max() > 0.2
    assert_close(constrained, numpy(keras.constraints.MaxNorm(0.2, axis=0)(free)), rtol=1e-4, atol=1e-5)


def test_a_constraint_that_makes_a_unit_zero_keeps_its_direction():
    layer = WeightNormalization(keras.layers.Dense(2, kernel_constraint="non_neg"), data_init=False)
    layer.build((None, 3))
    v = layer.kernels[0].variable
    v.assign([[-1.0, 3.0], [-2.0, 0.0], [-2.0, -4.0]])
    layer.scale.assign([3.0, 10.0])
    v.assign(v.constraint(v))
    assert_close(v, [[-1.0, 5.0], [-2.0, 0.0], [-2.0, 0.0]])
    assert_close(layer.scale, [0.0, 6.0])


def test_penalties_attached_to_a_model_apply_to_the_derived_kernel_and_survive_saving(tmp_path):
    """`regularizers.penalize` used to penalize v, and put the wrapper's own object into the config of the layer."""
    model = keras.Sequential([keras.Input((4,)), WeightNormalization(keras.layers.Dense(3), data_init=False)])
    regularizers.penalize(model, regularizers.L2(0.5))
    model.layers[0].scale.assign([1.0, 2.0, 3.0])
    (before,) = [float(numpy(loss)) for loss in model.losses]
    model.save(tmp_path / "model.keras")
    (after,) = keras.saving.load_model(tmp_path / "model.keras").losses
    expected = float(numpy(regularizers.L2(0.5)(model.layers[0].remove().kernel)))
    np.testing.assert_allclose([before, float(numpy(after))], expected, rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_lengths_are_computed_in_float32_in_mixed_precision(policy):
    """Squares of 1e-5 are 0 in float16."""
    layer = WeightNormalization(keras.layers.Dense(2), data_init=False, dtype=policy)
    layer.build((None, 3))
    layer.kernels[0].variable.assign(np.full((3, 2), 1e-5))
    layer.scale.assign([np.sqrt(3), 2 * np.sqrt(3)])
    y = layer(np.ones((1, 3)))
    assert keras.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")
    assert_close(y, [[3.0, 6.0]], rtol=1e-2)


def test_initialization_works_in_mixed_precision():
    layer = WeightNormalization(keras.layers.Dense(3, dtype="mixed_float16"))
    y = numpy(layer(IMAGES, training=True)).astype("float64")
    assert_close(y.mean((0, 1, 2)), 0, atol=5e-3)
    assert_close(y.std((0, 1, 2)), 1, rtol=5e-3)


def test_a_unit_with_constant_outputs_keeps_its_scale():
    layer = WeightNormalization(keras.layers.Dense(3))
    y = numpy(layer(np.ones((1, 4), "float32"), training=True))
    assert_close(y, np.zeros((1, 3)))
    assert_close(layer.scale_start, np.zeros(3))


def test_a_failing_call_leaves_the_layer_as_it_was():
    layer = wrapped("Dense", data_init=True)
    variables, activation = (layer.layer.kernel, layer.layer.bias), layer.layer.activation
    for training in (False, True):
        with pytest.raises(Exception, match=".*"):
            layer(np.ones((2, 9), "float32"), training=training)
        assert (layer.layer.kernel, layer.layer.bias) == variables and layer.layer.activation is activation


@pytest.mark.parametrize(
    ("layer", "arguments", "argument"),
    [
        (keras.layers.LSTM(2), {}, "layer"),
        (keras.layers.Embedding(3, 2), {}, "layer"),
        ("dense", {}, "layer"),
        (keras.layers.Dense(2), {"data_init": 1}, "data_init"),
        (keras.layers.Dense(2, kernel_constraint="non_neg"), {}, "data_init"),
    ],
)
def test_rejects(layer, arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"WeightNormalization: `{argument}`"):
        WeightNormalization(layer, **arguments)


@pytest.mark.parametrize("name", KINDS)
def test_redrawn_weights_are_those_of_the_wrapped_layer(name):
    """`initialize` redrew v, but g kept the old length: the kernel had the old scale, and stayed 0 if it had been 0."""
    layer = wrapped(name, data_init=True)
    model = keras.Sequential([keras.Input(batch(name).shape[1:]), layer])
    model(batch(name), training=True)
    initialize(model, Gaussian(0.5, seed=0))
    plain = KINDS[name][0]()
    plain.build(batch(name).shape)
    for new, old in zip(plain.weights, layer.layer.weights, strict=True):
        new.assign(old.value)
    np.testing.assert_allclose(numpy(layer(batch(name))), numpy(plain(batch(name))), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in KINDS if "Maxout" not in name])
def test_redrawn_weights_are_standardized_by_the_next_training_batch(name):
    layer = wrapped(name, data_init=True)
    model = keras.Sequential([keras.Input(batch(name).shape[1:]), layer])
    model(batch(name), training=True)
    initialize(model, Gaussian(0.5, seed=0))
    outputs = numpy(layer(batch(name), training=True)).astype("float64")
    np.testing.assert_allclose(outputs.std(KINDS[name][2]), 1.0, rtol=1e-3)


def test_redrawn_biases_replace_those_from_the_data():
    layer = WeightNormalization(k.Dense(3))
    model = keras.Sequential([keras.Input((4,)), layer])
    model(IMAGES.reshape(-1, 4), training=True)
    kernel = numpy(layer.remove().kernel)
    initialize(model, keras.initializers.Constant(2.0), where="biases")
    np.testing.assert_array_equal(numpy(layer(np.zeros((1, 4), "float32"))), [[2.0, 2.0, 2.0]])
    np.testing.assert_array_equal(numpy(layer.remove().kernel), kernel)


@pytest.mark.parametrize("policy", ["bfloat16", "float16"])
def test_starts_from_the_data_in_pure_half_precision(policy):
    """On TensorFlow the first step ended in a raw error about types. The outputs have mean 0 and variance 1 to 2 %."""
    layer = WeightNormalization(k.Dense(3, dtype=policy))
    model = keras.Sequential([keras.Input((4,)), layer])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = IMAGES.reshape(-1, 4)
    model.fit(x, np.zeros((len(x), 3)), batch_size=len(x), verbose=0)
    outputs = model.predict(x, verbose=0).astype("float64")
    np.testing.assert_allclose(outputs.mean(0), 0.0, atol=0.02)
    np.testing.assert_allclose(outputs.std(0), 1.0, atol=0.02)
