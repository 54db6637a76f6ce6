"""`gradient_check`: the lectures' numbers, injected errors found in the right layer, and no alarm on healthy models."""

import random

import keras
import numpy as np
import pytest
from keras import layers, ops
from support.harness import BACKEND, numpy

from keras_lecture import layers as ours
from keras_lecture import losses, models
from keras_lecture.diagnosis.gradient_check import gradient_check

RNG = np.random.default_rng(11)
X, Y, LABELS = RNG.normal(size=(8, 6)), RNG.normal(size=(8, 3)), RNG.integers(0, 3, 8)
NOTHING = np.zeros((1, 1))


class Formula(keras.Model):
    """A model whose loss is a formula of its scalar weights."""

    def __init__(self, formula, **values):
        super().__init__()
        self.formula = formula
        self.scalars = {}
        for name, value in values.items():
            initializer = keras.initializers.Constant(value)
            self.scalars[name] = self.add_weight(shape=(), initializer=initializer, name=name)

    def call(self, x):
        return x

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.formula(*[ops.convert_to_tensor(w) for w in self.scalars.values()])


def derivatives(formula, **values):
    """Analytic and numeric derivatives of `formula`, of one weight at a time."""
    found = {}
    for name in values:
        model = Formula(formula, **values)
        model.build((1, 1))
        for other, weight in model.scalars.items():
            weight.trainable = other == name
        model.compile("sgd")
        (row,) = gradient_check(model, NOTHING).rows
        assert (row.verdict, row.path.rpartition("/")[2]) == ("right", name)
        found[name] = (row.analytic, row.numeric)
    return found


def test_product_of_a_sum():
    """(x + y)·z at (1, −3, 4) has the gradient (4, 4, −2)."""
    found = derivatives(lambda x, y, z: (x + y) * z, x=1.0, y=-3.0, z=4.0)
    for (analytic, numeric), expected in zip(found.values(), [4.0, 4.0, -2.0], strict=True):
        assert analytic == expected
        assert numeric == pytest.approx(expected, abs=1e-8)


def test_sigmoid_neuron():
    """σ(b + w₀x₀ + w₁x₁) with b = −3, w = (2, −3), x = (−1, −2): ∂ 0.197, (−0.197, −0.393), (0.393, −0.590)."""
    found = derivatives(
        lambda b, w0, w1, x0, x1: ops.sigmoid(b + w0 * x0 + w1 * x1), b=-3.0, w0=2.0, w1=-3.0, x0=-1.0, x1=-2.0
    )
    for pair, expected in zip(found.values(), [0.197, -0.197, -0.393, 0.393, -0.590], strict=True):
        assert [round(value, 3) for value in pair] == [expected, expected]


def test_two_layers_with_relu():
    """(w₂·max(0, w₁x) − y)² with w = (1/3, 2), x = 1, y = 0: ∂ = (8/3, 4/9)."""
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1, "relu", use_bias=False), layers.Dense(1)])
    model.set_weights([np.array([[1 / 3]]), np.array([[2.0]]), np.zeros(1)])
    model.compile("sgd", "mse")
    first, second = gradient_check(model, np.ones((1, 1)), np.zeros((1, 1)), samples=2).rows
    # The weight 1/3 is a float32 in the model.
    np.testing.assert_allclose([first.analytic, first.numeric], 8 / 3, rtol=1e-6)
    assert (first.right, second.right, second.checked) == (1, 2, 2)


def test_a_quadratic_loss_is_exact_for_every_step():
    for step in (1e-3, 0.5):
        model = keras.Sequential([keras.Input((6,)), layers.Dense(3, kernel_regularizer="l2")])
        model.compile("sgd", "mse")
        assert gradient_check(model, X, Y, step=step).worst.error < 1e-9


