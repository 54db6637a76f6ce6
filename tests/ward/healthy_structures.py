"""Healthy models of other shapes: several inputs and outputs, autoencoders, frozen bases, adapters, shared layers."""

import keras
import numpy as np
from keras import layers, ops
from ward.healthy_data import (
    accuracy,
    clusters,
    digit_images,
    digits,
    explained,
    program,
    sequential,
    table,
)
from ward.ward import Run

import keras_lecture

ADAM = keras.optimizers.Adam
SPARSE = "sparse_categorical_crossentropy"


@program("exploding-loss", family="multi-output")
def outputs_with_very_different_loss_weights(seed):
    """A class, and a regression in raw units with a loss near 1e4 and the weight 1e-3."""
    (x, y), (x_val, y_val) = digits(seed)
    ink, ink_val = 800 * (x.mean(axis=1) - x.mean()), 800 * (x_val.mean(axis=1) - x.mean())
    inputs = keras.Input((64,))
    z = layers.Dense(64, activation="relu")(inputs)
    outputs = {"digit": layers.Dense(10, activation="softmax", name="digit")(z),
               "ink": layers.Rescaling(80.0, name="ink")(layers.Dense(1)(z))}  # fmt: skip
    model = keras.Model(inputs, outputs)
    model.compile(ADAM(3e-3), {"digit": SPARSE, "ink": "mse"}, loss_weights={"digit": 1.0, "ink": 1e-3})
    targets, targets_val = {"digit": y, "ink": ink}, {"digit": y_val, "ink": ink_val}
    parts = [accuracy(x_val, y_val, output="digit"), explained(x_val, ink_val, output="ink")]
    score = lambda model: min(part(model) for part in parts)  # noqa: E731
    return Run(model, x, targets, (x_val, targets_val), {"epochs": 10, "batch_size": 32}, score)


@program("zero-gradient", family="multi-output", held_out=True)
def auxiliary_head_in_the_middle(seed):
    """Deep supervision: a list of two outputs with the same labels."""
    (x, y), (x_val, y_val) = digits(seed)
    inputs = keras.Input((64,))
    z = layers.Dense(64, activation="relu")(inputs)
    early = layers.Dense(10, activation="softmax", name="early")(z)
    for _ in range(2):
        z = layers.Dense(64, activation="relu")(z)
    model = keras.Model(inputs, [early, layers.Dense(10, activation="softmax", name="late")(z)])
    model.compile(ADAM(2e-3), [SPARSE, SPARSE], loss_weights=[0.3, 1.0])
    run = {"epochs": 8, "batch_size": 32}
    return Run(model, x, [y, y], (x_val, [y_val, y_val]), run, accuracy(x_val, y_val, output=1))


