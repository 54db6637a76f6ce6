"""Penalties, and `penalize` on built models."""

import keras
import numpy as np
import pytest
from support.harness import BACKEND, assert_close, numpy

from keras_lecture import models
from keras_lecture._backend import value_and_grad
from keras_lecture._core.weights import weights
from keras_lecture.constraints import MaxNorm, constrain
from keras_lecture.regularizers import L1, L2, penalize

layers = keras.layers


def total(model):
    return sum(float(numpy(loss)) for loss in model.losses)


def test_the_numbers_of_deck_c_and_d():
    c = [[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]]
    assert [float(L2(1.0)(keras.ops.convert_to_tensor(w))) for w in (*c, c)] == [1.0, 0.25, 1.25]
    sparse, spread = (keras.ops.convert_to_tensor(w) for w in ([0.0, 0.75, 0.0], [0.25, 0.5, 0.25]))
    assert (float(L2(1.0)(sparse)), float(L2(1.0)(spread))) == (0.5625, 0.375)
    assert (float(L1(1.0)(sparse)), float(L1(1.0)(spread))) == (0.75, 1.0)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4)])
def test_matches_closed_form(shape, dtype):
    """Oracle: NumPy float64, values and gradients."""
    w = np.random.default_rng(0).standard_normal(shape)
    x = keras.ops.convert_to_tensor(w, dtype)
    for penalty, value, gradient in (
        (L1(0.3), 0.3 * np.abs(w).sum(), 0.3 * np.sign(w)),
        (L2(0.3), 0.3 * np.square(w).sum(), 0.6 * w),
    ):
        (actual, _), [slope] = value_and_grad(lambda v, penalty=penalty: (penalty(v[0]), ()))([x])
        assert_close(actual, value, dtype)
        assert_close(slope, gradient, dtype)


def test_the_gradient_of_l1_at_zero_is_zero():
    """On JAX the gradient of abs at 0 is 1, and Keras's L1 changes weights that are zero."""
    x = keras.ops.convert_to_tensor([0.0, -0.0, 1.0, -1.0])
    _, [slope] = value_and_grad(lambda v: (L1(2.0)(v[0]), ()))([x])
    assert numpy(slope).tolist() == [0.0, 0.0, 2.0, -2.0]


@pytest.mark.parametrize("penalty", [L1(1.0), L2(1.0)])
def test_half_precision_weights_are_summed_in_float32(penalty):
    """70 000 ones exceed float16's largest number; `keras.regularizers` returns inf for them."""
    w = keras.ops.ones((70_000,), dtype="float16")
    assert float(penalty(w)) == 70_000
    theirs = getattr(keras.regularizers, type(penalty).__name__)(1.0)
    assert float(theirs(w)) == float("inf")


@pytest.mark.parametrize("factor", [-1, float("nan"), float("inf"), "much", None, True])
@pytest.mark.parametrize("make", [L1, L2])
def test_rejects(make, factor):
    with pytest.raises((ValueError, TypeError), match=f"{make.__name__}: `factor` must be .* Received: factor="):
        make(factor)


def attention_model():
    x = keras.Input((6, 4))
    y = layers.MultiHeadAttention(2, 3, name="attention")(x, x)
    y = layers.Bidirectional(layers.GRU(3, return_sequences=True))(y)
    y = layers.TimeDistributed(layers.Dense(4))(y)
    y = layers.LayerNormalization(axis=[1, 2])(y)
    y = layers.EinsumDense("abc,cde->abde", (6, 2, 3), bias_axes="de")(y)
    y = layers.PReLU()(y)
    return keras.Model(x, y)


def image_model():
    x = keras.Input((8, 8, 4))
    y = layers.SeparableConv2D(4, 3, padding="same")(x)
    y = layers.BatchNormalization()(y)
    inner = keras.Sequential([keras.Input((8, 8, 4)), layers.Conv2D(4, 3, padding="same"), layers.DepthwiseConv2D(3)])
    shared = layers.Conv2D(4, 1)
    y = shared(y)
    y = inner(shared(y))
    y = layers.Conv2DTranspose(2, 3)(y)
    return keras.Model(x, layers.Flatten()(y))


def text_model():
    cells = layers.StackedRNNCells([layers.LSTMCell(3), layers.GRUCell(4)])
    return keras.Sequential([keras.Input((5,)), layers.Embedding(7, 3), layers.RNN(cells), layers.Dense(1)])


