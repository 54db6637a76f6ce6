"""Group, instance, layer and local response normalization against PyTorch and NumPy."""

import keras
import numpy as np
import pytest
import torch
from keras import ops
from oracles import layers as oracles
from support.harness import assert_close, in_one, numpy

from keras_lecture import _backend
from keras_lecture.layers import (
    GroupNormalization,
    InstanceNormalization,
    LayerNormalization,
    LocalResponseNormalization,
)


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(1.0, 2.0, size=shape).astype("float32")


def check_with_gradients(layer, x, reference):
    """Output and gradients (input and weights) equal those of `reference(x, *weights)` in float64 PyTorch."""
    layer.build(x.shape)
    start = [x, *[data(*w.shape, seed=k + 2) for k, w in enumerate(layer.trainable_weights)]]
    cotangent = data(*x.shape, seed=1)

    def loss(weights):
        y, _ = layer.stateless_call(weights[1:], [], weights[0])
        return ops.sum(ops.multiply(y, cotangent)), y

    (_, y), gradients = in_one(_backend.value_and_grad(loss))([ops.convert_to_tensor(a) for a in start])
    leaves = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in start]
    expected = reference(*leaves)
    expected.backward(torch.tensor(cotangent, dtype=torch.float64))
    assert_close(y, expected.detach().numpy(), atol=1e-5)
    for gradient, leaf in zip(gradients, leaves, strict=True):
        assert_close(gradient, leaf.grad.numpy(), rtol=1e-4, atol=2e-4)


SHAPES = [((5, 6), -1), ((3, 4, 6), -1), ((2, 4, 3, 6), -1), ((2, 6, 4, 3), 1), ((2, 6, 3, 2, 4), 1), ((2, 3, 6, 4), 2)]


# Six groups of the six features of the first shape would have one value each, which is rejected.
@pytest.mark.parametrize(
    ("shape", "axis", "groups"), [(*each, n) for each in SHAPES for n in (1, 2, 6) if n < 6 or len(each[0]) > 2]
)
def test_group_normalization_matches_pytorch(shape, axis, groups):
    def reference(x, *weights):
        return torch.nn.functional.group_norm(x.movedim(axis, 1), groups, *weights, eps=0.01).movedim(1, axis)

    check_with_gradients(GroupNormalization(groups, axis, 0.01), data(*shape), reference)


@pytest.mark.parametrize(("shape", "axis"), SHAPES[1:])
def test_instance_normalization_matches_pytorch(shape, axis):
    def reference(x, gamma, beta):
        y = torch.nn.functional.instance_norm(x.movedim(axis, 1), weight=gamma, bias=beta, eps=0.01)
        return y.movedim(1, axis)

    check_with_gradients(InstanceNormalization(axis, 0.01), data(*shape), reference)


@pytest.mark.parametrize("groups", [2, 6])
def test_group_normalization_far_from_zero_is_as_exact_as_its_input(groups):
    """Values around 3000 are exact to 2e-4 in float32; sums of squares would leave no digit of a variance of 4."""
    x = data(3, 8, 8, 6) + np.float32(3000)
    assert_close(GroupNormalization(groups)(x), oracles.group_norm(x.astype("float64"), groups, 1e-3), atol=1e-3)


def test_group_normalization_matches_the_formula():
    x = data(3, 4, 5, 6)
    assert_close(GroupNormalization(3)(x), oracles.group_norm(x, 3, 1e-3), atol=1e-5)


def test_instance_normalization_is_group_normalization_with_one_group_per_channel_not_with_one_group():
    x = data(3, 4, 5, 6)
    y = numpy(InstanceNormalization()(x))
    assert_close(y, numpy(GroupNormalization(-1)(x)))
    np.testing.assert_allclose(y.mean((1, 2)), 0, atol=1e-6)
    assert np.abs(y - numpy(GroupNormalization(1)(x))).max() > 0.1


def test_groups_of_minus_one_stay_in_the_configuration():
    """`build` of Keras 3.15 overwrites the -1 with the number of channels."""
    layer = GroupNormalization(-1)
    layer.build((None, 4, 6))
    assert layer.get_config()["groups"] == -1
    assert "groups" not in InstanceNormalization().get_config()


def test_group_normalization_as_a_first_layer_trains():
    """PyTorch 2.13 has a segmentation fault in the gradient of `group_norm` on channels-last images if the weights need
    a gradient and the input does not, as in the first layer of a model."""
    model = keras.Sequential([keras.Input((4, 4, 6)), GroupNormalization(2)])
    model.compile("sgd", "mse")
    model.fit(data(4, 4, 4, 6), data(4, 4, 4, 6), verbose=0)
    assert np.all(np.isfinite(numpy(model.layers[0].gamma)))


def test_group_normalization_without_weights():
    x = data(3, 4, 6)
    layer = GroupNormalization(2, center=False, scale=False)
    assert_close(layer(x), oracles.group_norm(x, 2, 1e-3), atol=1e-5)
    assert not layer.weights


@pytest.mark.parametrize("shape", [(5, 6), (3, 4, 6), (2, 3, 4, 6)])
@pytest.mark.parametrize("over", [1, 2])
def test_layer_normalization_matches_pytorch(shape, over):
    if len(shape) == over:
        shape = (2, *shape)

    def reference(x, *weights):
        return torch.nn.functional.layer_norm(x, shape[-over:], *weights, eps=0.01)

    axis = -1 if over == 1 else [-2, -1]
    check_with_gradients(LayerNormalization(axis, 0.01), data(*shape), reference)


