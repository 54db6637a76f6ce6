"""Optimizers that evaluate the loss, under `fit`, against the training step of Keras."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from support.harness import BACKEND, numpy

from keras_lecture import optimizers
from keras_lecture._core.objective import Objective, loss_on
from keras_lecture.layers import Dropout
from keras_lecture.optimizers import Armijo

RNG = np.random.default_rng(5)
X = RNG.normal(size=(24, 4)).astype("float32")
Y = (X @ RNG.normal(size=(4, 1)) + 0.1 * RNG.normal(size=(24, 1))).astype("float32")
CLASSES = (Y[:, 0] > 0).astype("int32")


def regression(optimizer=None, seed=0, dropout=0.3, **settings):
    keras.utils.set_random_seed(seed)
    hidden = [layers.Dense(5, "tanh"), *([Dropout(dropout, seed=7)] if dropout else []), layers.Dense(1)]
    model = keras.Sequential([keras.Input((4,)), *hidden])
    return compiled(model, optimizer or Armijo(), **settings)


def compiled(model, optimizer, loss="mse", **settings):
    optimizer = optimizer.bind(model) if hasattr(optimizer, "bind") else optimizer
    model.compile(optimizer, loss, **settings)
    return model


def fit(model, epochs=2, **settings):
    return model.fit(X, Y, batch_size=8, epochs=epochs, shuffle=False, verbose=0, **settings).history


def values(variables):
    return [numpy(v) for v in variables]


def assert_same(actual, expected, **tolerance):
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, **(tolerance or {"rtol": 1e-6, "atol": 1e-7}))


# Logs and state of a step


def everything(optimizer):
    """Two outputs, one of them masked; dropout, batch statistics, penalties on weights and on activities."""
    keras.utils.set_random_seed(1)
    words = keras.Input((5,), dtype="int32")
    embedded = layers.Embedding(6, 4, mask_zero=True)(words)
    hidden = layers.Dense(4, "tanh", kernel_regularizer="l2", activity_regularizer="l1")(embedded)
    hidden = layers.Dropout(0.3, seed=2)(hidden)
    tags = layers.Dense(3, name="tags")(hidden)
    pooled = layers.BatchNormalization()(layers.GlobalAveragePooling1D()(hidden))
    model = keras.Model(words, [tags, layers.Dense(1, name="mark")(pooled)])
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    settings = {"loss_weights": [1.0, 0.5], "metrics": ["accuracy", "mae"], "weighted_metrics": [[], ["mse"]]}
    return compiled(model, optimizer, [cross_entropy, "mse"], **settings)


def test_a_step_has_the_logs_and_the_state_of_keras():
    """Sample weights, two outputs, masks, dropout, batch normalization, regularizers: the first logs and state."""
    words = RNG.integers(0, 6, size=(8, 5))
    targets = [RNG.integers(0, 3, size=(8, 5)), RNG.normal(size=(8, 1)).astype("float32")]
    weights = [RNG.random(shape).astype("float32") for shape in ((8, 5), (8,))]
    ours, keras_own = everything(Armijo()), everything(keras.optimizers.SGD(0.0))
    logs = [m.train_on_batch(words, targets, sample_weight=weights, return_dict=True) for m in (ours, keras_own)]
    assert set(logs[0]) - set(logs[1]) == {"step_size", "evaluations"}
    for name, value in logs[1].items():
        np.testing.assert_allclose(float(logs[0][name]), float(value), rtol=1e-5, err_msg=name)
    assert_same(values(ours.non_trainable_variables), values(keras_own.non_trainable_variables), rtol=1e-5)
    after = ours.train_on_batch(words, targets, sample_weight=weights, return_dict=True)
    assert float(after["step_size"]) > 0


def test_class_weights_count_and_validation_has_no_step():
    model = regression(Armijo(reset=1), dropout=0, loss="binary_crossentropy")
    history = model.fit(
        X, CLASSES, batch_size=24, epochs=2, class_weight={0: 3.0, 1: 0.5}, validation_data=(X, CLASSES), verbose=0
    ).history
    plain = regression(keras.optimizers.SGD(1e-9), dropout=0, loss="binary_crossentropy")
    expected = plain.fit(X, CLASSES, batch_size=24, class_weight={0: 3.0, 1: 0.5}, verbose=0).history["loss"]
    np.testing.assert_allclose(history["loss"][0], expected[0], rtol=1e-5)
    assert history["loss"][1] < history["loss"][0]
    assert set(history) == {"loss", "step_size", "evaluations", "val_loss"}


def test_every_evaluation_of_a_step_uses_the_same_dropout_and_the_stream_advances_once():
    """A dropout without a seed draws from PyTorch's global generators on PyTorch, past the state of the layer."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((4,)), layers.Dropout(0.5), layers.Dense(1)])
    model.compile("sgd", "mse")
    state = [v.value for v in model.non_trainable_variables]
    weights = [v.value for v in model.trainable_variables]

    def loss():
        return loss_on(model, (ops.convert_to_tensor(X), ops.convert_to_tensor(Y)), state)

    def evaluated(times):
        keras.utils.set_random_seed(4)
        objective = Objective(loss(), "float32")
        losses = [float(objective.value(weights)) for _ in range(times)]
        losses.append(float(objective.value_and_gradients(weights)[0]))
        return losses, float(numpy(loss()(weights)[0]))

    (losses, after), (_, after_one) = evaluated(3), evaluated(0)
    np.testing.assert_allclose(losses, losses[0], rtol=1e-6)
    assert after == after_one
    if BACKEND == "torch":
        assert after != losses[0]