class Bent(layers.Layer):
    """tanh with `factor` times its derivative."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)

        @ops.custom_gradient
        def bent(x):
            def gradient(*args, upstream=None):
                upstream = args[0] if upstream is None else upstream
                return factor * upstream * (1.0 - ops.square(ops.tanh(x)))

            return ops.tanh(x), gradient

        self.bent = bent

    def call(self, x):
        return self.bent(x)


class HalfDense(layers.Dense):
    """A dense layer with half the derivative in its kernel, and the right one in its input."""

    def call(self, x):
        kernel = 0.5 * self.kernel + 0.5 * ops.stop_gradient(self.kernel)
        return ops.matmul(x, kernel) + self.bias


def chain(*middle):
    stack = [layers.Dense(5, "tanh", name="a"), *middle, layers.Dense(4, "elu", name="c"), layers.Dense(3, name="d")]
    model = keras.Sequential([keras.Input((6,)), *stack])
    model.compile("sgd", losses.SoftmaxCrossEntropy())
    return model


def verdicts(found):
    return {row.layer: row.verdict for row in found.rows}


@pytest.mark.parametrize("factor", [-1.0, 1.01, 0.0])
def test_a_wrong_derivative_of_an_activation_is_found_behind_the_last_wrong_layer(factor):
    found = gradient_check(chain(layers.Dense(5, name="b"), Bent(factor, name="bent")), X, LABELS, samples=2)
    assert verdicts(found) == {"a": "wrong", "b": "wrong", "c": "right", "d": "right"}
    assert found.suspects == ["b", "bent"]
    assert not found.is_right
    assert found.worst.error == pytest.approx(abs(factor - 1) / max(abs(factor), 1), rel=1e-3)
    assert found.precision == "float64"
    assert "Look first at: b, bent." in str(found)


def test_the_right_derivative_of_an_activation_is_right():
    found = gradient_check(chain(Bent(1.0)), X, LABELS, samples=2)
    assert found.is_right
    assert found.suspects == []


def test_a_wrong_derivative_of_a_kernel_is_found_in_its_layer_alone():
    found = gradient_check(chain(HalfDense(5, name="b"), layers.Activation("tanh")), X, LABELS, samples=2)
    assert verdicts(found) == {"a": "right", "b": "wrong", "c": "right", "d": "right"}
    assert found.suspects == ["b"]
    assert found.worst.path.rpartition("[")[0].endswith("b/kernel")
    assert found.worst.analytic == pytest.approx(found.worst.numeric / 2, rel=1e-6)


def test_a_gradient_that_is_not_finite_is_wrong():
    """log |w − 1| at 1 under a mask: the loss is finite and smooth, the gradient is NaN."""
    model = Formula(lambda w: w + ops.where(w > 0.5, ops.zeros_like(w), ops.log(ops.abs(w - 1.0))), w=1.0)
    model.build((1, 1))
    model.compile("sgd")
    row = gradient_check(model, NOTHING).worst
    assert (row.verdict, row.error) == ("wrong", np.inf)
    assert row.numeric == pytest.approx(1.0, abs=1e-6)


def images(*stack):
    return keras.Sequential([keras.Input((8, 8, 2)), *stack, layers.GlobalAveragePooling2D(), layers.Dense(3)])


def norms():
    stack = [layers.Conv2D(3, 3, activation="relu"), ours.BatchNormalization(), layers.MaxPooling2D()]
    return images(*stack, layers.BatchNormalization(), layers.Dropout(0.3), ours.GroupNormalization(1))


def recurrent():
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 4, mask_zero=True)(inputs)
    x = layers.GRU(3, return_sequences=True)(x)
    return keras.Model(inputs, layers.Dense(3)(layers.LSTM(3)(x)))


def attention():
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 4, mask_zero=True)(inputs)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 3)(x, x))
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def shared():
    """A shared layer, a nested model that is called twice, and weights of the model itself."""
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, "gelu"), layers.Dense(4, "softplus")])
    inputs, both = keras.Input((6,)), layers.Dense(4)
    first = inner(both(inputs))
    return keras.Model(inputs, layers.Dense(3)(layers.add([inner(first), both(keras.ops.flip(inputs, axis=1))])))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.scale = self.add_weight(shape=(6,), initializer="ones", name="scale")
        self.stack = [layers.Dense(4, "swish"), ours.Maxout(4), layers.Dense(3)]

    def call(self, x, training=None):
        x = x * self.scale
        for layer in self.stack:
            x = layer(x)
        self.add_loss(0.01 * ops.sum(ops.square(x)))
        return x


TOKENS, IMAGES = RNG.integers(0, 7, (4, 5)), RNG.normal(size=(4, 8, 8, 2))
FAMILIES = {
    "norms": (norms, IMAGES),
    "recurrent": (recurrent, TOKENS),
    "attention": (attention, TOKENS),
    "shared": (shared, X[:4]),
    "subclassed": (Subclassed, X[:4]),
    "mlp": (lambda: models.mlp((6,), 3, units=(5, 4)), X[:4]),
    "resnet": (lambda: models.resnet(8, (8, 8, 2), 3, width=0.25), IMAGES),
}
SMALL = sorted(set(FAMILIES) - {"resnet"})
# Keras 3.15 computes the scores of attention in float32 on JAX.
OWN_PRECISION = {"attention"} if BACKEND == "jax" else set()


@pytest.mark.parametrize(
    ("family", "training"), [("norms", False), ("resnet", True), *((family, family == "norms") for family in SMALL)]
)
def test_healthy_models_give_no_alarm(family, training):
    make, x = FAMILIES[family]
    model = make()
    model.compile("adam", losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
    found = gradient_check(model, x, LABELS[:4], samples=2, training=training)
    assert found.is_right, str(found)
    assert found.precision == ("float32" if family in OWN_PRECISION else "float64"), found.note
    assert sum(row.right for row in found.rows) >= 0.9 * sum(row.checked for row in found.rows)
    assert max(map(len, str(found).splitlines())) <= 80


def test_several_inputs_outputs_losses_and_weights():
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    shared = layers.Dense(4, "tanh", kernel_regularizer="l2")
    heads = {"label": layers.Dense(3)(shared(a)), "value": layers.Dense(3)(shared(b))}
    model = keras.Model({"a": a, "b": b}, heads)
    model.compile(
        "sgd", {"label": losses.SoftmaxCrossEntropy(), "value": "mae"}, loss_weights={"value": 0.1, "label": 2}
    )
    y, weight = {"label": LABELS, "value": Y}, RNG.uniform(size=8)
    found = gradient_check(model, {"a": X, "b": X[::-1]}, y, {"label": weight, "value": weight}, samples=3)
    assert found.is_right
    assert len(found.rows) == 3
    assert found.precision == "float64"


def kinked():
    """All units at the kink of ReLU: kernel and bias are zero."""
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4, "relu", kernel_initializer="zeros"), layers.Dense(3)])
    model.compile("sgd", "mse")
    return model


def test_a_kink_is_no_wrong_gradient():
    found = gradient_check(kinked(), X, Y)
    assert found.worst.verdict == "kink"
    assert found.is_right
    assert found.suspects == []


def test_a_wrong_gradient_beside_a_kink_is_wrong():
    model = kinked()
    wrong = keras.Sequential([keras.Input((6,)), model.layers[0], Bent(-1.0), model.layers[1]])
    wrong.compile("sgd", "mse")
    assert gradient_check(wrong, X, Y).worst.verdict == "wrong"


def test_a_tie_of_max_pooling_is_right_or_a_kink():
    model = images(layers.Conv2D(2, 3), layers.MaxPooling2D())
    model.compile("sgd", losses.SoftmaxCrossEntropy())
    assert gradient_check(model, np.ones((2, 8, 8, 2)), LABELS[:2], samples=2).is_right


class Cast(layers.Layer):
    """Its output has a type of its own."""

    def __init__(self, to, **kwargs):
        super().__init__(**kwargs)
        self.to = to

    def call(self, x):
        return ops.cast(x, self.to)


@pytest.mark.parametrize("to", ["float32", "bfloat16", "float16"])
def test_a_layer_in_low_precision_widens_the_tolerance(to):
    found = gradient_check(chain(Cast(to, name="low")), X, LABELS, samples=2)
    assert found.is_right
    assert found.precision == to
    assert 1e-5 < found.tolerance < 0.3
    assert found.note.startswith("Not in float64, because low casts")
    wrong = gradient_check(chain(Bent(-1.0), Cast(to)), X, LABELS, samples=2)
    assert verdicts(wrong) == {"a": "wrong", "c": "right", "d": "right"}


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_checked_in_float64(policy):
    keras.config.set_dtype_policy(policy)
    found = gradient_check(chain(), X, LABELS, samples=2)
    assert (found.precision, found.is_right) == ("float64", True)
    assert keras.config.dtype_policy().name == policy


class Strict(layers.Layer):
    """Takes float32 alone."""

    def call(self, x):
        if keras.backend.standardize_dtype(x.dtype) != "float32":
            raise TypeError("float32 is expected")
        return ops.sin(x)


def test_a_model_that_refuses_float64_is_checked_in_its_own_precision():
    found = gradient_check(chain(Strict()), X, LABELS, samples=2)
    assert (found.precision, found.is_right) == ("float32", True)
    assert "float64 failed (TypeError: float32 is expected" in found.note
    wrong = gradient_check(chain(layers.Dense(5, name="b"), Bent(-1.0, name="bent"), Strict(name="s")), X, LABELS)
    assert verdicts(wrong) == {"a": "wrong", "b": "wrong", "c": "right", "d": "right"}


def test_the_model_and_the_random_state_are_unchanged():
    model = chain(layers.BatchNormalization(), layers.Dropout(0.3))
    model.compile("adam", losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
    model.fit(X, LABELS, verbose=0)
    policies = [layer.dtype_policy for layer in model.layers]
    variables = [*model.variables, *model.metrics_variables, *model.optimizer.variables]
    before = [(v.dtype, numpy(v)) for v in variables]
    settings = keras.config.floatx(), keras.config.dtype_policy()
    state = random.getstate(), np.random.get_state(legacy=False)["state"]["pos"]
    for training in (False, True):
        gradient_check(model, X, LABELS, samples=2, training=training)
    assert (random.getstate(), np.random.get_state(legacy=False)["state"]["pos"]) == state
    assert (keras.config.floatx(), keras.config.dtype_policy()) == settings
    assert [layer.dtype_policy for layer in model.layers] == policies
    for variable, (dtype, value) in zip(variables, before, strict=True):
        assert variable.dtype == dtype
        np.testing.assert_array_equal(numpy(variable), value)
    assert keras.backend.standardize_dtype(model(X).dtype) == "float32"
    assert keras.losses.MeanSquaredError().dtype == "float32"
    model.fit(X, LABELS, verbose=0)


def test_the_same_seed_gives_the_same_result():
    model = chain(layers.Dropout(0.5))
    assert gradient_check(model, X, LABELS, training=True) == gradient_check(model, X, LABELS, training=True)


def test_rejects():
    with pytest.raises(TypeError, match="gradient_check: `model` must be a Keras model"):
        gradient_check(lambda x: x, X, Y)
    with pytest.raises(ValueError, match="gradient_check: `model` must be compiled"):
        gradient_check(keras.Sequential([keras.Input((6,)), layers.Dense(3)]), X, Y)
    model = chain()
    with pytest.raises(ValueError, match="gradient_check: `samples` must be a whole number in"):
        gradient_check(model, X, LABELS, samples=0)
    with pytest.raises(ValueError, match="gradient_check: `step` must be in"):
        gradient_check(model, X, LABELS, step=0.0)
    with pytest.raises(TypeError, match="gradient_check: `training` must be True or False"):
        gradient_check(model, X, LABELS, training=1)
    with pytest.raises(ValueError, match="gradient_check: `model` must be a model with a finite loss"):
        gradient_check(model, X * np.nan, LABELS)
    model.trainable = False
    model.compile("sgd", losses.SoftmaxCrossEntropy())
    with pytest.raises(ValueError, match="a model with trainable weights"):
        gradient_check(model, X, LABELS)
