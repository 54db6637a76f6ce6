"""RandomCropFlip, TenCrop and the average over ten crops, against NumPy slices."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracles import augmentation as oracles
from support.harness import BACKEND, assert_close, numpy

from keras_lecture.layers import RandomCropFlip, TenCrop, ten_crop_average

IMAGES = np.random.default_rng(0).normal(size=(6, 9, 8, 3)).astype("float32")


@pytest.mark.parametrize("padding", [0, 2])
def test_crops_are_the_windows_drawn_by_the_random_stream(padding):
    """Oracle: slices of padded NumPy arrays; exact, at two steps of the stream."""
    layer = RandomCropFlip(5, 4, padding=padding, flip_rate=0.4, seed=3)
    for step in (0, 1):
        expected = oracles.crops(IMAGES, oracles.uniform(3, step, (6, 3)), 5, 4, padding, 0.4)
        np.testing.assert_array_equal(numpy(layer(IMAGES, training=True)), expected)


def test_all_window_positions_are_equally_likely_and_half_the_images_are_reflected():
    """n = 6,000 images of 6 × 5 with 3 × 4 positions: counts and reflections within 4.5 standard errors."""
    n = 6000
    image = np.arange(30.0, dtype="float32").reshape(1, 6, 5, 1)
    y = numpy(RandomCropFlip(4, 2, seed=1)(np.repeat(image, n, 0), training=True))[:, :, :, 0]
    reflected = y[:, 0, 0] > y[:, 0, 1]
    counts = np.bincount(y[:, 0].min(-1).astype(int), minlength=15)
    positions = [5 * top + left for top in range(3) for left in range(4)]
    assert counts[positions].sum() == n
    assert np.abs(counts[positions] - n / 12).max() < 4.5 * np.sqrt(n * (1 / 12) * (11 / 12))
    assert abs(reflected.mean() - 0.5) < 4.5 * 0.5 / np.sqrt(n)


@pytest.mark.parametrize(("height", "width", "padding"), [(5, 4, 0), (5, 4, 3), (11, 8, 1)])
def test_inference_cuts_the_center(height, width, padding):
    padded = np.pad(IMAGES, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    top, left = (padded.shape[1] - height) // 2, (padded.shape[2] - width) // 2
    expected = padded[:, top : top + height, left : left + width]
    layer = RandomCropFlip(height, width, padding=padding)
    np.testing.assert_array_equal(numpy(layer(IMAGES, training=False)), expected)


def test_a_window_of_the_size_of_the_image_and_flip_rate_0_change_nothing():
    np.testing.assert_array_equal(numpy(RandomCropFlip(9, 8, flip_rate=0)(IMAGES, training=True)), IMAGES)


def test_ten_crops_are_corners_and_center_and_their_reflections():
    expected = np.stack([oracles.ten_crops(image, 4, 5) for image in IMAGES])
    np.testing.assert_array_equal(numpy(TenCrop(4, 5)(IMAGES)), expected)


def classifier(size, activation=None):
    layers = [keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.GlobalMaxPooling2D()]
    return keras.Sequential([keras.Input((*size, 3)), *layers, keras.layers.Dense(5, activation=activation)])


def predictions(model, crops):
    return numpy(model(crops.reshape(-1, *crops.shape[2:]))).reshape(*crops.shape[:2], -1).astype("float64")


def test_the_average_is_the_mean_of_the_predictions_for_the_ten_crops(tmp_path):
    """Oracle: the model on NumPy's crops, averaged in float64. The average shares the weights and can be saved."""
    model = classifier((6, 5), "softmax")
    average = ten_crop_average(model)
    crops = np.stack([oracles.ten_crops(image, 6, 5) for image in IMAGES])
    assert_close(average(IMAGES), predictions(model, crops).mean(1), atol=1e-5)
    model.layers[-1].bias.assign([1.0, 2.0, 3.0, 4.0, 5.0])
    expected = predictions(model, crops).mean(1)
    assert_close(average.predict(IMAGES, verbose=0), expected, atol=1e-5)
    average.save(tmp_path / "average.keras")
    assert_close(keras.saving.load_model(tmp_path / "average.keras")(IMAGES), expected, atol=1e-5)