def test_layer_normalization_over_an_axis_that_is_not_the_last():
    def reference(x, gamma, beta):
        return torch.nn.functional.layer_norm(x.movedim(1, -1), [4], gamma, beta, eps=0.01).movedim(-1, 1)

    check_with_gradients(LayerNormalization(1, 0.01), data(3, 4, 5), reference)


def test_layer_normalization_without_activation_is_that_of_keras():
    x = data(3, 4, 6)
    assert_close(LayerNormalization()(x), numpy(keras.layers.LayerNormalization()(x)), atol=1e-6)
    assert_close(LayerNormalization(activation="relu")(x), np.maximum(numpy(LayerNormalization()(x)), 0))


@pytest.mark.filterwarnings("ignore:.*rms_scaling:UserWarning")
def test_layer_normalization_keeps_the_root_mean_square_variant_of_keras():
    x = data(3, 6)
    ours, theirs = LayerNormalization(rms_scaling=True), keras.layers.LayerNormalization(rms_scaling=True)
    assert_close(ours(x), numpy(theirs(x)))


@pytest.mark.parametrize(("channels", "size"), [(1, 3), (3, 2), (8, 5), (40, 5)])
@pytest.mark.parametrize("axis", [-1, 1])
def test_local_response_matches_pytorch_and_the_formula(channels, size, axis):
    """PyTorch divides alpha by n: 0.3·n there is 0.3 here. Gradients by PyTorch's autograd in float64."""
    shape = (2, 4, 3, channels) if axis == -1 else (2, channels, 4, 3)
    x, beta = data(*shape), 0.75 if channels != 8 else 0.4

    def reference(x):
        y = torch.nn.functional.local_response_norm(x.movedim(axis, 1), size, alpha=0.3 * size, beta=beta, k=1.5)
        return y.movedim(1, axis)

    layer = LocalResponseNormalization(size, k=1.5, alpha=0.3, beta=beta, axis=axis)
    check_with_gradients(layer, x, reference)
    expected = np.moveaxis(oracles.local_response(np.moveaxis(x, axis, -1), size, 1.5, 0.3, beta), -1, axis)
    assert_close(in_one(layer)(x), expected, rtol=2e-5)


def test_local_response_with_alpha_zero_and_k_one_changes_nothing():
    x = data(2, 3, 5)
    assert_close(LocalResponseNormalization(alpha=0, k=1)(x), x)


def test_local_response_of_large_values_in_half_precision_does_not_overflow():
    """300² is beyond float16; the sum runs in float32."""
    y = numpy(LocalResponseNormalization(dtype="mixed_float16")(np.full((1, 4), 300.0, "float32")))
    assert np.all(np.isfinite(y)) and np.all(y > 0)


@pytest.mark.parametrize(
    ("cls", "arguments", "argument"),
    [
        (GroupNormalization, {"groups": 0}, "groups"),
        (GroupNormalization, {"axis": 0}, "axis"),
        (GroupNormalization, {"epsilon": -1}, "epsilon"),
        (InstanceNormalization, {"axis": 0}, "axis"),
        (LayerNormalization, {"axis": "last"}, "axis"),
        (LayerNormalization, {"epsilon": 0}, "epsilon"),
        (LocalResponseNormalization, {"size": 0}, "size"),
        (LocalResponseNormalization, {"k": 0}, "k"),
        (LocalResponseNormalization, {"alpha": -1}, "alpha"),
        (LocalResponseNormalization, {"beta": -1}, "beta"),
    ],
)
def test_rejects(cls, arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"{cls.__name__}: `{argument}`"):
        cls(**arguments)


def test_rejects_groups_that_do_not_divide_the_channels():
    with pytest.raises(ValueError, match="GroupNormalization: `groups` must be a divisor of the 6 channels"):
        GroupNormalization(4).build((None, 6))


@pytest.mark.parametrize("make", [lambda: GroupNormalization(2), lambda: InstanceNormalization()])
def test_the_gradient_of_its_weights_alone(make):
    """PyTorch 2.13 ended the process here: images with the channels last, and an input that needs no gradient.

    So it did under `Doctor`, and in every search, with such a layer before the first kernel or after frozen ones.
    Oracle: by hand, dL/dβ = Σ 2(y + 1) for L = Σ(y + 1)².
    """
    layer = make()
    x = keras.ops.convert_to_tensor(np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype("float32"))
    layer.build(x.shape)

    def loss(weights):
        groups = layer.trainable_variables, layer.non_trainable_variables
        with _backend.scope(groups, (weights, [v.value for v in layer.non_trainable_variables])):
            return keras.ops.sum((layer(x) + 1.0) ** 2), None

    weights = [variable.value for variable in layer.trainable_variables]
    _, gradients = _backend.value_and_grad(loss)(weights)
    index = [variable.path.endswith("beta") for variable in layer.trainable_variables].index(True)
    want = (2 * (keras.ops.convert_to_numpy(layer(x)) + 1)).sum((0, 1, 2))
    assert_close(gradients[index], want, rtol=1e-4, atol=1e-3)
