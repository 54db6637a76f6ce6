"""All augmentations: data pipelines on every backend, training and inference, one draw per sample, saved streams."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.harness import BACKEND, numpy

from keras_lecture.layers import Jitter, PCAColor, RandomAffine, RandomCropFlip, TenCrop, ZeroCenter
from keras_lecture.layers.augmentation._preparation import DataLayer

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 9, 8, 3)).astype("uint8")
COMPONENTS = {"eigenvectors": [[0.6, 0.8, 0], [0.8, -0.6, 0], [0, 0, 1]], "eigenvalues": [0.2, 0.1, 0.05]}
RANDOM = {
    "Jitter": lambda: Jitter(3.0, seed=5),
    "PCAColor": lambda: PCAColor(**COMPONENTS, seed=5),
    "RandomAffine": lambda: RandomAffine(seed=5),
    "RandomCropFlip": lambda: RandomCropFlip(5, 4, padding=1, seed=5),
}
FIXED = {
    "TenCrop": lambda: TenCrop(5, 4),
    "ZeroCenter": lambda: ZeroCenter(mean=[100.0, 110.0, 120.0], unit_variance=True, deviation=60.0),
}


@pytest.mark.parametrize("name", [*RANDOM, *FIXED])
def test_a_pipeline_equals_direct_calls_on_every_backend(name):
    """Oracle: the same layer called on arrays, with the same steps of the same stream per batch; 1e-3 of 255."""
    make = {**RANDOM, **FIXED}[name]
    layer = make()
    expected = [numpy(layer(IMAGES[:3])), numpy(layer(IMAGES[3:]))]
    mapped = list(tf.data.Dataset.from_tensor_slices(IMAGES).batch(3).map(make()))
    for one, other in zip(mapped, expected, strict=True):
        assert one.dtype == tf.float32
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("name", [*RANDOM, *FIXED])
def test_a_pipeline_may_map_single_images_of_unknown_size(name):
    """Oracle: the layer called on batches of one; image i gets the first draws of step i."""
    make = {**RANDOM, **FIXED}[name]
    layer = make()
    expected = [numpy(layer(image[None]))[0] for image in IMAGES[:2]]
    images = tf.data.Dataset.from_generator(
        lambda: iter(IMAGES[:2]), output_signature=tf.TensorSpec((None, None, 3), "uint8")
    )
    for one, other in zip(images.map(make()), expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("name", RANDOM)
def test_inference_changes_nothing_but_crops_the_center(name):
    x = IMAGES.astype("float32")
    expected = x[:, 2:7, 2:6] if name == "RandomCropFlip" else x
    np.testing.assert_array_equal(numpy(RANDOM[name]()(x, training=False)), expected)


@pytest.mark.parametrize("name", RANDOM)
def test_equal_images_of_a_batch_are_changed_differently(name):
    y = numpy(RANDOM[name]()(np.repeat(IMAGES[:1], 6, axis=0)))
    assert len({image.tobytes() for image in y}) > 3


def test_reloaded_models_continue_the_random_streams(tmp_path):
    """Oracle: the saved model. Keras 3.15 saves no seed state."""
    layers = [RANDOM[name]() for name in ("RandomAffine", "PCAColor", "Jitter", "RandomCropFlip")]
    model = keras.Sequential([keras.Input((9, 8, 3)), *layers])
    x = IMAGES.astype("float32")
    model(x, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numpy(loaded(x, training=True)), numpy(model(x, training=True)))


def test_several_layers_in_a_pipeline_train_a_model():
    """A `keras.layers.Pipeline` of our layers and Keras's, mapped in parallel over labeled images, for `fit`."""
    change = keras.layers.Pipeline([RANDOM["RandomCropFlip"](), keras.layers.Rescaling(1 / 255), RANDOM["Jitter"]()])
    data = tf.data.Dataset.from_tensor_slices((IMAGES, np.arange(6.0))).batch(3)
    data = data.map(lambda x, y: (change(x), y), num_parallel_calls=2)
    model = keras.Sequential([keras.Input((5, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    assert np.isfinite(model.fit(data, epochs=2, shuffle=False, verbose=0).history["loss"]).all()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_bytes_are_cast_to_the_compute_dtype(policy):
    for make in (*RANDOM.values(), *FIXED.values()):
        layer = make()
        layer.dtype_policy = policy
        assert keras.backend.standardize_dtype(layer(IMAGES).dtype) == policy.removeprefix("mixed_")


def test_the_base_class_is_still_that_of_keras():
    """If this fails, Keras has moved the base class of its preprocessing layers: see augmentation/_preparation.py."""
    assert DataLayer.__name__ == "DataLayer"
    assert issubclass(keras.layers.RandomFlip, DataLayer)
    assert hasattr(DataLayer, "convert_weight")
    assert hasattr(DataLayer, "_get_seed_generator")
    assert DataLayer().backend.name == BACKEND
    assert DataLayer()._get_call_context().entry_layer is not None


@pytest.mark.parametrize("cls", [PCAColor, RandomAffine])
def test_rejects_inputs_that_are_not_images(cls):
    layer = cls(**COMPONENTS) if cls is PCAColor else cls()
    with pytest.raises(ValueError, match=f"{cls.__name__}: `inputs`"):
        layer(np.ones((3, 4), "float32"))
    with pytest.raises(ValueError, match=f"{cls.__name__}: `data_format`"):
        cls(data_format="last")


@pytest.mark.parametrize("name", [*RANDOM, *FIXED])
def test_an_empty_batch_stays_empty(name):
    """L17: on JAX, RandomAffine failed and RandomCropFlip returned shape (0, 3). Oracle: the shape of a full batch."""
    layer = {**RANDOM, **FIXED}[name]()
    for arguments in ({}, {"training": True}) if name in RANDOM else ({},):
        assert layer(IMAGES[:0], **arguments).shape[1:] == layer(IMAGES[:1], **arguments).shape[1:]
        assert layer(IMAGES[:0], **arguments).shape[0] == 0


@pytest.mark.parametrize("fill_mode", ["constant", "wrap", "reflect"])
def test_an_empty_batch_in_a_pipeline_stays_empty(fill_mode):
    """TensorFlow 2.21 crashes the process when it folds the remainder of an empty index tensor."""
    data = tf.data.Dataset.from_tensors(IMAGES[:0]).map(RandomAffine(fill_mode=fill_mode))
    assert [images.shape for images in data] == [(0, 9, 8, 3)]


@pytest.mark.parametrize("name", [*RANDOM, *FIXED])
def test_lists_are_converted_and_other_types_are_refused(name):
    """L17: a Python list raised "object of type 'NoneType' has no len()". Oracle: the array of the same numbers."""
    make = {**RANDOM, **FIXED}[name]
    np.testing.assert_array_equal(numpy(make()(IMAGES.tolist())), numpy(make()(IMAGES)))
    for wrong in (None, "image", {"x": IMAGES}, (IMAGES, IMAGES), [[1], [2, 3]], IMAGES.astype(object)):
        with pytest.raises(TypeError, match=f"{name}: `inputs` must be one array of numbers"):
            make()(wrong)
