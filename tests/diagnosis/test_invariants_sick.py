"""Each invariant is found violated in a program with one fault; `test_invariants_healthy.py` has the healthy ones."""

import random

import keras
import numpy as np
import pytest
from keras import layers as kl
from keras import ops
from support.watched_fit import broken, watched_fit

from keras_lecture import optimizers
from keras_lecture.diagnosis._facts.invariants import Watch, static

N = 12
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 6)).astype("float32")
IMAGES = RNG.normal(size=(N, 8, 8, 3)).astype("float32")
Y = RNG.normal(size=(N, 2)).astype("float32")
WEIGHTS = RNG.uniform(0.5, 2, (N,)).astype("float32")
COMPILED = keras.backend.backend() in ("jax", "tensorflow")


def sequential(*layers, shape=(6,), optimizer="sgd", loss="mse", **options):
    model = keras.Sequential([keras.Input(shape), *layers, kl.Dense(2, name="last")])
    model.compile(optimizer, loss, **options)
    return model


class Noisy(kl.Layer):
    """A layer from a function of its input and `training`."""

    def __init__(self, function, **options):
        super().__init__(**options)
        self.function, self.rate = function, 0.5
        self.seed_generator = keras.random.SeedGenerator(0)

    def call(self, x, training=False):
        return self.function(self, x, training)


class NoisyDropout(Noisy):
    """The same, random by its name."""


class RandomShift(Noisy):
    """The same, an augmentation by its name."""


def fixed(layer, x, training):
    return keras.random.dropout(x, 0.5, seed=1) if training else x


def fixed_always(layer, x, training):
    return keras.random.dropout(x, 0.5, seed=1)


def fixed_generator(layer, x, training):
    noise = ops.convert_to_tensor(np.random.default_rng(3).normal(size=x.shape[1:]), x.dtype)
    return x + noise if training else x


def inverted(layer, x, training):
    return x if training else keras.random.dropout(x, 0.5, seed=layer.seed_generator)


def never(layer, x, training):
    return x


def always(layer, x, training):
    return x + keras.random.normal(ops.shape(x), seed=layer.seed_generator)


def from_numpy(layer, x, training):
    return x * float(np.random.uniform(0.5, 1.5)) if training else x


def from_python(layer, x, training):
    return x + random.gauss(0, 1) if training else x


GENERATOR = np.random.default_rng(5)


def from_hidden_generator(layer, x, training):
    return x * float(GENERATOR.uniform(0.5, 1.5))


def logarithm(layer, x, training):
    return ops.log(x - x - 1.0)


def monte_carlo():
    inputs = keras.Input((6,))
    model = keras.Model(inputs, kl.Dense(2)(kl.Dropout(0.5, name="drop")(inputs, training=True)))
    model.compile("sgd", "mse")
    return model


def keeps_written_mode():
    """Whether `training=True` in a functional model counts in inference: from Keras 3.16 on."""
    inputs = keras.Input((100,))
    model = keras.Model(inputs, kl.Dropout(0.5)(inputs, training=True))
    return bool(ops.any(model(np.ones((1, 100)), training=False) == 0))


def augmented_always():
    inputs = keras.Input((8, 8, 3))
    hidden = kl.RandomRotation(0.5, name="turn")(inputs, training=True)
    model = keras.Model(inputs, kl.Dense(2)(kl.Flatten()(hidden)))
    model.compile("sgd", "mse")
    return model


