"""Stochastic depth: the dropped samples, the expectation, a residual net that uses it, the saved random stream."""

import keras
import numpy as np
import pytest
from keras import ops
from oracles import layers as oracles
from support.harness import assert_close, numpy

from keras_lecture import _backend
from keras_lecture.layers import Dropout, StochasticDepth
from keras_lecture.layers._base.random_bits import drawn_rate

X = np.random.default_rng(0).normal(size=(40, 3, 2, 5)).astype("float32")


def test_a_sample_is_dropped_as_a_whole_and_the_others_are_scaled():
    """Oracle: `oracles.layers.keep_mask` of the layer's seed at its first step, one draw per sample."""
    keep = oracles.keep_mask(7, 0, 40, 0.3)
    assert 0 < keep.sum() < 40
    expected = np.where(keep[:, None, None, None], X / (1 - drawn_rate(0.3)), 0)
    assert_close(StochasticDepth(0.3, seed=7)(X, training=True), expected)


def test_on_images_it_is_dropout_with_one_draw_per_sample():
    ours, theirs = StochasticDepth(0.4, seed=3), Dropout(0.4, noise_shape=(None, 1, 1, 1), seed=3)
    for _ in range(2):
        assert_close(ours(X, training=True), numpy(theirs(X, training=True)))


def test_the_expected_output_in_training_is_the_output_at_inference():
    """n = 20,000 samples; 4.5 standard errors of a proportion."""
    x, layer = np.full((20_000, 2), 2.0, "float32"), StochasticDepth(0.2, seed=1)
    assert numpy(layer(x)).tolist() == x.tolist()
    trained = numpy(layer(x, training=True))
    np.testing.assert_allclose(trained.mean(), 2.0, rtol=4.5 * np.sqrt(0.2 / 0.8 / len(x)))


def test_a_dropped_branch_gets_no_gradient():
    layer = StochasticDepth(0.5, seed=1)
    layer.build(X.shape)
    rest = [v.value for v in layer.non_trainable_variables]

    def loss(inputs):
        y, _ = layer.stateless_call([], rest, inputs[0], training=True)
        return ops.sum(y), y

    (_, y), (gradient,) = _backend.value_and_grad(loss)([ops.ones(X.shape)])
    assert_close(gradient, numpy(y))
    assert 0.0 in numpy(gradient)


def test_a_residual_net_trains_and_continues_its_stream_after_loading(tmp_path):
    inputs = keras.Input((5,))
    branch = StochasticDepth(0.5, seed=4)(keras.layers.Dense(5)(inputs))
    model = keras.Model(inputs, keras.layers.add([inputs, branch]))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = X[:, 0, 0]
    model.fit(x, x, batch_size=8, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for _ in range(2):
        assert_close(loaded(x, training=True), numpy(model(x, training=True)))


@pytest.mark.parametrize("rate", [1.0, 0.999995, -0.1, "half", True])
def test_rejects(rate):
    with pytest.raises((ValueError, TypeError), match="StochasticDepth: `rate`"):
        StochasticDepth(rate)
