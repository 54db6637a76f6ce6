"""Healthy programs violate no invariant, in whatever way they are written."""

import keras
import numpy as np
import pytest
from keras import layers as kl
from keras import ops
from support.watched_fit import broken, watched_fit

from keras_lecture import layers as ours
from keras_lecture import optimizers
from keras_lecture.callbacks import TerminateOnNonFinite
from keras_lecture.diagnosis._facts.invariants import static

N = 12
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 6)).astype("float32")
IMAGES = RNG.normal(size=(N, 8, 8, 3)).astype("float32")
TEXT = RNG.integers(0, 9, (N, 5))
SEQUENCES = RNG.normal(size=(N, 5, 3)).astype("float32")
Y = RNG.normal(size=(N, 2)).astype("float32")
LABELS = RNG.integers(0, 2, (N,))
WEIGHTS = RNG.uniform(0.5, 2, (N,)).astype("float32")
ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def sequential(*layers, shape=(6,), optimizer="sgd", loss="mse", **options):
    model = keras.Sequential([keras.Input(shape), *layers])
    model.compile(optimizer, loss, **options)
    return model


def mlp(optimizer="sgd", **options):
    return sequential(kl.Dense(5, "relu"), kl.Dense(2), optimizer=optimizer, **options)


def normalized(layer, optimizer="sgd"):
    return sequential(kl.Dense(5, use_bias=False), layer, kl.ReLU(), kl.Dense(2), optimizer=optimizer)


def shared():
    inputs = keras.Input((6,))
    layer = kl.Dense(6, "tanh")
    model = keras.Model(inputs, kl.Dense(2)(kl.Dropout(0.5)(layer(layer(inputs)))))
    model.compile("adam", "mse")
    return model


def transfer():
    base = keras.Sequential([keras.Input((6,)), kl.Dense(5), kl.BatchNormalization(), kl.Dropout(0.5)])
    base.trainable = False
    inputs = keras.Input((6,))
    model = keras.Model(inputs, kl.Dense(2)(base(inputs, training=False)))
    model.compile(keras.optimizers.AdamW(0.1, weight_decay=0.1), "mse")
    return model


def transfer_unfrozen():
    model = transfer()
    model.fit(X, Y, verbose=0)
    model.trainable = True
    model.compile("adam", "mse")
    return model


def frozen_normalization():
    model = normalized(kl.BatchNormalization())
    model.layers[1].trainable = False
    model.compile("adam", "mse")
    return model


def two_outputs(weights):
    inputs = keras.Input((6,))
    hidden = kl.Dense(4, "relu", name="hidden")(inputs)
    model = keras.Model(inputs, {name: kl.Dense(2, name=name)(hidden) for name in "ab"})
    model.compile("sgd", {"a": "mse", "b": "mae"}, loss_weights=weights)
    return model


class Subclassed(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.first, self.norm, self.drop = kl.Dense(5), kl.BatchNormalization(), kl.Dropout(0.5)
        self.heads = {"last": [kl.Dense(2)]}

    def call(self, x, training=None):
        return self.heads["last"][0](self.drop(self.norm(self.first(x), training=training), training=training))


def subclassed(kind=Subclassed, **options):
    model = kind()
    model.compile(**{"optimizer": "adam", "loss": "mse", **options})
    return model


class CustomStep(Subclassed):
    """The loop of Keras's guides, on every backend through the standard one."""

    def train_step(self, *args, **kwargs):
        return super().train_step(*args, **kwargs)


class CustomLoss(Subclassed):
    """A mean weighted by the sample weights."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        losses = ops.mean(ops.square(y - y_pred), -1)
        weights = ops.ones_like(losses) if sample_weight is None else sample_weight
        return ops.sum(weights * losses) / ops.sum(weights)


class Sampling(kl.Layer):
    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(1)

    def call(self, x):
        return x + keras.random.normal(ops.shape(x), seed=self.seed_generator)


class Codebook(kl.Layer):
    """A weight that is no parameter and moves in every call: a moving average."""

    def build(self, shape):
        self.embeddings = self.add_weight(shape=(shape[-1],), initializer="zeros", trainable=False)

    def call(self, x, training=False):
        if training:
            self.embeddings.assign(0.9 * self.embeddings + 0.1 * ops.mean(x, 0))
        return x - self.embeddings


class RandomFeatures(kl.Layer):
    """A fixed random projection: random by name alone."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], shape[-1]), initializer="normal", trainable=False)

    def call(self, x):
        return ops.cos(x @ self.kernel)


class DropPath(kl.Layer):
    """As many write it: a seed generator of its own, a rate that may be 0."""

    def __init__(self, drop_prob=0.5):
        super().__init__()
        self.drop_prob = drop_prob
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, x, training=None):
        if not training or self.drop_prob == 0:
            return x
        shape = (ops.shape(x)[0],) + (1,) * (len(x.shape) - 1)
        keep = 1 - self.drop_prob
        return x / keep * ops.floor(keep + keras.random.uniform(shape, seed=self.seed_generator))