class Forced(keras.Model):
    """Calls a layer in training mode, always."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.flatten, self.dense = layer, kl.Flatten(), kl.Dense(2)

    def call(self, x):
        return self.dense(self.flatten(self.layer(x, training=True)))


def forced(layer):
    model = Forced(layer)
    model(IMAGES if layer.name.startswith("random") else X)
    model.compile("sgd", "mse")
    return model


def with_fixed_base():
    base = keras.Sequential([keras.Input((6,)), kl.BatchNormalization()])
    inputs = keras.Input((6,))
    model = keras.Model(inputs, kl.Dense(2)(base(inputs, training=False)))
    model.compile("sgd", "mse")
    return model


class IgnoresWeights(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = kl.Dense(2)

    def call(self, x):
        return self.dense(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(ops.square(y - y_pred))


class IgnoresLossWeights(keras.Model):
    def __init__(self):
        super().__init__()
        self.heads = [kl.Dense(2), kl.Dense(2)]

    def call(self, x):
        return [head(x) for head in self.heads]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return sum(ops.mean(ops.square(a - b)) for a, b in zip(y, y_pred, strict=True))


class Hidden:
    def __init__(self):
        self.layer = kl.Dense(6, name="hidden")
        self.layer.build((None, 6))


class Untracked(keras.Model):
    """A layer inside an object that Keras does not look into."""

    def __init__(self):
        super().__init__()
        self.helper, self.dense = Hidden(), kl.Dense(2)

    def call(self, x):
        return self.dense(self.helper.layer(x))


class UntrackedVariable(keras.Model):
    """A variable that is a plain attribute of another object."""

    def __init__(self):
        super().__init__()
        self.dense = kl.Dense(2)
        self.helper = Hidden()
        self.helper.scale = keras.Variable(2.0, name="scale")

    def call(self, x):
        return self.dense(x * self.helper.scale)


class InferenceStep(keras.Model):
    """Calls the model in inference mode while it trains, as an own train step that forgets `training=True`."""

    def __init__(self):
        super().__init__()
        self.norm, self.drop, self.dense = kl.BatchNormalization(), kl.Dropout(0.5, seed=1), kl.Dense(2)
        self.fitting = False

    def call(self, x, training=False):
        mode = training and not self.fitting
        return self.dense(self.drop(self.norm(x, training=mode), training=mode))


class StillNormalization(kl.BatchNormalization):
    """An own normalization that never updates its statistics."""

    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, training=False)


class MovesInEvaluation(kl.Layer):
    """Statistics that move whenever the layer is called."""

    def __init__(self):
        super().__init__()
        self.norm = kl.BatchNormalization(name="norm")

    def call(self, x):
        return self.norm(x, training=True)


class AssignsFrozen(kl.Layer):
    """Assigns its weight in training, also when frozen."""

    def build(self, shape):
        self.gain = self.add_weight(shape=(shape[-1],), initializer="ones", name="gain")

    def call(self, x, training=False):
        if training:
            self.gain.assign(self.gain * 0.9)
        return x * self.gain


def assigns_frozen():
    layer = AssignsFrozen()
    layer.trainable = False
    return sequential(layer)


class Skips(keras.optimizers.SGD):
    """Leaves some weights as they are."""

    def update_step(self, gradient, variable, learning_rate):
        # On TensorFlow the step receives the framework's own variable.
        known = [v for v in self._trainable_variables if v is variable or v.value is variable]
        if "last" not in known[0].path:
            super().update_step(gradient, variable, learning_rate)


class Nothing(keras.optimizers.SGD):
    def update_step(self, gradient, variable, learning_rate):
        pass


class Uncounted(keras.optimizers.SGD):
    """Takes steps without counting them."""

    def apply(self, grads, trainable_variables=None):
        for g, v in zip(grads, trainable_variables or self._trainable_variables, strict=True):
            v.assign(v - 0.1 * g)


def unfrozen_after_building():
    model = sequential(kl.Dense(6, name="base"))
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    model.layers[0].trainable = True
    return model


def frozen_after_building():
    model = sequential(kl.Dense(6, name="base"), optimizer="adam")
    model.fit(X, Y, verbose=0)
    model.layers[0].trainable = False
    return model


def model_of(kind, **options):
    model = kind()
    model(X[:1])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **options})
    return model


BEFORE = {
    "loss": ("finite_loss", lambda: sequential(Noisy(logarithm)), X, Y),
    "hidden generator": ("repeatable_loss", lambda: sequential(Noisy(from_hidden_generator)), X, Y),
    "noise in inference": ("deterministic_inference", lambda: sequential(Noisy(always)), X, Y),
    "dropout without effect": ("random_layers_act", lambda: sequential(NoisyDropout(never)), X, Y),
    "dropout inverted": ("random_layers_act", lambda: sequential(NoisyDropout(inverted)), X, Y),
    "dropout inverted, inference": ("dropout_only_in_training", lambda: sequential(NoisyDropout(inverted)), X, Y),
    "dropout ignores training": ("dropout_only_in_training", lambda: sequential(NoisyDropout(always)), X, Y),
    "Monte Carlo dropout": ("dropout_only_in_training", lambda: forced(kl.Dropout(0.5)), X, Y),
    "functional Monte Carlo dropout": (
        "dropout_only_in_training" if keeps_written_mode() else "written_mode_kept",
        monte_carlo,
        X,
        Y,
    ),
    "augmentation ignores training": ("augmentation_only_in_training", lambda: sequential(RandomShift(always)), X, Y),
    "augmentation with training=True": (
        "augmentation_only_in_training",
        lambda: forced(kl.RandomRotation(0.5)),
        IMAGES,
        Y,
    ),
    "functional augmentation": (
        "augmentation_only_in_training" if keeps_written_mode() else "written_mode_kept",
        augmented_always,
        IMAGES,
        Y,
    ),
    "fixed seed": ("random_numbers_differ", lambda: sequential(NoisyDropout(fixed)), X, Y),
    "fixed seed in both modes": ("random_numbers_differ", lambda: sequential(NoisyDropout(fixed_always)), X, Y),
    "fixed generator": ("random_numbers_differ", lambda: sequential(NoisyDropout(fixed_generator)), X, Y),
    "sample weights": ("sample_weights_reach_loss", lambda: model_of(IgnoresWeights), X, Y, WEIGHTS),
    "loss weights": (
        "loss_weights_reach_loss",
        lambda: model_of(IgnoresLossWeights, loss=["mse", "mse"], loss_weights=[1.0, 0.1]),
        X,
        [Y, Y],
    ),
    "unfrozen": ("optimizer_has_trainable", unfrozen_after_building, X, Y),
    "frozen": ("trainable_as_compiled", frozen_after_building, X, Y),
    "untracked layer": ("weights_tracked", lambda: model_of(Untracked), X, Y),
    "untracked variable": ("weights_tracked", lambda: model_of(UntrackedVariable), X, Y),
    "own normalization": ("statistics_move", lambda: sequential(StillNormalization(name="norm")), X, Y),
    "momentum 1": ("statistics_move", lambda: sequential(kl.BatchNormalization(momentum=1.0)), X, Y),
    "statistics in inference": ("evaluation_changes_nothing", lambda: sequential(MovesInEvaluation()), X, Y),
}
if not keeps_written_mode():
    BEFORE["functional base in inference mode"] = ("written_mode_kept", with_fixed_base, X, Y)
if COMPILED:
    BEFORE["NumPy's generator"] = ("random_numbers_not_compiled", lambda: sequential(Noisy(from_numpy)), X, Y)
    BEFORE["Python's generator"] = ("random_numbers_not_compiled", lambda: sequential(Noisy(from_python)), X, Y)


@pytest.mark.parametrize("name", BEFORE)
def test_a_violation_is_found_before_training(name):
    invariant, make, x, y, *weights = BEFORE[name]
    model = make()
    before = [np.array(ops.convert_to_numpy(v)) for v in model.variables]
    facts = static(model, (x, y, *(weights or [None])))
    # An unbuilt model has its variables now.
    before = before or [np.array(ops.convert_to_numpy(v)) for v in model.variables]
    assert invariant in broken(facts, minor=True), facts
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, ops.convert_to_numpy(variable))


WHILE = {
    "one weight stays": ("weights_move", lambda: sequential(kl.Dense(6), optimizer=Skips(0.1))),
    "all weights stay": ("weights_move", lambda: sequential(kl.Dense(6), optimizer=Nothing(0.1))),
    "frozen weight assigned": ("frozen_weights_stay", assigns_frozen),
    "iterations": ("iterations_advance", lambda: sequential(optimizer=Uncounted(0.1))),
    "statistics in inference": ("evaluation_changes_nothing", lambda: sequential(MovesInEvaluation())),
}


@pytest.mark.parametrize("name", WHILE)
def test_a_violation_is_found_while_training(name):
    invariant, make = WHILE[name]
    facts = watched_fit(make(), X, Y)
    assert invariant in broken(facts, minor=True), facts


@pytest.mark.parametrize("invariant", ["statistics_move", "random_state_moves"])
def test_a_train_step_in_inference_mode_is_found(invariant):
    model = model_of(InferenceStep)
    facts = static(model, (X, Y, None))
    # The same program, but the training step of `fit` calls the model in inference mode.
    model.fitting = True
    assert invariant in broken(_watched(model, facts))


def _watched(model, facts):
    model.fit(X, Y, batch_size=4, verbose=0, callbacks=[watching := Recorder(facts)])
    return watching.watch.result()


class Recorder(keras.callbacks.Callback):
    """Snapshots of each step."""

    def __init__(self, facts):
        super().__init__()
        self.facts = facts

    def on_train_begin(self, logs=None):
        self.watch = Watch(self.model, self.facts)

    def values(self):
        # Here paths are unique, and by position works as well.
        model = self.model
        variables = [*model.trainable_variables, *model.non_trainable_variables, *model.optimizer.variables]
        return {index: np.array(ops.convert_to_numpy(v.value)) for index, v in enumerate(variables)}

    def on_train_batch_begin(self, batch, logs=None):
        self.watch.before(self.values())

    def on_train_batch_end(self, batch, logs=None):
        self.watch.after(self.values())


def test_a_weight_frozen_in_the_middle_of_a_fit_is_found():
    model = sequential(kl.Dense(6))
    watch = Watch(model)
    watch.trainable()
    assert broken(watch.result()) == []
    model.layers[0].trainable = False
    watch.trainable()
    assert broken(watch.result()) == ["trainable_as_compiled"]


def rounding(*layers, optimizer, **options):
    facts = watched_fit(sequential(*layers, optimizer=optimizer), X, Y, **options)
    return facts["updates_above_rounding"]


@pytest.mark.parametrize(
    ("expected", "dtype", "optimizer"),
    [
        (True, "float32", keras.optimizers.Adam(1e-3)),
        (True, "mixed_bfloat16", keras.optimizers.Adam(1e-5)),
        (False, "bfloat16", keras.optimizers.Adam(1e-5)),
        (False, "bfloat16", optimizers.Adam(1e-5)),
        (False, "float32", keras.optimizers.SGD(1e-9, momentum=0.9)),
        (None, "bfloat16", keras.optimizers.SGD(1e-9)),
        (None, "bfloat16", keras.optimizers.RMSprop(1e-9)),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{type(value).__name__}",
)
def test_updates_that_are_lost_in_rounding(expected, dtype, optimizer):
    """Near 0.5, bfloat16 has steps of 0.002: updates of 1e-5 are lost; float32 weights take them."""
    optimizer = type(optimizer).from_config(optimizer.get_config())
    layer = kl.Dense(4, dtype=dtype, kernel_initializer=keras.initializers.RandomUniform(0.4, 0.6))
    fact = rounding(layer, optimizer=optimizer)
    assert fact["holds"] is expected, fact
    assert expected is not False or "kernel" in fact["where"]


def test_weights_that_all_stand_still_are_more_than_rounding():
    """Keras's Adam rounds β₂ = 0.999 to 1 in bfloat16, and 1 − β₂ᵏ = 0 is a factor of its steps: nothing moves."""
    model = keras.Sequential([keras.Input((6,)), kl.Dense(2, dtype="bfloat16")])
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    assert broken(watched_fit(model, X, Y)) == ["updates_above_rounding", "weights_move"]


def test_updates_of_a_rising_rate_are_not_judged():
    warmup = keras.optimizers.schedules.CosineDecay(1e-10, 100, warmup_target=1e-3, warmup_steps=100)
    fact = rounding(kl.Dense(4, dtype="bfloat16"), optimizer=keras.optimizers.Adam(warmup))
    assert fact["holds"] is None and "rises" in fact["detail"]


def test_the_number_of_samples_is_compared():
    watch = Watch(sequential())
    watch.samples(8, 12)
    assert broken(watch.result()) == ["samples_seen"]
    watch.samples(12, 12)
    assert broken(watch.result()) == []
    watch.samples(None, 12)
    assert broken(watch.result()) == []


def test_a_model_without_a_forward_pass_is_not_judged():
    class Empty(keras.Model):
        pass

    model = Empty()
    model.compile("sgd", "mse")
    assert {fact["holds"] for fact in static(model, (X, Y, None)).values()} == {None}
