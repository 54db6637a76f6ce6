"""DropConnect: the masks per batch and per sample, for every kind of layer; expectation and random stream."""

import keras
import numpy as np
import pytest
from keras import ops
from oracles import layers as oracles
from support.harness import assert_close, numpy

from keras_lecture import _backend
from keras_lecture.layers import DropConnect, Maxout, MaxoutConv2D
from keras_lecture.layers._base.random_bits import drawn_rate

k = keras.layers
X = np.random.default_rng(0).normal(size=(6, 5, 5, 4)).astype("float32")

KINDS = {
    "Dense": lambda: k.Dense(3),
    "Conv2D": lambda: k.Conv2D(4, 3, groups=2),
    "Conv2DTranspose": lambda: k.Conv2DTranspose(3, 2),
    "SeparableConv2D": lambda: k.SeparableConv2D(3, 2),
    "EinsumDense": lambda: k.EinsumDense("...d,de->...e", (3,), bias_axes="e"),
    "MaxoutConv2D": lambda: MaxoutConv2D(3, 2),
}


def kept(seed, step, shape, rate):
    """Oracle: the counter hash in plain Python; 1/(1 − rate) for kept entries, else 0."""
    return oracles.keep_mask(seed, step, int(np.prod(shape)), rate).reshape(shape) / (1 - drawn_rate(rate))


@pytest.mark.parametrize("name", KINDS)
def test_per_batch_the_output_is_that_of_the_layer_with_a_masked_kernel(name):
    """Oracle: in training, the plain layer with kernels masked by NumPy; at inference, the plain layer."""
    layer, plain = DropConnect(KINDS[name](), rate=0.3, seed=7), KINDS[name]()
    layer.build(X.shape)
    plain.build(X.shape)
    plain.set_weights(layer.layer.get_weights())
    assert_close(layer(X), numpy(plain(X)))
    kernels = [id(kernel.variable) for kernel in layer.kernels]
    plain.set_weights(
        [
            numpy(v) * kept(7, kernels.index(id(v)), v.shape, 0.3) if id(v) in kernels else numpy(v)
            for v in layer.layer.variables
        ]
    )
    assert_close(layer(X, training=True), numpy(plain(X)), atol=1e-5)
    # The layer's own kernel is restored.
    assert all(any(value is kernel.variable for value in vars(kernel.layer).values()) for kernel in layer.kernels)


@pytest.mark.parametrize("shape", [(6, 4), (6, 5, 4), (6, 5, 5, 4)])
def test_per_sample_every_sample_has_its_own_mask(shape):
    """Oracle: one float64 product in NumPy per sample."""
    x = np.resize(X, shape)
    layer = DropConnect(k.Dense(3, activation="tanh", bias_initializer="ones"), rate=0.4, per="sample", seed=3)
    layer.build(shape)
    masks = kept(3, 0, (6, 4, 3), 0.4) * numpy(layer.layer.kernel).astype("float64")
    expected = np.stack([np.tanh(sample @ w + 1) for sample, w in zip(x, masks, strict=True)])
    assert_close(layer(x, training=True), expected, atol=1e-5)


def test_maxout_drops_per_sample():
    layer = DropConnect(Maxout(2, pieces=3), rate=0.4, per="sample", seed=3)
    x = X[:, 0, 0]
    layer.build(x.shape)
    kernels = kept(3, 0, (6, 4, 6), 0.4) * numpy(layer.layer.linear.kernel).astype("float64")
    products = np.einsum("bi,bio->bo", x, kernels)
    assert_close(layer(x, training=True), products.reshape(6, 3, 2).max(1), atol=1e-5)