# Compilation


def test_compiled_and_eager_steps_agree_and_several_steps_in_one_execution():
    modes = [{"run_eagerly": True}, {"jit_compile": False}]
    # PyTorch compiles only with a C++ toolchain, and takes one step per execution.
    modes += [] if BACKEND == "torch" else [{"jit_compile": True, "steps_per_execution": 3}]
    runs = []
    for mode in modes:
        model = regression(**mode)
        history = fit(model, epochs=1)
        runs.append([*values(model.variables), np.array(history["step_size"]), np.array(history["loss"])])
    for run in runs[1:]:
        assert_same(run, runs[0], rtol=2e-5, atol=1e-6)


def test_the_second_step_compiles_nothing():
    traces = []

    class Traced(Armijo):
        def search(self, *args):
            traces.append(1)
            return super().search(*args)

    model = regression(Traced())
    fit(model, epochs=1)
    first = len(traces)
    fit(model, epochs=2)
    assert len(traces) == (first if BACKEND != "torch" else 9)


# Kinds of models


class Subclassed(keras.Model):
    """Built by its first batch, with a custom loss in the signature before Keras 3.3 and no `training` argument."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, x):
        self.add_loss(0.01 * ops.mean(ops.square(x)))
        return self.dense(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return ops.mean(ops.abs(y - y_pred)) + sum(self.losses)


def test_a_subclassed_model_with_a_custom_loss_trains():
    keras.utils.set_random_seed(0)
    model = compiled(Subclassed(), Armijo(), None)
    losses = fit(model, epochs=4)["loss"]
    expected = np.mean(np.abs(Y - numpy(model(X)))) + 0.01 * np.mean(X**2)
    assert losses[-1] < 0.5 * losses[0]
    np.testing.assert_allclose(losses[-1], expected, rtol=0.3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_and_float16_scales_the_loss(policy):
    keras.config.set_dtype_policy(policy)
    model = regression(dropout=0)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (policy == "mixed_float16")
    losses = fit(model, epochs=5)["loss"]
    assert losses[-1] < 0.5 * losses[0]
    reference = fit_in_float32()
    np.testing.assert_allclose(losses, reference, rtol=0.1)


def fit_in_float32():
    keras.config.set_dtype_policy("float32")
    return fit(regression(dropout=0), epochs=5)["loss"]


def test_a_gradient_that_overflows_float16_skips_the_step_and_lowers_the_scale():
    keras.config.set_dtype_policy("mixed_float16")
    model = regression(keras.optimizers.LossScaleOptimizer(Armijo(), initial_scale=1e30), dropout=0)
    model.optimizer.inner_optimizer.bind(model)
    before = values(model.trainable_variables)
    logs = model.train_on_batch(X, Y, return_dict=True)
    assert (float(logs["step_size"]), int(logs["evaluations"])) == (0.0, 1)
    assert_same(values(model.trainable_variables), before)
    np.testing.assert_allclose(float(numpy(model.optimizer.dynamic_scale)), 0.5e30, rtol=1e-6)


def test_the_moving_average_of_the_weights_is_that_of_the_path():
    path, plain = [], regression()
    for _ in range(3):
        plain.train_on_batch(X, Y)
        path.append(values(plain.trainable_variables))
    averaged = regression(Armijo(use_ema=True, ema_momentum=0.5))
    averaged.fit(X, Y, batch_size=24, epochs=3, shuffle=False, verbose=0)
    expected = [0.25 * a + 0.25 * b + 0.5 * c for a, b, c in zip(*path, strict=True)]
    assert_same(values(averaged.trainable_variables), expected, rtol=1e-5, atol=1e-6)


def test_static_loss_scaling_changes_nothing():
    runs = [regression(Armijo(loss_scale_factor=scale), dropout=0) for scale in (None, 1024.0)]
    assert_same(*[[fit(model)["loss"], *values(model.trainable_variables)] for model in runs])


def test_constraints_hold_after_a_step():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1, kernel_constraint=keras.constraints.UnitNorm())])
    fit(compiled(model, Armijo()))
    np.testing.assert_allclose(np.linalg.norm(numpy(model.layers[0].kernel)), 1.0, rtol=1e-5)


# Saving


def test_a_saved_model_is_bound_again_and_continues_bit_for_bit(tmp_path):
    for direction in ("gradient", "adam"):
        # Our dropout saves its random stream; that of Keras 3.15 does not save how often it has drawn.
        model = regression(Armijo(direction=direction))
        fit(model)
        model.save(tmp_path / "model.keras")
        expected = fit(model)
        with pytest.raises(ValueError, match="model.optimizer.bind"):
            fit(keras.models.load_model(tmp_path / "model.keras"))
        loaded = keras.models.load_model(tmp_path / "model.keras")
        loaded.optimizer.bind(loaded)
        assert fit(loaded) == expected
        for a, b in zip(values(loaded.variables), values(model.variables), strict=True):
            np.testing.assert_array_equal(a, b)


# Binding


def test_the_error_of_an_unbound_optimizer_shows_the_line_to_write():
    for optimizer, cause in [(Armijo(), "not bound to the model"), (Armijo().bind(regression()), "bound to another")]:
        # A new model each time: Keras 3.15 on JAX loses the weights of a model whose first step raises.
        model = regression(keras.optimizers.SGD(0.1))
        model.compile(optimizer, "mse")
        with pytest.raises(ValueError, match=cause + r".*model.compile\(Armijo\(…\).bind\(model\), …\)"):
            fit(model)


def test_binding_after_keras_has_made_its_train_function_is_early_enough():
    model = regression(keras.optimizers.SGD(0.1))
    model.compile(Armijo(), "mse")
    model.make_train_function()
    model.optimizer.bind(model)
    assert fit(model)["step_size"][-1] > 0


def test_compiling_with_another_optimizer_restores_the_train_step_of_keras():
    trained = []
    for detour in (True, False):
        model = regression(Armijo() if detour else keras.optimizers.SGD(0.1))
        if detour:
            weights = model.get_weights()
            fit(model)
            model.set_weights(weights)
        # The detour advanced the seeds of the layers.
        for v in model.non_trainable_variables:
            v.assign(np.zeros(v.shape, v.dtype))
        compiled(model, keras.optimizers.SGD(0.1))
        assert set(fit(model)) == {"loss"}
        trained.append(values(model.variables))
    for a, b in zip(*trained, strict=True):
        np.testing.assert_array_equal(a, b)


def test_arguments_models_and_wrappers_that_contradict_a_search_raise():
    for argument, value in [("clipnorm", 1.0), ("gradient_accumulation_steps", 2), ("weight_decay", 0.1)]:
        with pytest.raises(ValueError, match=f"Armijo: `{argument}` must be left out"):
            Armijo(**{argument: value})

    class OwnStep(Subclassed):
        def train_step(self, *args):
            return super().train_step(*args)

    with pytest.raises(ValueError, match="override `compute_loss` instead"):
        Armijo().bind(OwnStep())
    with pytest.raises(TypeError, match="Armijo: `model` must be a Keras model"):
        Armijo().bind(layers.Dense(1))
    model = regression()
    fit(model)
    model.layers[0].trainable = False
    with pytest.raises(ValueError, match="After freezing or unfreezing layers"):
        compiled(model, model.optimizer)
        fit(model)
    with pytest.raises(ValueError, match="Lookahead: `optimizer` must be an optimizer that takes gradients"):
        optimizers.Lookahead(Armijo().bind(model))


# Losses that are not finite


class Cliff(keras.Model):
    """The loss (w − 1)², NaN for w > `edge`."""

    def __init__(self, edge, start=0.0):
        super().__init__()
        self.w = self.add_weight(shape=(), initializer=keras.initializers.Constant(start))
        self.edge = edge

    def call(self, x):
        return x + self.w

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        outside = ops.relu(self.w - self.edge)
        return ops.square(self.w - 1.0) + 0.0 * ops.log(ops.where(outside > 0, -1.0, 1.0) + 0.0 * outside)


def one_step(model, optimizer):
    compiled(model, optimizer, None)
    return {name: float(value) for name, value in model.train_on_batch(X[:1], Y[:1], return_dict=True).items()}


def test_a_loss_that_is_not_finite_shrinks_the_step():
    """From w = 0 with slope −2: 8 → 16, 4 → 8, …, ⅛ → ¼ is the first within the edge at 0.3."""
    model = Cliff(edge=0.3)
    logs = one_step(model, Armijo(8.0))
    assert logs == {"loss": 1.0, "step_size": 0.125, "evaluations": 8.0}
    assert float(numpy(model.w)) == 0.25


def test_without_a_step_that_reduces_the_loss_the_weights_stay_and_the_logs_say_so():
    inside, outside = Cliff(edge=0.0), Cliff(edge=0.0, start=0.5)
    logs = one_step(inside, Armijo(direction="adam"))
    assert (logs["step_size"], float(numpy(inside.w))) == (0.0, 0.0)
    assert logs["evaluations"] == 36  # the start, the first step and 34 halvings down to 1e-10
    # From a NaN loss only the first step is tried.
    logs = one_step(outside, Armijo(direction="adam"))
    assert (logs["step_size"], logs["evaluations"], float(numpy(outside.w))) == (0.0, 2.0, 0.5)
    assert all(np.isfinite(v).all() for v in values(outside.optimizer.variables))


# Private Keras


def test_the_private_hooks_of_keras_that_a_search_uses_exist():
    model = regression()
    for hook in ("_loss_tracker", "_symbolic_build"):
        assert hasattr(model, hook), f"Keras {keras.__version__} has no Model.{hook}: see _search/closure.py."
    for hook in ("_update_model_variables_moving_average", "_overwrite_variable_with_gradient"):
        assert hasattr(model.optimizer, hook), f"Keras {keras.__version__} has no Optimizer.{hook}: see closure.py."
