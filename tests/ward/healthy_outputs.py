"""Healthy heads: hinge losses, sigmoids with several labels, smoothed labels, linear models, saturated outputs."""

import keras
import numpy as np
from keras import layers
from ward.healthy_data import (
    accuracy,
    clusters,
    crescents,
    digits,
    explained,
    program,
    rings,
    sequential,
    split,
    surface,
    table,
)
from ward.ward import Run

from keras_lecture import losses

ADAM = keras.optimizers.Adam


def one_hot(part, classes):
    x, y = part
    return x, keras.utils.to_categorical(y, classes).astype("float32")


@program("too-little-capacity", family="linear")
def logistic_regression(seed):
    train, validation = table("breast_cancer", seed)
    model = sequential((30,), layers.Dense(1, activation="sigmoid"))
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 12, "batch_size": 32}, accuracy(*validation))


@program("symmetric-units", family="linear")
def softmax_regression_from_zero(seed):
    """Zeros are the customary start of a convex model."""
    train, validation = digits(seed)
    model = sequential((64,), layers.Dense(10, activation="softmax", kernel_initializer="zeros"))
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 12, "batch_size": 32}, accuracy(*validation))


@program("zero-gradient", family="mlp", held_out=True)
def last_layer_starts_at_zero(seed):
    """All kernels but the last have no gradient in the first step."""
    train, validation = digits(seed, standardize=True)
    head = layers.Dense(10, activation="softmax", kernel_initializer="zeros")
    model = sequential((64,), layers.Dense(64, activation="relu"), head)
    model.compile(ADAM(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 8, "batch_size": 32}, accuracy(*validation))