class Tied(keras.Model):
    """An embedding whose matrix is the output layer, too."""

    def __init__(self):
        super().__init__()
        self.embedding, self.norm = kl.Embedding(9, 4), kl.LayerNormalization()

    def call(self, tokens):
        hidden = self.norm(self.embedding(tokens))
        return ops.matmul(hidden, ops.transpose(self.embedding.embeddings))


class Experts(keras.Model):
    """Only one of the experts sees a sample."""

    def __init__(self):
        super().__init__()
        self.experts = [kl.Dense(2) for _ in range(3)]

    def call(self, x):
        gate = ops.cast(x[:, :1] > 100, x.dtype)
        return (1 - gate) * self.experts[0](x) + gate * self.experts[1](x) + 0 * self.experts[2](x)


def lora():
    model = sequential(kl.Dense(5, "relu", name="base"), kl.Dense(2))
    model.layers[0].enable_lora(2)
    model.compile("adam", "mse")
    return model


def with_policy(policy, optimizer):
    keras.config.set_dtype_policy(policy)
    return sequential(kl.Dense(5), kl.BatchNormalization(), kl.Dropout(0.2), kl.Dense(2), optimizer=optimizer)


def bound(kind, **options):
    model = keras.Sequential([keras.Input((6,)), kl.Dense(5, "tanh"), kl.Dropout(0.2), kl.Dense(2)])
    model.compile(kind(**options).bind(model), "mse")
    return model


def attention():
    tokens = keras.Input((5,))
    hidden = kl.Embedding(9, 4, mask_zero=True)(tokens)
    hidden = hidden + kl.MultiHeadAttention(2, 2, dropout=0.3)(hidden, hidden)
    model = keras.Model(tokens, kl.Dense(2)(kl.GlobalAveragePooling1D()(kl.LayerNormalization()(hidden))))
    model.compile("adam", "mse")
    return model


def images(*layers):
    head = (kl.Conv2D(4, 3, activation="relu"), kl.GlobalAveragePooling2D(), kl.Dense(2))
    return sequential(*layers, *head, shape=(8, 8, 3), optimizer="adam")


def penalized():
    penalty = {"kernel_regularizer": "l2", "activity_regularizer": "l1", "kernel_constraint": "non_neg"}
    return sequential(kl.Dense(5, "relu", **penalty), kl.Dense(2, kernel_constraint=keras.constraints.UnitNorm()))


def schedule(**options):
    return keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.0, 10, warmup_target=0.1, warmup_steps=4))


# Keras 3.15 takes one step per execution on PyTorch.
STEPS = 1 if keras.backend.backend() == "torch" else 3