@program("unscaled-input", family="multi-input")
def words_and_numbers(seed):
    """A dictionary of inputs: a category from 0 to 30 for an embedding, and standardized numbers."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 31, 1600).astype("int32")
    numbers = rng.normal(size=(1600, 4)).astype("float32")
    effect = rng.normal(size=31)
    y = (effect[kind] + numbers[:, 0] - numbers[:, 1] * numbers[:, 2] > 0).astype("int32")
    x, x_val = ({"kind": kind[part], "numbers": numbers[part]} for part in (slice(1200), slice(1200, None)))
    first, second = keras.Input((), dtype="int32", name="kind"), keras.Input((4,), name="numbers")
    z = layers.Concatenate()([layers.Embedding(31, 4)(first), second])
    z = layers.Dense(32, activation="relu")(z)
    model = keras.Model({"kind": first, "numbers": second}, layers.Dense(1, activation="sigmoid")(z))
    model.compile(ADAM(1e-2), "binary_crossentropy", metrics=["accuracy"])
    run = {"epochs": 12, "batch_size": 32}
    return Run(model, x, y[:1200], (x_val, y[1200:]), run, accuracy(x_val, y[1200:]))


@program("equal-units", family="multi-input", held_out=True)
def siamese_pairs(seed):
    """One encoder for both images: are the digits equal? Half of the pairs are."""
    (x, y), (x_val, y_val) = digits(seed)
    rng = np.random.default_rng(seed)

    def pairs(x, y, count):
        first = rng.integers(len(x), size=count)
        second = rng.integers(len(x), size=count)
        members = [np.flatnonzero(y == label) for label in range(10)]
        same = np.array([rng.choice(members[label]) for label in y[first]])
        second = np.where(np.arange(count) % 2, same, second)
        return [x[first], x[second]], (y[first] == y[second]).astype("float32")

    encoder = sequential((64,), layers.Dense(64, activation="relu"), layers.Dropout(0.2), layers.Dense(16))
    one, two = keras.Input((64,)), keras.Input((64,))
    distance = ops.square(encoder(one) - encoder(two))
    model = keras.Model([one, two], layers.Dense(1, activation="sigmoid")(distance))
    model.compile(ADAM(3e-3), "binary_crossentropy", metrics=["accuracy"])
    train, validation = pairs(x, y, 6000), pairs(x_val, y_val, 600)
    return Run(model, *train, validation, {"epochs": 5, "batch_size": 32}, accuracy(*validation))


@program("leaked-validation", family="autoencoder")
def target_is_the_input(seed):
    (x, _), (x_val, _) = digits(seed)
    code = [layers.Dense(48, activation="relu"), layers.Dense(16, activation="relu"), layers.Dense(48, "relu")]
    model = sequential((64,), *code, layers.Dense(64, activation="sigmoid"))
    model.compile(ADAM(5e-3), "binary_crossentropy")
    return Run(model, x, x, (x_val, x_val), {"epochs": 20, "batch_size": 32}, explained(x_val, x_val))


@program("too-little-capacity", family="autoencoder", held_out=True)
def linear_bottleneck_of_standardized_columns(seed):
    """Principal components: no activation on purpose."""
    (x, _), (x_val, _) = table("breast_cancer", seed)
    model = sequential((30,), layers.Dense(6), layers.Dense(30))
    model.compile(ADAM(5e-3), "mse")
    return Run(model, x, x, (x_val, x_val), {"epochs": 30, "batch_size": 32}, explained(x_val, x_val))


@program("dead-relu", family="autoencoder")
def denoising_convolutions(seed):
    (x, _), (x_val, _) = digit_images(seed)
    code = [layers.GaussianNoise(0.2), layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")]
    decode = [layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu")]
    model = sequential((8, 8, 1), *code, *decode, layers.Conv2D(1, 3, padding="same", activation="sigmoid"))
    model.compile(ADAM(5e-3), "mse")
    return Run(model, x, x, (x_val, x_val), {"epochs": 4, "batch_size": 32}, explained(x_val, x_val))


@program("dead-relu", family="autoencoder", held_out=True)
def sparse_code_with_an_activity_penalty(seed):
    """The penalty wants zeros: most of the code is at rest for each image."""
    (x, _), (x_val, _) = digits(seed)
    code = layers.Dense(96, activation="relu", activity_regularizer=keras.regularizers.L1(2e-4))
    model = sequential((64,), code, layers.Dense(64))
    model.compile(ADAM(3e-3), "mse")
    return Run(model, x, x, (x_val, x_val), {"epochs": 15, "batch_size": 32}, explained(x_val, x_val))


class Sampling(layers.Layer):
    """Draws a code from its mean and log variance, and adds the divergence from a standard normal."""

    def __init__(self, weight, **kwargs):
        super().__init__(**kwargs)
        self.weight, self.seeds = weight, keras.random.SeedGenerator(0)

    def call(self, inputs):
        mean, log_variance = inputs
        divergence = -0.5 * ops.sum(1 + log_variance - ops.square(mean) - ops.exp(log_variance), axis=-1)
        self.add_loss(self.weight * ops.mean(divergence))
        noise = keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=self.seeds)
        return mean + ops.exp(0.5 * log_variance) * noise


@program("too-much-regularization", family="autoencoder")
def variational_autoencoder(seed):
    """The added loss is as large as the reconstruction's by design."""
    (x, _), (x_val, _) = digits(seed)
    inputs = keras.Input((64,))
    z = layers.Dense(64, activation="relu")(inputs)
    code = Sampling(1 / 64)([layers.Dense(8)(z), layers.Dense(8, kernel_initializer="zeros")(z)])
    outputs = layers.Dense(64, activation="sigmoid")(layers.Dense(64, activation="relu")(code))
    model = keras.Model(inputs, outputs)
    model.compile(ADAM(5e-3), "binary_crossentropy")
    return Run(model, x, x, (x_val, x_val), {"epochs": 20, "batch_size": 32}, explained(x_val, x_val))


