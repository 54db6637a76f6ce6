"""The model built from the options: adapted augmentations, and a network for the cropped images."""

import keras
import numpy as np
import pytest
from support.command import run
from support.harness import numpy

from keras_lecture import data

DIGITS = ["train", "--model", "mlp", "units=()", "--epochs", 1, "--batch-size", 540, "--fractions", 0.3, 0.3, 0.4]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model for digits cropped from 8 × 8 to 6 × 6, with PCA color noise on their single channel."""
    folder = tmp_path_factory.mktemp("digits")
    crop = ["--augment", "random_crop_flip", "height=6", "width=6"]
    code, _, err = run(*DIGITS, *crop, "--augment", "pca_color", "stddev=0.2", "--save", "--out", folder)
    assert code == 0, err
    return keras.saving.load_model(folder / "model.keras")


def test_pca_color_is_adapted_to_the_training_images(model):
    """L15: it was never adapted. Oracle: the variance of the training pixels, by NumPy; float32, 1e-5."""
    x, y = data.load("digits")
    (x, _), *_ = data.split(x, y, fractions=[0.3, 0.3, 0.4], seed=0)
    color = next(layer for layer in model.layers if type(layer).__name__ == "PCAColor")
    assert numpy(color.eigenvalues).tolist() == pytest.approx([np.var(x.astype("float64"))], rel=1e-5)
    assert abs(numpy(color.eigenvectors)).tolist() == [[1.0]]
    assert (color.stddev, tuple(color.value_range)) == (0.2, (0, 1))


def test_network_is_built_for_cropped_images(model):
    """L15: with `random_crop_flip height=6 width=6`, the network was built for images of 8 × 8."""
    *_, network = model.layers
    assert network.input_shape == (None, 6, 6, 1)
    assert model.predict(np.zeros((2, 8, 8, 1), "float32"), verbose=0).shape == (2, 10)
