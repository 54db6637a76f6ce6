"""`weight_decay` and `l1`: their effect, and the variables that they act on."""

import keras
import numpy as np
import pytest
from support.harness import bound, numpy
from support.noisy_quadratic import RULES, run, variables

from keras_lecture import optimizers
from keras_lecture._core.weights import role


@keras.saving.register_keras_serializable("tests")
def only_first_layers(variable):
    return "first" in variable.path


def _network():
    inputs = keras.Input((6, 5))
    x = keras.layers.MultiHeadAttention(2, 3, name="attention")(inputs, inputs)
    x = keras.layers.LayerNormalization(axis=(1, 2), name="unbiased_normalization")(x)
    x = keras.layers.GRU(4, name="bias_gru")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dense(3, name="unbiased_dense")(x)
    return keras.Model(inputs, x)


def test_kernels_are_told_from_biases_and_gains_by_the_name_and_shape_of_the_variable():
    kernels = {v.path for v in _network().trainable_variables if role(v.name, v.shape) == "kernel"}
    # Two-axis biases of attention and GRU and two-axis gains are no kernels; "bias" in a layer's name does not matter.
    assert {path.split("/", 1)[-1] for path in kernels} == {
        "query/kernel",
        "key/kernel",
        "value/kernel",
        "attention_output/kernel",
        "gru_cell/kernel",
        "gru_cell/recurrent_kernel",
        "kernel",
    }


def _without_gradients(optimizer, dtype="float32"):
    ws = variables(dtype)
    before = [numpy(w) for w in ws]
    return before, run(optimizer, ws, 1, gradient=lambda weights, k: [0 * w for w in weights])


@pytest.mark.parametrize("rule", RULES)
def test_weight_decay_shrinks_kernels_and_leaves_biases_alone(rule):
    before, after = _without_gradients(getattr(optimizers, rule)(0.5, weight_decay=0.2))
    for old, new, factor in zip(before, after, (0.9, 1.0, 1.0, 0.9), strict=True):
        np.testing.assert_allclose(new, factor * old, rtol=1e-6)


def test_penalize_all_leaves_nothing_out():
    before, after = _without_gradients(optimizers.SGD(0.5, weight_decay=0.2, penalize="all"))
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(new, 0.9 * old, rtol=1e-6)


def _two_dense():
    return keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(3, name="first"), keras.layers.Dense(1, name="second")]
    )


def test_the_choice_of_variables_survives_saving_and_loading(tmp_path):
    model = _two_dense()
    optimizer = optimizers.Adam(0.1, weight_decay=0.5, penalize=only_first_layers)
    optimizer.exclude_from_weight_decay(var_list=[model.layers[0].bias])
    model.compile(bound(optimizer, model), "mse")
    x = np.zeros((4, 3), "float32")
    model.fit(x, x[:, :1], verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.get_config() == optimizer.get_config()
    assert loaded.optimizer._penalized == optimizer._penalized == [(True, True), (False, True), *[(False, False)] * 2]


def test_exclusions_by_name_are_saved_and_raise_after_building():
    optimizer = optimizers.SGD(0.5, weight_decay=0.2, penalize="all")
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer = optimizers.SGD.from_config(optimizer.get_config())
    before, after = _without_gradients(optimizer)
    for old, new, factor in zip(before, after, (0.9, 1.0, 1.0, 0.9), strict=True):
        np.testing.assert_allclose(new, factor * old, rtol=1e-6)
    with pytest.raises(ValueError, match="before the optimizer is built"):
        optimizer.exclude_from_weight_decay(var_names=["kernel"])


@pytest.mark.parametrize("rule", RULES)
def test_l1_leaves_exact_zeros_in_kernels_and_none_in_biases_and_never_flips_a_sign(rule):
    def constant(weights, k):
        return [0.1 + 0 * w for w in weights]

    # An adaptive rule's step size is ten times larger here: η/0.1. RectifiedAdam does not adapt in its first steps.
    adapts = rule in ("AdaGrad", "RMSProp", "Adam")
    optimizer = getattr(optimizers, rule)(1e-3, l1=10.0 if adapts else 100.0)
    ws = variables("float32")
    before = [numpy(w) for w in ws]
    after = run(optimizer, ws, 3, gradient=constant)
    free = run(type(optimizer)(1e-3), variables("float32"), 3, gradient=constant)
    for i in (0, 3):
        assert 0 < np.count_nonzero(after[i]) < after[i].size
        moved = np.abs(before[i]) > 0.05
        assert np.all(after[i][moved] * before[i][moved] >= 0)
    for i in (1, 2):
        np.testing.assert_allclose(after[i], free[i], rtol=1e-6)


def test_the_weight_decay_of_keras_is_not_applied_on_top():
    # `weight_decay` is Keras's argument too: its base class would decay a second time.
    _, after = _without_gradients(optimizers.SGD(1.0, weight_decay=0.5, penalize="all"))
    before, _ = _without_gradients(optimizers.SGD(1.0))
    np.testing.assert_allclose(after[0], 0.5 * before[0], rtol=1e-6)


def test_an_initializer_says_nothing_about_variables():
    """In a file, one in place of the function never came to an end on JAX, where the variable was read as a shape."""
    with pytest.raises(ValueError, match="penalize"):
        optimizers.SGD(penalize=keras.initializers.Zeros())