@pytest.mark.parametrize("per", ["batch", "sample"])
def test_the_expected_output_in_training_is_the_output_at_inference(per):
    """4,000 units, or samples, with the same kernel: 4.5 standard errors of the mean output."""
    count = 4000
    units, samples = (count, 1) if per == "batch" else (1, count)
    layer = DropConnect(k.Dense(units, kernel_initializer="ones"), rate=0.3, per=per, seed=1)
    x = np.tile(np.array([[1.0, -2.0, 3.0]], "float32"), (samples, 1))
    inference, training = numpy(layer(x)), numpy(layer(x, training=True))
    assert_close(inference, np.full(inference.shape, 2.0))
    deviation = np.sqrt(0.3 / 0.7 * (1 + 4 + 9) / count)
    assert abs(training.mean() - 2.0) < 4.5 * deviation
    np.testing.assert_allclose(training.std() / np.sqrt(count), deviation, rtol=0.05)


@pytest.mark.parametrize("per", ["batch", "sample"])
def test_dropped_connections_get_no_gradient(per, float64):
    layer = DropConnect(k.Dense(3, use_bias=False), rate=0.4, per=per, seed=3)
    x = X[:, 0, 0].astype("float64")
    layer.build(x.shape)
    rest = [v.value for v in layer.non_trainable_variables]

    def loss(weights):
        y, _ = layer.stateless_call(weights, rest, x, training=True)
        return ops.sum(y), None

    _, (gradient,) = _backend.value_and_grad(loss)([v.value for v in layer.trainable_variables])
    masks = kept(3, 0, (4, 3) if per == "batch" else (6, 4, 3), 0.4)
    assert_close(gradient, np.einsum("bi,bio->io", x, np.broadcast_to(masks, (6, 4, 3))), "float64")


def test_a_model_trains_with_unknown_batch_sizes_and_continues_its_stream_after_loading(tmp_path):
    inner = k.Dense(4, kernel_regularizer=keras.regularizers.L2(0.1), activity_regularizer=keras.regularizers.L2(0.1))
    first, second = DropConnect(inner, rate=0.5, per="sample", seed=4), DropConnect(k.Dense(1), rate=0.2, seed=5)
    model = keras.Sequential([keras.Input((4,)), first, second])
    x = X[:, 0, 0]
    model.compile(keras.optimizers.SGD(0.1), "mse")
    # The last batch is smaller.
    model.fit(x, x[:, :1], batch_size=4, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for _ in range(2):
        assert_close(loaded(x, training=True), numpy(model(x, training=True)))
    activity = 0.1 * np.sum(numpy(model.layers[0](x)).astype("float64") ** 2) / len(x)
    weights = 0.1 * np.sum(numpy(inner.kernel).astype("float64") ** 2)
    assert sorted(float(numpy(loss)) for loss in model.layers[0].losses) == pytest.approx(sorted([activity, weights]))


@pytest.mark.parametrize("per", ["batch", "sample"])
def test_a_failing_call_restores_the_kernel(per):
    """`call` itself: `layer(x)` would refuse the shape before any kernel is replaced."""
    layer = DropConnect(k.Dense(3), rate=0.5, per=per)
    layer.build((None, 4))
    kernel = layer.layer.kernel
    with pytest.raises(Exception, match=".*"):
        layer.call(ops.ones((2, 9)), training=True)
    assert layer.layer.kernel is kernel


@pytest.mark.parametrize(
    ("layer", "arguments", "argument"),
    [
        (k.LSTM(2), {"rate": 0.5}, "layer"),
        (k.Dense(2), {"rate": 1.0}, "rate"),
        (k.Dense(2), {"rate": 0.999995}, "rate"),
        (k.Dense(2), {"rate": "half"}, "rate"),
        (k.Dense(2), {"rate": 0.5, "per": "unit"}, "per"),
        (k.Conv2D(2, 3), {"rate": 0.5, "per": "sample"}, "per"),
        (k.EinsumDense("ab,bc->ac", 2), {"rate": 0.5, "per": "sample"}, "per"),
    ],
)
def test_rejects(layer, arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"DropConnect: `{argument}`"):
        DropConnect(layer, **arguments)