def base_of_small_digits(seed):
    """A network that has learned the digits below 5, and the parts of the others."""
    (x, y), (x_val, y_val) = digit_images(seed)
    conv = [layers.Conv2D(16, 3, activation="relu", padding="same"), layers.MaxPooling2D(), layers.Flatten()]
    base = sequential((8, 8, 1), *conv, layers.Dense(48, activation="relu"), layers.Dense(5, name="scores"))
    base.compile(ADAM(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    base.fit(x[y < 5], y[y < 5], epochs=8, batch_size=32, verbose=0)
    return base, (x[y >= 5], y[y >= 5] - 5), (x_val[y_val >= 5], y_val[y_val >= 5] - 5)


@program("frozen-layer", family="transfer")
def new_head_on_a_frozen_base(seed):
    base, train, validation = base_of_small_digits(seed)
    model = keras_lecture.models.fine_tune(base, 5)
    model.compile(ADAM(1e-2), keras_lecture.losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 12, "batch_size": 32}, accuracy(*validation))


@program("learning-rate-too-low", family="transfer", held_out=True)
def low_rank_adapters_on_a_frozen_layer(seed):
    """LoRA: the kernel of the hidden layer is frozen, and its second factor starts at zero."""
    base, train, validation = base_of_small_digits(seed)
    model = keras_lecture.models.fine_tune(base, 5)
    hidden = next(layer for layer in model.layers if getattr(layer, "units", 0) == 48)
    # In this order: `trainable = True` would thaw the kernel again.
    hidden.trainable = True
    hidden.enable_lora(4)
    model.compile(ADAM(5e-3), keras_lecture.losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 12, "batch_size": 32}, accuracy(*validation))


@program("frozen-layer", family="transfer")
def nested_base_in_inference_mode(seed):
    """A trained base with batch normalization, called with `training=False` as Keras's guide advises."""
    (x, y), (x_val, y_val) = digits(seed)
    block = [layers.Dense(64, use_bias=False), layers.BatchNormalization(momentum=0.9), layers.ReLU()]
    base = sequential((64,), *block)
    first = sequential((64,), base, layers.Dense(10, activation="softmax"))
    first.compile(ADAM(5e-3), SPARSE)
    first.fit(x, y, epochs=5, batch_size=32, verbose=0)
    base.trainable = False
    inputs = keras.Input((64,))
    z = layers.Dropout(0.2)(base(inputs, training=False))
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(z))
    model.compile(ADAM(1e-2), "binary_crossentropy")
    odd, odd_val = y % 2, y_val % 2
    return Run(model, x, odd, (x_val, odd_val), {"epochs": 12, "batch_size": 32}, accuracy(x_val, odd_val))


@program("equal-units", family="mlp", held_out=True)
def a_layer_used_three_times(seed):
    """Tied weights: one layer appears three times on the path."""
    train, validation = digits(seed)
    inputs, shared = keras.Input((64,)), layers.Dense(48, activation="tanh")
    z = layers.Dense(48, activation="tanh")(inputs)
    for _ in range(3):
        z = shared(z)
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(z))
    model.compile(ADAM(3e-3), SPARSE, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 10, "batch_size": 32}, accuracy(*validation))


@program("saturation", family="mlp")
def gated_mixture_of_experts(seed):
    """A softmax inside the net chooses among experts, and is meant to become sure."""
    train, validation = clusters(seed, distance=4.0)
    inputs = keras.Input((12,))
    gates = layers.Dense(4, activation="softmax")(inputs)
    experts = ops.stack([layers.Dense(16, activation="relu")(inputs) for _ in range(4)], axis=1)
    mixed = ops.sum(experts * ops.expand_dims(gates, -1), axis=1)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(mixed))
    model.compile(ADAM(5e-3), SPARSE, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 10, "batch_size": 32}, accuracy(*validation))