@program("output-loss-mismatch", family="mlp")
def exclusive_or_with_squared_error(seed):
    """Four rows, a sigmoid and the squared error, as in every introduction."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
    y = np.array([[0], [1], [1], [0]], "float32")
    model = sequential((2,), layers.Dense(16, activation="tanh"), layers.Dense(1, activation="sigmoid"))
    model.compile(ADAM(0.1), "mse")
    return Run(model, x, y, None, {"epochs": 200, "batch_size": 4}, explained(x, y))


@program("output-loss-mismatch", family="mlp")
def two_units_with_softmax_and_binary_cross_entropy(seed):
    """Over two exclusive classes this is the categorical cross entropy."""
    train, validation = (one_hot(part, 2) for part in crescents(seed))
    model = sequential((2,), layers.Dense(32, activation="relu"), layers.Dense(2, activation="softmax"))
    model.compile(ADAM(1e-2), "binary_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 15, "batch_size": 32}, accuracy(*validation))


@program("label-mismatch", family="linear")
def hinge_with_labels_of_both_signs(seed):
    (x, y), (x_val, y_val) = table("breast_cancer", seed)
    y, y_val = 2.0 * y - 1.0, 2.0 * y_val - 1.0
    model = sequential((30,), layers.Dense(1))
    model.compile(keras.optimizers.SGD(0.02), "hinge")
    run = {"epochs": 12, "batch_size": 32}
    return Run(model, x, y, (x_val, y_val), run, accuracy(x_val, y_val, threshold=0.0))


@program("label-mismatch", family="mlp", held_out=True)
def squared_hinge_with_a_tanh_output(seed):
    (x, y), (x_val, y_val) = rings(seed)
    y, y_val = 2.0 * y - 1.0, 2.0 * y_val - 1.0
    model = sequential((2,), layers.Dense(32, activation="relu"), layers.Dense(1, activation="tanh"))
    model.compile(ADAM(1e-2), "squared_hinge")
    run = {"epochs": 15, "batch_size": 32}
    return Run(model, x, y, (x_val, y_val), run, accuracy(x_val, y_val, threshold=0.0))


@program("output-loss-mismatch", family="mlp")
def multiclass_hinge_on_scores(seed):
    train, validation = digits(seed)
    model = sequential((64,), layers.Dense(64, activation="relu"), layers.Dense(10))
    model.compile(ADAM(2e-3), losses.MulticlassHinge())
    return Run(model, *train, validation, {"epochs": 8, "batch_size": 32}, accuracy(*validation))


@program("output-loss-mismatch", family="mlp")
def several_labels_with_sigmoids(seed):
    """Six labels, not exclusive: parity, size and bits of a digit."""
    (x, y), (x_val, y_val) = digits(seed)

    def labels(y):
        return np.stack([y % 2, y >= 5, y % 3 == 0, y & 1, y & 2, y & 4], axis=1).astype(bool).astype("float32")

    model = sequential((64,), layers.Dense(96, activation="relu"), layers.Dense(6, activation="sigmoid"))
    model.compile(ADAM(3e-3), "binary_crossentropy", metrics=["binary_accuracy"])
    run = {"epochs": 12, "batch_size": 32}
    return Run(model, x, labels(y), (x_val, labels(y_val)), run, explained(x_val, labels(y_val)))


@program("underfit", family="mlp")
def label_smoothing_has_a_floor(seed):
    """The loss cannot fall below the entropy of the smoothed labels, .5 here."""
    train, validation = (one_hot(part, 10) for part in digits(seed))
    model = sequential((64,), layers.Dense(64, activation="relu"), layers.Dense(10))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    model.compile(ADAM(3e-3), loss, metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 15, "batch_size": 32}, accuracy(*validation))


@program("output-loss-mismatch", family="mlp", held_out=True)
def sigmoid_scores_from_logits(seed):
    train, validation = crescents(seed)
    model = sequential((2,), layers.Dense(32, activation="relu"), layers.Dense(1))
    model.compile(ADAM(1e-2), keras.losses.BinaryCrossentropy(from_logits=True))
    return Run(model, *train, validation, {"epochs": 12, "batch_size": 32}, accuracy(*validation, threshold=0.0))


@program("output-loss-mismatch", family="regression")
def tanh_output_with_targets_in_its_range(seed):
    """Steering angles: targets in [−0.9, 0.9]."""
    (x, y), (x_val, y_val) = surface(seed)
    y, y_val = 0.9 * np.tanh(y), 0.9 * np.tanh(y_val)
    model = sequential((5,), layers.Dense(64, activation="relu"), layers.Dense(1, activation="tanh"))
    model.compile(ADAM(5e-3), "mse")
    return Run(model, x, y, (x_val, y_val), {"epochs": 15, "batch_size": 32}, explained(x_val, y_val))


@program("output-loss-mismatch", family="regression", held_out=True)
def softplus_output_for_positive_targets(seed):
    (x, y), (x_val, y_val) = surface(seed)
    y, y_val = np.exp(0.5 * y), np.exp(0.5 * y_val)
    model = sequential((5,), layers.Dense(64, activation="gelu"), layers.Dense(1, activation="softplus"))
    model.compile(ADAM(5e-3), "mse")
    return Run(model, x, y, (x_val, y_val), {"epochs": 15, "batch_size": 32}, explained(x_val, y_val))


@program("saturation", family="mlp")
def outputs_saturate_because_they_are_sure(seed):
    """Well separated classes: nearly all sigmoids end in their flat parts."""
    train, validation = clusters(seed, samples=800, classes=2, distance=8.0)
    model = sequential((12,), layers.Dense(16, activation="tanh"), layers.Dense(1, activation="sigmoid"))
    model.compile(ADAM(1e-2), "binary_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 30, "batch_size": 32}, accuracy(*validation))


@program("label-mismatch", family="mlp")
def soft_labels_of_a_teacher(seed):
    """Rows of probabilities as targets, with the Kullback-Leibler divergence."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1600, 6)).astype("float32")
    scores = 2.0 * np.tanh(x @ rng.normal(size=(6, 8))) @ rng.normal(size=(8, 4))
    y = np.exp(scores - scores.max(axis=1, keepdims=True))
    train, validation = split(x, (y / y.sum(axis=1, keepdims=True)).astype("float32"), seed)
    model = sequential((6,), layers.Dense(64, activation="relu"), layers.Dense(4, activation="softmax"))
    model.compile(ADAM(5e-3), "kl_divergence")
    return Run(model, *train, validation, {"epochs": 15, "batch_size": 32}, explained(*validation))


@program("unscaled-input", family="mlp", held_out=True)
def small_integer_features(seed):
    """Counts from 0 to 4 and flags, as integers in float32, as tables of surveys have them."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.integers(0, 5, (1600, 6)), rng.integers(0, 2, (1600, 4))], axis=1)
    y = (x[:, 0] + x[:, 1] * x[:, 6] > x[:, 2] + 2 * x[:, 7]).astype("int32")
    train, validation = split(x.astype("float32"), y, seed)
    model = sequential((10,), layers.Dense(32, activation="relu"), layers.Dense(1, activation="sigmoid"))
    model.compile(ADAM(1e-2), "binary_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 12, "batch_size": 32}, accuracy(*validation))


@program("label-mismatch", family="regression")
def counts_with_a_poisson_loss(seed):
    """Targets are integers, but no classes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3000, 4)).astype("float32")
    rate = np.exp(1.5 + 0.5 * np.tanh(x[:, 0]) - 0.5 * np.tanh(x[:, 1] * x[:, 2]))
    y = rng.poisson(rate).astype("float32")
    model = sequential((4,), layers.Dense(24, activation="relu"), layers.Dense(1, activation="exponential"))
    model.compile(ADAM(5e-3), "poisson")
    run = {"epochs": 10, "batch_size": 32}
    return Run(model, x[:2400], y[:2400], (x[2400:], y[2400:]), run, explained(x[2400:], rate[2400:]))
