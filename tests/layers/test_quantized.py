"""Layers with an inner layer under `quantize`, LoRA, saving and cloning: correct, or rejected with an error.

`model.quantize("int8")` quantizes the layer inside a wrapper. DropConnect still called `layer.call`, which used the
integers as the kernel (outputs wrong by a factor of 200); weight normalization replaced the kernel, so that nothing was
quantized and the saved file did not load; the config of Maxout lacked the new dtype.
"""

import re
import warnings

import keras
import numpy as np
import pytest
from support.harness import assert_close, numpy

from keras_lecture.layers import DropConnect, Maxout, MaxoutConv2D, ResidualBlock, WeightNormalization

k = keras.layers
X = np.random.default_rng(0).normal(size=(6, 8)).astype("float32")
IMAGES = np.random.default_rng(1).normal(size=(3, 5, 5, 4)).astype("float32")

# The wrappers, and the layers that they wrap.
KINDS = {
    "DropConnect": lambda dense: DropConnect(dense, rate=0.3, seed=1),
    "DropConnect of a sample": lambda dense: DropConnect(dense, rate=0.3, per="sample", seed=1),
    "TimeDistributed": lambda dense: k.TimeDistributed(DropConnect(dense, rate=0.3, seed=1)),
}
INNER = {
    "Dense": lambda: k.Dense(4, activation="tanh"),
    "EinsumDense": lambda: k.EinsumDense("na,ab->nb", 4, bias_axes="b"),
    "Maxout": lambda: Maxout(4, pieces=3),
}
MODES = ["int8", "int4", "float8"]
CASES = [("DropConnect", inner) for inner in INNER] + [
    ("DropConnect of a sample", "Dense"),
    ("TimeDistributed", "Dense"),
]


def sequential(layer, x):
    return keras.Sequential([keras.Input(x.shape[1:]), layer])


