"""ZeroCenter: the training mean and variance against NumPy, in eager, compiled, saved and cloned models."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.harness import assert_close, numpy

from keras_lecture.layers import PCAColor, ZeroCenter

DATA = np.random.default_rng(0).normal([5.0, -3.0, 100.0], [1.0, 4.0, 9.0], size=(50, 4, 5, 3)).astype("float32")
AXES = {"channel": (0, 1, 2), "pixel": 0}


def adapted(per="channel", **arguments):
    layer = ZeroCenter(per, **arguments)
    layer.adapt(DATA)
    return layer


@pytest.mark.parametrize("per", ["channel", "pixel"])
def test_after_adapt_the_training_data_have_mean_0_and_variance_1(per):
    """Oracle: NumPy's mean and standard deviation in float64; without `unit_variance` the variance is unchanged."""
    exact = DATA.astype("float64")
    mean, deviation = exact.mean(AXES[per]), exact.std(AXES[per])
    assert_close(adapted(per)(DATA), exact - mean, rtol=1e-5, atol=1e-5)
    y = numpy(adapted(per, unit_variance=True)(DATA)).astype("float64")
    assert_close(y, (exact - mean) / deviation, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(y.mean(AXES[per]), 0, atol=1e-5)
    np.testing.assert_allclose(y.var(AXES[per]), 1, rtol=1e-5)


@pytest.mark.parametrize("per", ["channel", "pixel"])
def test_channels_first_is_channels_last_transposed(per):
    moved = np.moveaxis(DATA, -1, 1)
    layer = ZeroCenter(per, unit_variance=True, data_format="channels_first")
    layer.adapt(moved)
    assert_close(layer(moved), np.moveaxis(numpy(adapted(per, unit_variance=True)(DATA)), -1, 1), atol=1e-6)


def test_a_constant_pixel_is_only_centered():
    """Like the border of digits: Keras's Normalization divides by 1e-7, so one speck at test time becomes 10⁷."""
    data = np.concatenate([np.full((64, 1), 0.1), np.arange(64.0)[:, None]], 1)
    layer = ZeroCenter("pixel", unit_variance=True)
    layer.adapt(data)
    assert_close(layer(np.array([[1.1, 31.5]])), [[1.0, 0.0]], atol=1e-5)


def test_it_is_active_at_inference_and_saved(tmp_path):
    layer = adapted("pixel", unit_variance=True)
    model = keras.Sequential([keras.Input((4, 5, 3)), layer])
    expected = numpy(layer(DATA))
    assert_close(model.predict(DATA, verbose=0), expected, atol=1e-6)
    assert_close(model(DATA, training=True), expected)
    model.save(tmp_path / "model.keras")
    assert_close(keras.saving.load_model(tmp_path / "model.keras")(DATA), expected)


def test_a_new_adapt_takes_effect_in_a_compiled_model():
    """Keras's Normalization compiles its statistics into the step as constants."""
    layer = adapted()
    model = keras.Sequential([keras.Input((4, 5, 3)), layer])
    before = model.predict(DATA, verbose=0)
    layer.adapt(DATA - 1)
    assert_close(model.predict(DATA, verbose=0), before + 1, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_call_before_adapt_is_an_error(compiled):
    model = keras.Sequential([keras.Input((4, 5, 3)), ZeroCenter()])
    call = (lambda: model.predict(DATA, verbose=0)) if compiled else (lambda: model(DATA))
    with pytest.raises(ValueError, match="ZeroCenter: `mean` must be known .* Call `adapt"):
        call()


def test_a_clone_with_copied_weights_is_adapted():
    """Weights assigned by `set_weights` count as known, also in compiled calls."""
    model = keras.Sequential([keras.Input((4, 5, 3)), adapted()])
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_close(clone.predict(DATA, verbose=0), model.predict(DATA, verbose=0))


def test_a_given_mean_and_deviation_replace_adapt():
    layer = ZeroCenter("pixel", unit_variance=True, mean=DATA[0], deviation=2.0)
    assert_close(layer(DATA), (DATA - DATA[0]) / 2, atol=1e-5)
    again = ZeroCenter.from_config(layer.get_config())
    assert_close(again(DATA), (DATA - DATA[0]) / 2, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"per": "image"}, "per"),
        ({"unit_variance": 1}, "unit_variance"),
        ({"mean": "many"}, "mean"),
        ({"mean": [[1.0]]}, "mean"),
        ({"mean": 1.0, "unit_variance": True}, "deviation"),
        ({"mean": 1.0, "deviation": 1.0}, "deviation"),
        ({"mean": 1.0, "deviation": 0.0, "unit_variance": True}, "deviation"),
        ({"data_format": "last"}, "data_format"),
    ],
)
def test_rejects(arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"ZeroCenter: `{argument}`"):
        ZeroCenter(**arguments)


