"""PCAColor: the components against NumPy, the noise against an oracle and the covariance of the formula."""

import keras
import numpy as np
import pytest
from oracles import augmentation as oracles
from support.harness import assert_close, numpy

from keras_lecture.layers import PCAColor

RNG = np.random.default_rng(0)
MIXING = np.array([[0.5, 0.3, 0.2], [0.1, 0.4, 0.1], [0.0, 0.1, 0.3]])
IMAGES = (RNG.uniform(size=(40, 9, 8, 3)) @ MIXING.T).astype("float32")


def adapted(**arguments):
    layer = PCAColor(**{"value_range": (0, 1), "seed": 5, **arguments})
    layer.adapt(IMAGES)
    return layer


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_adapt_finds_the_principal_components(data_format):
    """Oracle: `np.cov` and `np.linalg.eigh` in float64; the largest entry of each vector is positive."""
    layer = PCAColor(value_range=(0, 1), data_format=data_format)
    layer.adapt(IMAGES if data_format == "channels_last" else np.moveaxis(IMAGES, -1, 1))
    values, vectors = oracles.principal_components(IMAGES)
    assert_close(layer.eigenvalues, values, rtol=1e-6)
    found = numpy(layer.eigenvectors)
    np.testing.assert_allclose(np.abs((found * vectors).sum(0)), 1, rtol=1e-6)
    assert (found[np.abs(found).argmax(0), range(3)] > 0).all()


def test_every_pixel_of_an_image_is_shifted_by_the_formula():
    """Oracle: x + P·(α ⊙ λ) in float64, α the stream's normal numbers times 0.1."""
    layer = adapted()
    values, vectors = numpy(layer.eigenvalues), numpy(layer.eigenvectors)
    alpha = 0.1 * oracles.normal(5, 0, (6, 3))
    expected = IMAGES[:6] + np.einsum("ck,nk->nc", vectors, alpha * values)[:, None, None, :]
    assert_close(layer(IMAGES[:6], training=True), expected, atol=1e-6)


def test_the_mean_shift_is_zero_and_its_covariance_is_that_of_the_formula():
    """n = 20,000 images of one pixel; 5 standard errors, of the covariance √(Cᵢᵢ·Cⱼⱼ + Cᵢⱼ²)/√n."""
    n, layer = 20_000, adapted(stddev=0.5)
    shifts = numpy(layer(np.zeros((n, 1, 1, 3), "float32"), training=True)).reshape(n, 3).astype("float64")
    values, vectors = oracles.principal_components(IMAGES)
    covariance = 0.25 * (vectors * values**2) @ vectors.T
    variance = np.diag(covariance)
    assert (np.abs(shifts.mean(0)) < 5 * np.sqrt(variance / n)).all()
    error = np.sqrt((np.outer(variance, variance) + covariance**2) / n)
    assert (np.abs(np.cov(shifts.T) - covariance) < 5 * error).all()


def test_images_in_0_to_255_are_shifted_like_the_same_images_in_0_to_1():
    small, large = adapted(), PCAColor(seed=5)
    large.adapt(255 * IMAGES)
    expected = 255 * numpy(small(IMAGES[:6], training=True))
    assert_close(large(255 * IMAGES[:6], training=True), expected, rtol=1e-4, atol=1e-3)


def test_components_are_saved_and_loaded(tmp_path):
    model = keras.Sequential([keras.Input((9, 8, 3)), adapted()])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(loaded(IMAGES[:6], training=True), numpy(model(IMAGES[:6], training=True)))


@pytest.mark.parametrize("training", [True, False])
def test_a_call_before_adapt_is_an_error(training):
    with pytest.raises(ValueError, match="PCAColor: `eigenvectors` must be known .* Call `adapt"):
        PCAColor()(IMAGES, training=training)


@pytest.mark.parametrize("value_range", [(0, 255), (0, 0.5)])
def test_adapt_refuses_a_range_that_does_not_fit_the_data(value_range):
    """Noise scaled by another range would be invisible or would dominate the image."""
    with pytest.raises(ValueError, match="PCAColor: `value_range` must be the range of the data"):
        PCAColor(value_range=value_range).adapt(IMAGES)


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"stddev": -1.0}, "stddev"),
        ({"value_range": (1, 0)}, "value_range"),
        ({"value_range": "bytes"}, "value_range"),
        ({"value_range": (0, 1, 2)}, "value_range"),
        ({"eigenvalues": [1.0]}, "eigenvalues"),
        ({"eigenvectors": [1.0], "eigenvalues": [1.0]}, "eigenvectors"),
        ({"eigenvectors": [[1.0]], "eigenvalues": [1.0, 2.0]}, "eigenvectors"),
        ({"eigenvectors": [[1.0]], "eigenvalues": [-1.0]}, "eigenvalues"),
    ],
)
def test_rejects(arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"PCAColor: `{argument}`"):
        PCAColor(**arguments)


def test_rejects_another_number_of_channels_or_axes():
    layer = adapted()
    with pytest.raises(ValueError, match="PCAColor: `data`"):
        layer.adapt(IMAGES[..., :2])
    with pytest.raises(ValueError, match="PCAColor: `data`"):
        layer.adapt(IMAGES[0])
    with pytest.raises(ValueError, match="PCAColor: `inputs`"):
        PCAColor(eigenvectors=[[1.0]], eigenvalues=[1.0])(IMAGES)
