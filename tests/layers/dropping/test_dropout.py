"""Dropout: the mask against the hash in plain Python, its statistics, both scalings, the saved random stream."""

import keras
import numpy as np
import pytest
from keras import ops
from oracles import layers as oracles
from support.harness import assert_close, numpy

from keras_lecture import _backend
from keras_lecture.layers import Dropout
from keras_lecture.layers._base.random_bits import drawn_rate, random_keep


def mask(seed, step, shape, rate=0.5):
    return numpy(random_keep(ops.convert_to_tensor(np.array([seed, step]), "int32"), shape, rate))


@pytest.mark.parametrize(("seed", "step"), [(0, 0), (7, 3), (10**9, 123456), (2**31 - 1, 5)])
@pytest.mark.parametrize("shape", [(10,), (3, 5), (2, 3, 7)])
def test_the_mask_is_the_counter_hash_on_every_backend(seed, step, shape):
    """Oracle: `oracles.layers.keep_mask` with Python's unbounded integers; exact."""
    expected = oracles.keep_mask(seed, step, int(np.prod(shape)), 0.3).reshape(shape)
    np.testing.assert_array_equal(mask(seed, step, shape, 0.3), expected)


def correlation(a, b):
    a, b = a.ravel().astype("float64"), b.ravel().astype("float64")
    return np.corrcoef(a, b)[0, 1]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_mean_variance_and_correlation_along_axes_steps_and_seeds(rate):
    """n = 2¹⁸ draws; bounds of 4.5 standard errors (1/√n for correlations)."""
    shape, n = (64, 64, 64), 64**3
    draws = mask(1, 0, shape, rate)
    assert abs(draws.mean() - (1 - rate)) < 4.5 * np.sqrt(rate * (1 - rate) / n)
    bound = 4.5 / np.sqrt(n) * 1.02
    for axis in range(3):
        for lag in (1, 2, 3, 16):
            here, there = (np.take(draws, range(*ends), axis) for ends in ((0, 64 - lag), (lag, 64)))
            assert abs(correlation(here, there)) < bound * np.sqrt(64 / (64 - lag))
    for step in (1, 2, 3, 1000):
        assert abs(correlation(draws, mask(1, step, shape, rate))) < bound
    for seed in (0, 2, 3, 2**16 + 1, 2**30):
        assert abs(correlation(draws, mask(seed, 0, shape, rate))) < bound
    # The counts in blocks of 64 have the variance of a binomial: neither clustered nor too even.
    blocks = draws.reshape(-1, 64).sum(1)
    assert abs(blocks.var() / (64 * rate * (1 - rate)) - 1) < 4.5 * np.sqrt(2 / len(blocks))


def test_the_streams_of_two_seeds_are_not_shifted_copies():
    """Keys are hashed twice, so the words do not repeat even where two counters overlap."""
    first = mask(1, 0, (4096,))
    for seed in range(2, 40):
        other = mask(seed, 0, (4096,))
        overlap = np.correlate(first - 0.5, other - 0.5, "full")
        # 8,191 lags of up to 4,096 terms of ±1/4; 6 standard errors.
        assert np.abs(overlap).max() < 6 * 0.25 * np.sqrt(4096)


@pytest.mark.parametrize("scaling", ["train", "test"])
def test_the_expected_output_in_training_is_the_output_at_inference(scaling):
    layer = Dropout(0.3, seed=1, scaling=scaling)
    x = np.full((1000, 200), 2.0, "float32")
    trained, inferred = numpy(layer(x, training=True)), numpy(layer(x))
    np.testing.assert_allclose(trained.mean(), inferred.mean(), rtol=4.5 * np.sqrt(0.3 / 0.7 / x.size))
    assert_close(inferred, x if scaling == "train" else 0.7 * x)
    kept = 2.0 / (1 - drawn_rate(0.3)) if scaling == "train" else 2.0
    np.testing.assert_allclose(np.unique(trained), [0.0, kept], rtol=1e-6)


def test_a_noise_shape_drops_whole_channels():
    y = numpy(Dropout(0.5, (None, 1, 1, None), seed=3)(np.ones((8, 4, 4, 16), "float32"), training=True))
    assert np.all(y == y[:, :1, :1, :])
    assert 0 < y.mean() < 2


def test_gradients_follow_the_mask():
    layer = Dropout(0.5, seed=1)
    layer.build((50, 40))
    rest = [v.value for v in layer.non_trainable_variables]

    def loss(inputs):
        y, _ = layer.stateless_call([], rest, inputs[0], training=True)
        return ops.sum(y), y

    (_, y), (gradient,) = _backend.value_and_grad(loss)([ops.ones((50, 40))])
    assert_close(gradient, numpy(y))


def test_a_reloaded_model_continues_the_random_stream(tmp_path):
    """Keras 3.15 saves no seed state: its Dropout restarts the stream after loading (keras layers/layer.py:1443)."""
    model = keras.Sequential([keras.Input((50,)), Dropout(0.5, seed=4)])
    x = np.ones((2, 50), "float32")
    model(x, training=True)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    again = keras.Sequential([keras.Input((50,)), Dropout(0.5, seed=99)])
    again.load_weights(tmp_path / "model.weights.h5")
    for _ in range(2):
        expected = numpy(model(x, training=True))
        assert_close(loaded(x, training=True), expected)
        assert_close(again(x, training=True), expected)


def test_weights_of_a_model_with_keras_dropout_load(tmp_path):
    """A file without a seed state, as Keras writes it, loads and leaves the random stream unchanged."""
    ours = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), Dropout(0.5, seed=4)])
    theirs = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dropout(0.5)])
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.load_weights(tmp_path / "theirs.weights.h5")
    np.testing.assert_array_equal(numpy(ours.layers[0].kernel), numpy(theirs.layers[0].kernel))
    assert numpy(ours.layers[1].seed_generator.state).tolist() == [4, 0]


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"rate": 1.0}, "rate"),
        # It was rounded to 1 and divided by 0.
        ({"rate": 0.999995}, "rate"),
        ({"rate": "half"}, "rate"),
        ({"rate": 0.5, "noise_shape": (None, 0)}, "noise_shape"),
        ({"rate": 0.5, "noise_shape": 3}, "noise_shape"),
        ({"rate": 0.5, "scaling": "both"}, "scaling"),
    ],
)
def test_rejects(arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"Dropout: `{argument}`"):
        Dropout(**arguments)


def test_rejects_a_noise_shape_of_another_rank():
    with pytest.raises(ValueError, match="Dropout: `noise_shape`"):
        Dropout(0.5, (None, 1))(np.ones((2, 3, 4), "float32"), training=True)