class Subclassed(keras.Model):
    """A model with a sublayer and its own weights, one of them in a list."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3)
        self.mix = self.add_weight(shape=(3, 3), name="beta_bias")
        self.offset = self.add_weight(shape=(3,), name="kernel")
        self.more = [self.add_weight(shape=(3, 2), name="gamma")]

    def call(self, x):
        return keras.ops.matmul(keras.ops.matmul(self.dense(x), self.mix) + self.offset, self.more[0])


def subclassed_model():
    model = Subclassed()
    model(np.zeros((1, 4), "float32"))
    return model


# The shapes of the kernels, counted by hand from the layers' documentation.
KERNELS = {
    attention_model: [(4, 2, 3)] * 3 + [(2, 3, 4)] + [(4, 9), (3, 9)] * 2 + [(6, 4), (4, 2, 3)],
    image_model: [(3, 3, 4, 1), (1, 1, 4, 4), (3, 3, 4, 4), (3, 3, 4, 1), (1, 1, 4, 4), (3, 3, 2, 4)],
    text_model: [(7, 3), (3, 12), (3, 12), (3, 12), (4, 12), (4, 1)],
    subclassed_model: [(4, 3), (3, 3), (3, 2)],
}


@pytest.mark.parametrize("make", KERNELS, ids=lambda make: make.__name__)
def test_kernels_are_penalized_once_each_and_biases_and_gains_are_not(make):
    """Despite misleading names ("beta_bias"), bias matrices (GRU, attention) and gains of rank 2."""
    model = make()
    paths = penalize(model, L2(0.5))
    chosen = [weight.variable for weight in weights(model) if weight.variable.regularizer is not None]
    assert sorted(tuple(variable.shape) for variable in chosen) == sorted(KERNELS[make])
    assert sorted(paths) == sorted(variable.path for variable in chosen)
    assert len(model.losses) == len(KERNELS[make])
    assert_close(total(model), 0.5 * sum(np.square(numpy(variable)).sum() for variable in chosen))
    penalize(model, None)
    assert model.losses == []


@pytest.mark.parametrize("make", [attention_model, image_model, text_model], ids=lambda make: make.__name__)
def test_the_penalty_survives_saving_and_cloning(make, tmp_path):
    model = make()
    penalize(model, L1(0.25))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert len(loaded.losses) == len(KERNELS[make])
    assert_close(total(loaded), total(model))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_close(total(clone), total(model))
    penalize(model, None)
    assert keras.models.clone_model(model).losses == []


def test_blocks_keep_the_penalty_when_saved_cloned_and_fine_tuned(tmp_path):
    """A loaded block created its convolutions without a penalty: 94 % of the penalty of a residual network was lost."""
    model = models.resnet(8, (8, 8, 1), 3, width=0.25)
    kernels = penalize(model, L2(0.5))
    penalize(model, L1(0.25), "biases")
    constrain(model, MaxNorm(2.0))
    model.save(tmp_path / "model.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for other in (keras.saving.load_model(tmp_path / "model.keras"), clone, keras.models.clone_model(clone)):
        other.set_weights(model.get_weights())
        assert len(other.losses) == len(model.losses) > len(kernels)
        assert_close(total(other), total(model))
        for old, new in zip(weights(model), weights(other), strict=True):
            assert getattr(old.variable.constraint, "axis", None) == getattr(new.variable.constraint, "axis", None)
    tuned = models.fine_tune(model, 7)
    for layer in tuned.layers:
        layer.trainable = True
    assert len(tuned.losses) == len(model.losses)
    penalize(model, None, "all")
    constrain(model, None)
    assert "attached" not in model.layers[3].get_config()


def test_the_config_of_a_subclassed_model_does_not_hold_the_penalty(tmp_path):
    """Its constructor creates the layers, a limitation that the docstring states."""
    model = keras.Sequential([keras.Input((4,)), keras.saving.register_keras_serializable("test")(Subclassed)()])
    penalize(model, L2(0.5))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.losses == []
    penalize(loaded, L2(0.5))
    assert_close(total(loaded), total(model))


def test_where_selects_by_name_or_predicate():
    model = image_model()
    assert penalize(model, L2(1.0), where=lambda variable: len(variable.shape) == 1 and "norm" in variable.path) == [
        "batch_normalization/gamma",
        "batch_normalization/beta",
    ]
    assert all("norm" not in path for path in penalize(model, L2(1.0), where="biases"))
    everything = penalize(model, L2(1.0), where="all")
    assert sorted(everything) == sorted(variable.path for variable in model.trainable_variables)


def test_a_call_replaces_the_regularizer():
    """Also one from the layer's constructor."""
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, kernel_initializer="ones", kernel_regularizer="l2")])
    penalize(model, L2(3.0))
    penalize(model, L1(3.0))
    assert total(model) == 6.0


def test_a_frozen_weight_counts_once_it_is_trainable_again():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, kernel_initializer="ones")])
    model.layers[0].trainable = False
    penalize(model, L2(1.0))
    assert total(model) == 0
    model.layers[0].trainable = True
    assert total(model) == 2


# On PyTorch both values would train eagerly.
@pytest.mark.parametrize("jit_compile", ["auto"] if BACKEND == "torch" else [True, False])
def test_a_compiled_model_is_retraced_with_the_penalty(jit_compile):
    """The loss without, with, without and again with the penalty. Oracle: one SGD step on λΣw² alone."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
    x, y = np.zeros((4, 3), "float32"), np.zeros((4, 2), "float32")
    assert model.train_on_batch(x, y) == 0
    assert model.test_on_batch(x, y) == 0
    penalize(model, L2(0.5))
    assert_close(model.train_on_batch(x, y), 3.0)
    assert_close(model.layers[0].kernel, np.full((3, 2), 0.9))
    assert_close(model.test_on_batch(x, y), 3 * 0.9**2)
    penalize(model, None)
    assert model.train_on_batch(x, y) == 0
    penalize(model, L2(0.5))
    assert_close(model.fit(x, y, verbose=0).history["loss"], [3 * 0.9**2])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16"])
def test_low_precision_penalizes_without_overflow(policy):
    """90 000 ones, in the loss of a compiled step."""
    keras.config.set_dtype_policy(policy)
    model = keras.Sequential([keras.Input((300,)), layers.Dense(300, kernel_initializer="ones")])
    penalize(model, L2(1.0))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    assert model.evaluate(np.zeros((2, 300), "float32"), np.zeros((2, 300), "float32"), verbose=0) == 90_000


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        (("model", L2()), "model"),
        ((keras.Sequential([layers.Dense(2)]), L2()), "model"),
        ((None, 1e-4), "regularizer"),
        ((None, "l2"), "regularizer"),
        ((None, L2(), "kernel"), "where"),
        ((None, L2(), 3), "where"),
        ((None, L2(), lambda variable: False), "where"),
    ],
)
def test_penalize_rejects(arguments, argument):
    model, *rest = arguments
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)]) if model is None else model
    with pytest.raises((ValueError, TypeError), match=f"penalize: `{argument}` must be .* Received: {argument}="):
        penalize(model, *rest)