def test_rejects_data_of_other_or_unknown_size():
    with pytest.raises(ValueError, match="ZeroCenter: `data`"):
        adapted("pixel").adapt(DATA[:, :3])
    with pytest.raises(ValueError, match="ZeroCenter: `data`"):
        ZeroCenter().adapt(DATA[:, 0, 0, 0])
    with pytest.raises(ValueError, match="ZeroCenter: `inputs` must be of known size"):
        keras.Sequential([keras.Input((None, 5, 3)), ZeroCenter("pixel")])
    with pytest.raises(ValueError, match="ZeroCenter: `mean`"):
        ZeroCenter(mean=[1.0, 2.0])(DATA)


@pytest.mark.parametrize("make", [ZeroCenter, PCAColor])
def test_loading_an_unadapted_layer_does_not_adapt_it(make, tmp_path):
    """L10: a layer saved before `adapt` silently predicted NaN after loading or `set_weights`, as did an adapted layer
    that loaded its file."""
    model = keras.Sequential([keras.Input((4, 5, 3)), make()])
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    clone, adapted_one = (keras.Sequential([keras.Input((4, 5, 3)), make()]) for _ in range(2))
    clone.set_weights(model.get_weights())
    adapted_one.layers[0].adapt(np.random.default_rng(1).uniform(0, 255, (8, 4, 5, 3)))
    assert np.isfinite(adapted_one.predict(DATA, verbose=0)).all()
    adapted_one.load_weights(tmp_path / "model.weights.h5")
    for unknown in (loaded, clone, adapted_one):
        with pytest.raises(ValueError, match=f"{make.__name__}: `.*` must be known before the layer is called"):
            unknown(DATA, training=False)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_rounds_the_difference_and_not_the_inputs(policy):
    """1000.25 and 1001 are one number in bfloat16: the layer once subtracted the mean after Keras had rounded both.

    Oracle: NumPy in float64; the rounding of the result alone, 2⁻⁸ and 2⁻¹¹.
    """
    keras.config.set_dtype_policy(policy)
    x = np.array([[1000.25], [1001.0], [1002.5]], "float32")
    layer = ZeroCenter()
    layer.adapt(x)
    eager = keras.ops.cast(layer(x), "float32")
    model = keras.Sequential([keras.Input((1,)), layer])
    rounding = {"mixed_bfloat16": 2**-8, "mixed_float16": 2**-11}[policy]
    for found in (numpy(eager), model.predict(x, verbose=0).astype("float32")):
        np.testing.assert_allclose(found, x - x.astype("float64").mean(), rtol=rounding)


def test_a_pipeline_rounds_the_difference_too():
    """Keras's base class casts the tensors of a pipeline to the type of the computation before the layer sees them."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    x = np.array([[1000.25], [1001.0], [1002.5]], "float32")
    layer = ZeroCenter()
    layer.adapt(x)
    (found,) = tf.data.Dataset.from_tensor_slices(x).batch(3).map(layer)
    np.testing.assert_allclose(tf.cast(found, "float32"), x - x.astype("float64").mean(), rtol=2**-8)


@pytest.mark.parametrize("kind", ["ZeroCenter", "PCAColor"])
def test_statistics_that_the_framework_loads_are_known(kind, tmp_path):
    """`load_state_dict`, `tf.train.Checkpoint` and a stateless call wrote the values, and the layer refused to run."""

    def model():
        keras.utils.clear_session()
        unit = ZeroCenter(unit_variance=True) if kind == "ZeroCenter" else PCAColor(value_range=(0, 1), seed=0)
        return keras.Sequential([keras.Input((4, 5, 3)), unit])

    data = np.random.default_rng(0).uniform(size=(6, 4, 5, 3)).astype("float32")
    ours = model()
    ours.layers[0].adapt(data)
    want = ours.predict(data, verbose=0)
    other, backend = model(), keras.backend.backend()
    if backend == "torch":
        other.load_state_dict(ours.state_dict())
    elif backend == "tensorflow":
        tf.train.Checkpoint(ours).write(str(tmp_path / "values"))
        tf.train.Checkpoint(other).restore(str(tmp_path / "values"))
    else:
        groups = ours.trainable_variables, ours.non_trainable_variables
        values = [[variable.value for variable in group] for group in groups]
        assert_close(other.stateless_call(*values, data, training=False)[0], want, rtol=1e-5, atol=1e-5)
        with pytest.raises(ValueError, match="must be known"):
            other.predict(data, verbose=0)
        return
    assert_close(other.predict(data, verbose=0), want, rtol=1e-5, atol=1e-5)


def test_nested_lists_of_numbers_are_one_array():
    """Of each image only the first row was used; a table of two columns ended in an error about an empty shape."""
    for shape in ((5, 4, 4, 3), (6, 2)):
        x = np.random.default_rng(0).uniform(0, 255, shape)
        layer = ZeroCenter()
        layer.adapt(x.tolist())
        assert_close(layer.mean, x.reshape(-1, shape[-1]).mean(0), rtol=1e-5)
    with pytest.raises(TypeError, match="ZeroCenter: `data` must be an array of samples, or batches of them"):
        ZeroCenter().adapt([{"a": x}])