def test_from_logits_averages_probabilities_not_scores():
    """Oracle: softmax in float64. If the input size is unknown, the arguments give the size of the crops."""
    model = classifier((None, None))
    crops = np.stack([oracles.ten_crops(image, 6, 5) for image in IMAGES])
    scores = predictions(model, crops)
    probabilities = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    average = ten_crop_average(model, height=6, width=5, from_logits=True)
    assert_close(average(IMAGES), probabilities.mean(1), atol=1e-5)
    assert_close(ten_crop_average(model, height=6, width=5)(IMAGES), scores.mean(1), atol=1e-5)


def test_every_output_of_a_model_is_averaged():
    inputs = keras.Input((6, 5, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    average = ten_crop_average(keras.Model(inputs, {"mean": pooled, "twice": 2 * pooled}))
    crops = np.stack([oracles.ten_crops(image, 6, 5) for image in IMAGES])
    y = average(IMAGES)
    assert_close(y["mean"], crops.mean((1, 2, 3)), atol=1e-5)
    assert_close(y["twice"], 2 * crops.mean((1, 2, 3)), atol=1e-5)


def test_for_images_of_the_size_of_the_crop_the_average_is_over_image_and_reflection():
    model = classifier((9, 8), "softmax")
    expected = (numpy(model(IMAGES)) + numpy(model(IMAGES[:, :, ::-1].copy()))) / 2
    assert_close(ten_crop_average(model)(IMAGES), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"height": 0, "width": 3}, "height"),
        ({"height": 3, "width": 2.5}, "width"),
        ({"height": 3, "width": 3, "padding": -1}, "padding"),
        ({"height": 3, "width": 3, "flip_rate": 1.5}, "flip_rate"),
    ],
)
def test_rejects(arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"RandomCropFlip: `{argument}`"):
        RandomCropFlip(**arguments)


def test_rejects_an_image_smaller_than_the_window():
    with pytest.raises(ValueError, match="RandomCropFlip: `height` must be at most 11"):
        RandomCropFlip(12, 4, padding=1)(IMAGES)
    with pytest.raises(ValueError, match="TenCrop: `width` must be at most 8, that of the image"):
        TenCrop(4, 9)(IMAGES)


SMALL = [
    (lambda: RandomCropFlip(12, 4, padding=1), {"training": True}),
    (lambda: RandomCropFlip(12, 4, padding=1), {"training": False}),
    (lambda: TenCrop(12, 4), {}),
]


@pytest.mark.parametrize(("make", "training"), SMALL)
def test_rejects_an_image_smaller_than_the_window_if_sizes_were_unknown(make, training):
    """L6: JAX read pixels of other images, PyTorch cut a smaller window. In a model of unknown size and a pipeline."""
    model = keras.Sequential([keras.Input((None, None, 3)), make()])
    with pytest.raises(ValueError, match="`height` must be at most (9|11), that of the (image|padded image)"):
        model(IMAGES, **training)
    layer, signature = make(), tf.TensorSpec((None, None, 3), "float32")
    large = np.zeros((12, 8, 3), "float32")
    images = tf.data.Dataset.from_generator(lambda: iter([large, IMAGES[0]]), output_signature=signature)
    cut = iter(images.map(lambda image: layer(image, **training)))
    assert next(cut).shape[-3:] == (12, 4, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="`height` and `width` must be at most"):
        next(cut)
    if BACKEND == "tensorflow":
        # XLA drops assertions: it gathered from other images.
        compiled = tf.function(
            lambda x: make_once(x, **training), jit_compile=True, input_signature=[tf.TensorSpec((None, None, None, 3))]
        )
        make_once = make()
        with pytest.raises(tf.errors.InvalidArgumentError):
            compiled(IMAGES)


@pytest.mark.parametrize(
    ("model", "arguments", "argument"),
    [
        (lambda: keras.layers.Dense(2), {}, "model"),
        (lambda: keras.Sequential([keras.layers.Dense(2)]), {}, "model"),
        (lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), {}, "model"),
        (lambda: classifier((6, 5)), {"height": 7}, "height"),
        (lambda: classifier((None, None)), {"height": 7}, "width"),
        (lambda: classifier((6, 5)), {"from_logits": "yes"}, "from_logits"),
        (lambda: classifier((6, 5)), {"data_format": "first"}, "data_format"),
    ],
)
def test_the_average_rejects(model, arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"ten_crop_average: `{argument}`"):
        ten_crop_average(model(), **arguments)