def quantized(model, mode):
    with warnings.catch_warnings():
        # Keras warns of every layer without kernels, and NumPy once.
        warnings.simplefilter("ignore")
        model.quantize(mode)
    return model


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("wrapper", "inner"), CASES)
def test_a_quantized_wrapper_equals_the_quantized_layer_and_saves(mode, wrapper, inner, tmp_path):
    """Oracle: Keras's own layer with the same weights, quantized without the wrapper; the same operations."""
    x = X[:, None] if wrapper == "TimeDistributed" else X
    model, plain = sequential(KINDS[wrapper](INNER[inner]()), x), sequential(INNER[inner](), x)
    plain.set_weights([numpy(v) for v in model.trainable_variables])
    quantized(model, mode)
    quantized(plain, mode)
    assert_close(model(x), numpy(plain(x)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(loaded(x), numpy(model(x)))


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_a_wrapper_with_an_integer_kernel_rejects_training(mode):
    model = quantized(sequential(DropConnect(k.Dense(4, name="inner"), rate=0.3), X), mode)
    with pytest.raises(ValueError, match=r"DropConnect: `training` must be False after `quantize`(.|\n)*`inner`"):
        model(X, training=True)


def test_float8_training_drops_connections():
    """Oracle: the kernel with the mask of the first call, given to Keras's quantized layer."""
    wrapped, free = (sequential(DropConnect(k.Dense(4), rate=0.3, seed=1), X) for _ in range(2))
    free.set_weights(wrapped.get_weights())
    with_mask = numpy(free.layers[0](np.eye(8, dtype="float32"), training=True))
    plain = sequential(k.Dense(4), X)
    plain.set_weights([with_mask, np.zeros(4)])
    quantized(wrapped, "float8")
    quantized(plain, "float8")
    assert_close(wrapped(X, training=True), numpy(plain(X, training=True)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("inner", INNER)
def test_weight_normalization_is_not_quantized_and_warns(mode, inner, tmp_path, capsys):
    """Quantizing v would not quantize w. Oracle: the outputs before; the layer from `remove()` can be quantized."""
    layer = WeightNormalization(INNER[inner](), data_init=False)
    model = sequential(layer, X)
    before = numpy(model(X))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.quantize(mode)
    ours = r"WeightNormalization\(.*\): `mode` must be None.*`remove\(\)`"
    warned = any(re.match(ours, str(w.message)) for w in caught)
    # Keras 3.16 lists the layers that it skips instead.
    assert warned or re.search(r"weight_normalization: no quantize support", capsys.readouterr().out)
    assert_close(model(X), before)
    model.save(tmp_path / "model.keras")
    assert_close(keras.saving.load_model(tmp_path / "model.keras")(X), before)
    plain = quantized(keras.Sequential([keras.Input((8,)), layer.remove()]), mode)
    np.testing.assert_allclose(numpy(plain(X)), before, atol=0.2 * np.abs(before).max())


@pytest.mark.parametrize("mode", MODES)
def test_maxout_is_quantized_saved_and_cloned(mode, tmp_path):
    """Oracle: the outputs before, within the rounding of 4 bits; after saving and cloning the same numbers."""
    model = sequential(Maxout(4, pieces=3), X)
    before = numpy(model(X))
    after = numpy(quantized(model, mode)(X))
    np.testing.assert_allclose(after, before, atol=0.2 * np.abs(before).max())
    assert not np.array_equal(after, before)
    model.save(tmp_path / "model.keras")
    assert_close(keras.saving.load_model(tmp_path / "model.keras")(X), after)
    clone = keras.models.clone_model(model)
    # With float8 the order of Keras's variables differs between a loaded layer and one that was quantized in memory.
    if mode != "float8":
        clone.set_weights(model.get_weights())
        assert_close(clone(X), after)


LORA = {
    "DropConnect": (lambda: DropConnect(k.Dense(4), rate=0.3, seed=1), X),
    "Maxout": (lambda: Maxout(4), X),
    "MaxoutConv2D": (lambda: MaxoutConv2D(4, 3), IMAGES),
    "ResidualBlock": (lambda: ResidualBlock(6), IMAGES),
}


@pytest.mark.parametrize("name", LORA)
def test_lora_is_added_and_saved(name, tmp_path):
    make, x = LORA[name]
    model = sequential(make(), x)
    before = numpy(model(x))
    for layer in model._flatten_layers():
        if hasattr(layer, "enable_lora"):
            layer.enable_lora(2)
            layer.lora_kernel_b.assign(np.random.default_rng(3).normal(size=layer.lora_kernel_b.shape))
    after = numpy(model(x))
    assert not np.allclose(after, before)
    model.save(tmp_path / "model.keras")
    assert_close(keras.saving.load_model(tmp_path / "model.keras")(x), after, atol=1e-5)
    if name != "ResidualBlock":
        # The config of a block does not include changes of its layers: Keras rejects the list of weights.
        clone = keras.models.clone_model(model)
        clone.set_weights(model.get_weights())
        assert_close(clone(x), after)


def test_two_maxout_layers_from_one_config_have_the_same_lora():
    """The first `from_config` took the entry of the linear layer out of the caller's config."""
    layer = Maxout(4)
    layer.build((None, 3))
    layer.linear.enable_lora(2)
    config = layer.get_config()
    assert [Maxout.from_config(config).linear.lora_rank for _ in range(2)] == [2, 2]


def test_drop_connect_drops_connections_of_the_kernel_and_lora_together():
    """Oracle: a layer without LoRA whose kernel is W + BA, with the same mask."""
    layer, plain = (DropConnect(k.Dense(4), rate=0.3, seed=1) for _ in range(2))
    layer.build(X.shape)
    plain.build(X.shape)
    layer.layer.enable_lora(2)
    layer.layer.lora_kernel_b.assign(np.random.default_rng(3).normal(size=(2, 4)))
    plain.layer.set_weights([numpy(layer.layer.kernel), np.zeros(4)])
    assert_close(layer(X, training=True), numpy(plain(X, training=True)))
    assert layer.layer.lora_enabled


def test_weight_normalization_rejects_lora_and_layers_that_have_it():
    """Saving adds BA to v, and loading would normalize the sum: a different kernel."""
    layer = WeightNormalization(k.Dense(4))
    layer.build(X.shape)
    with pytest.raises(ValueError, match=r"WeightNormalization\(.*\): `rank` must be None.*`remove\(\)`"):
        layer.layer.enable_lora(2)
    with pytest.raises(ValueError, match="`layer` must be a layer without LoRA"):
        WeightNormalization(k.Dense(4, lora_rank=2))
    with pytest.raises(ValueError, match="`layer` must be a layer that is not quantized"):
        WeightNormalization(k.Dense(4, dtype="int8_from_float32"))


def test_a_wrapper_of_a_quantized_layer_is_not_quantized_itself():
    layer = DropConnect(k.Dense(4, dtype="int8_from_mixed_bfloat16"), rate=0.3)
    assert layer.dtype_policy.name == "mixed_bfloat16" and layer.layer.quantization_mode == "int8"
    assert keras.backend.standardize_dtype(layer(X).dtype) == "bfloat16"