HEALTHY = {
    "sequential": (mlp, X, Y),
    "adam": (lambda: mlp("adam"), X, Y),
    "shared layers": (shared, X, Y),
    "batch normalization": (lambda: normalized(kl.BatchNormalization()), X, Y),
    "our normalization": (lambda: normalized(ours.BatchNormalization(statistics="population")), X, Y),
    "frozen normalization": (frozen_normalization, X, Y),
    "frozen base, weight decay": (transfer, X, Y),
    "fine-tuning": (transfer_unfrozen, X, Y),
    "loss weights": (lambda: two_outputs({"a": 1.0, "b": 0.5}), X, {"a": Y, "b": Y}),
    "a loss weight of 0": (lambda: two_outputs({"a": 0.0, "b": 1.0}), X, {"a": Y, "b": Y}),
    "subclassed": (subclassed, X, Y),
    "own train step": (lambda: subclassed(CustomStep), X, Y),
    "own loss, weighted": (lambda: subclassed(CustomLoss), X, Y, WEIGHTS),
    "own loss": (lambda: subclassed(CustomLoss), X, Y),
    "sample weights": (mlp, X, Y, WEIGHTS),
    "sample weights of 1": (mlp, X, Y, np.ones(N, "float32")),
    "equal losses": (lambda: sequential(kl.Dense(2, kernel_initializer="zeros"), loss=ENTROPY), X, LABELS, WEIGHTS),
    "class weights": (lambda: sequential(kl.Dense(2), loss=ENTROPY), X, LABELS, None, {"class_weight": {0: 1, 1: 5}}),
    "sampling": (lambda: sequential(kl.Dense(4), Sampling(), kl.Dense(2)), X, Y),
    "codebook": (lambda: sequential(Codebook(), kl.Dense(2)), X, Y),
    "random features": (lambda: sequential(RandomFeatures(), kl.Dense(2)), X, Y),
    "stochastic depth": (lambda: sequential(DropPath(), DropPath(0.0), kl.Dense(2)), X, Y),
    "our dropping": (
        lambda: sequential(ours.DropConnect(kl.Dense(5), rate=0.5), ours.Dropout(0.2, scaling="test"), kl.Dense(2)),
        X,
        Y,
    ),
    "all noise": (
        lambda: sequential(kl.GaussianDropout(0.2), kl.AlphaDropout(0.2), kl.GaussianNoise(0.1), kl.Dense(2)),
        X,
        Y,
    ),
    "no rate": (lambda: sequential(kl.Dropout(0), kl.GaussianNoise(0), kl.Dense(2)), X, Y),
    "tied weights": (lambda: subclassed(Tied, loss=ENTROPY), TEXT, TEXT),
    "experts": (lambda: subclassed(Experts), X, Y),
    "attention": (attention, TEXT, Y),
    "recurrent": (
        lambda: sequential(kl.LSTM(4, dropout=0.2, recurrent_dropout=0.2), kl.Dense(2), shape=(5, 3)),
        SEQUENCES,
        Y,
    ),
    "in a loop": (
        lambda: sequential(kl.TimeDistributed(kl.Dropout(0.5)), kl.Bidirectional(kl.GRU(2)), kl.Dense(2), shape=(5, 3)),
        SEQUENCES,
        Y,
    ),
    "augmentation": (lambda: images(kl.RandomFlip(), kl.RandomRotation(0.1), kl.SpatialDropout2D(0.3)), IMAGES, Y),
    "our augmentation": (lambda: images(ours.RandomCropFlip(6, 6), ours.Jitter(0.1)), IMAGES, Y),
    "LoRA": (lora, X, Y),
    "mixed float16": (lambda: with_policy("mixed_float16", "adam"), X, Y),
    "mixed bfloat16": (lambda: with_policy("mixed_bfloat16", "adam"), X, Y),
    "bfloat16": (lambda: with_policy("bfloat16", keras.optimizers.SGD(1e-5)), X, Y),
    "accumulation": (lambda: mlp(keras.optimizers.SGD(0.1, gradient_accumulation_steps=4)), X, Y),
    "accumulation over two": (lambda: mlp(keras.optimizers.Adam(0.1, gradient_accumulation_steps=2)), X, Y),
    "moving average": (lambda: mlp(keras.optimizers.SGD(0.1, use_ema=True, ema_overwrite_frequency=2)), X, Y),
    "swapped average": (
        lambda: mlp(keras.optimizers.SGD(0.1, use_ema=True)),
        X,
        Y,
        None,
        {"callbacks": [keras.callbacks.SwapEMAWeights()]},
    ),
    "warm-up from 0": (lambda: mlp(schedule()), X, Y),
    "learning rate 0": (lambda: mlp(keras.optimizers.SGD(0.0)), X, Y),
    "clipping": (lambda: mlp(keras.optimizers.Adam(global_clipnorm=1e-3)), X, Y),
    "constraints": (penalized, X, Y),
    "Lookahead": (lambda: mlp(optimizers.Lookahead(optimizers.SGD(0.1))), X, Y),
    "l1": (lambda: mlp(optimizers.SGD(0.1, l1=10.0)), X, Y),
    "Nesterov": (lambda: bound(optimizers.Nesterov), X, Y),
    "Armijo": (lambda: bound(optimizers.Armijo), X, Y),
    "L-BFGS": (lambda: bound(optimizers.LBFGS), X, Y),
    "several steps per execution": (lambda: mlp("adam", steps_per_execution=STEPS), X, Y),
    "eager": (lambda: mlp("adam", run_eagerly=True), X, Y),
    "integer targets": (lambda: sequential(kl.Dense(2), loss=ENTROPY), X, LABELS),
    "spectral normalization": (lambda: sequential(kl.SpectralNormalization(kl.Dense(4)), kl.Dense(2)), X, Y),
    "no optimizer": (lambda: sequential(kl.Rescaling(2.0), kl.Dense(2), optimizer="sgd"), X, Y),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_program_violates_nothing(name):
    make, x, y, *rest = HEALTHY[name]
    weights, options = (rest + [None, {}])[:2] if len(rest) < 2 else rest
    model = make()
    before = None
    if model.built:
        before = [ops.convert_to_numpy(v) for v in model.variables]
    facts = watched_fit(model, x, y, weights, **(options or {}))
    assert before is None or len(before) == len(model.variables)
    assert broken(facts) == [], {key: facts[key] for key in broken(facts)}
    assert not [fact for fact in facts.values() if "Error" in fact["detail"]]


def test_a_layer_that_changes_its_input_in_place_is_repeatable():
    """On PyTorch `RandomBrightness` of Keras 3.15 adds to its input; each pass gets a copy of the batch."""
    model = sequential(kl.RandomBrightness(0.3, value_range=(0.0, 1.0)), kl.Flatten(), kl.Dense(2), shape=(4, 4, 3))
    images = ops.convert_to_tensor(np.random.default_rng(0).uniform(size=(8, 4, 4, 3)).astype("float32"))
    before = np.array(ops.convert_to_numpy(images))
    facts = static(model, (images, ops.convert_to_tensor(np.zeros((8, 2), "float32")), None))
    assert facts["repeatable_loss"]["holds"] is True
    np.testing.assert_array_equal(ops.convert_to_numpy(images), before)


def test_weights_that_are_not_finite_do_not_count_as_unmoved():
    """A run that diverged had a second alarm, `weights_move`, because nan remains nan."""
    model = mlp()
    model.layers[0].kernel.assign(np.full((6, 5), np.nan, "float32"))
    assert broken(watched_fit(model, X, Y)) == ["finite_loss"]


def test_an_optimizer_whose_step_is_skipped_does_not_count_it():
    """`TerminateOnNonFinite` skips the step of a batch that is not finite, and its count with it."""
    labels = Y.copy()
    labels[0] = np.nan
    facts = watched_fit(mlp("adam"), X, labels, callbacks=[TerminateOnNonFinite()], shuffle=False)
    assert broken(facts, minor=True) == ["finite_loss"]
