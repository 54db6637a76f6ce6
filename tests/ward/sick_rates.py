"""Faults of the step: too large, too small, too few, in a valley, away from the minimum."""

import keras
import numpy as np
from keras import layers, ops
from ward import programs
from ward.programs import explained, train
from ward.ward import case

CLASSES = "sparse_categorical_crossentropy"
ACCURACY = {"metrics": ["accuracy"]}


@case("learning-rate-too-high", "oscillating-loss", "exploding-loss", family="mlp", held_out=True)
def adam_with_a_rate_of_one(sick, seed):
    """The rate of Adadelta in the paper, given to Adam."""
    model = programs.mlp([32, 32], 10, output_activation="softmax")
    optimizer = keras.optimizers.Adam(1.0 if sick else 1e-3)
    return train(model, programs.digits(seed), CLASSES, optimizer, epochs=10, compiling=ACCURACY)


@case("learning-rate-too-high", "oscillating-loss", "exploding-loss", family="cnn")
def sgd_with_a_rate_of_ten(sick, seed):
    """0.1 with a slipped decimal point, twice."""
    optimizer = keras.optimizers.SGD(10.0 if sick else 0.03, momentum=0.9)
    return train(programs.cnn(10), programs.digits(seed, image=True), CLASSES, optimizer, epochs=10)


@case("learning-rate-too-high", "oscillating-loss", "exploding-loss", family="attention")
def transformer_with_a_rate_for_sgd(sick, seed):
    """A transformer block with Adam at 0.5."""
    optimizer = keras.optimizers.Adam(0.5 if sick else 0.003)
    return train(programs.attention(2), programs.sentences(seed), CLASSES, optimizer, epochs=6, compiling=ACCURACY)


@case("learning-rate-too-low", "slow-learning", "underfit", family="mlp")
def adam_with_a_rate_of_a_millionth(sick, seed):
    """A rate for fine-tuning, from scratch."""
    model = programs.mlp([32], 1, output_activation="sigmoid")
    optimizer = keras.optimizers.Adam(1e-6 if sick else 1e-3)
    data = programs.table("breast_cancer", seed)
    score = programs.likelihood(data.x_val, data.y_val)
    return train(model, data, "binary_crossentropy", optimizer, epochs=20, score=score, compiling=ACCURACY)


@case("learning-rate-too-low", "slow-learning", "underfit", family="cnn", held_out=True)
def sgd_without_momentum_at_a_ten_thousandth(sick, seed):
    """Adam's habits with plain gradient descent."""
    optimizer = keras.optimizers.SGD(1e-4) if sick else keras.optimizers.SGD(0.03, momentum=0.9)
    return train(programs.cnn(10), programs.digits(seed, image=True), CLASSES, optimizer, epochs=8)


@case("learning-rate-too-low", "slow-learning", "underfit", family="recurrent")
def lstm_with_a_rate_of_a_hundred_thousandth(sick, seed):
    optimizer = keras.optimizers.Adam(1e-5 if sick else 5e-3)
    return train(programs.recurrent(1), programs.waves(seed), "mse", optimizer, epochs=12)


@case("slow-learning", "learning-rate-too-low", "underfit", family="residual")
def schedule_that_ends_too_soon(sick, seed):
    """The decay counts steps, the author meant epochs."""
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 2 if sick else 400, 0.5)
    data = programs.digits(seed, image=True)
    return train(programs.residual(1), data, CLASSES, keras.optimizers.SGD(schedule), epochs=6, compiling=ACCURACY)


@case("slow-learning", "learning-rate-too-low", "underfit", family="cnn")
def adadelta_as_keras_has_it(sick, seed):
    """The paper's rate is 1, Keras's default 0.001."""
    optimizer = keras.optimizers.Adadelta() if sick else keras.optimizers.Adadelta(1.0)
    return train(programs.cnn(10), programs.digits(seed, image=True), CLASSES, optimizer, epochs=10)


@case("slow-learning", "learning-rate-too-low", "underfit", family="multi-output")
def all_rows_in_one_batch(sick, seed):
    """One step per epoch, for as many epochs as with small batches."""
    data = programs.digits(seed)
    score = programs.accuracy(data.x_val, data.y_val, "digit")
    y, y_val = ({"digit": part, "large": (part > 4).astype("int64")} for part in (data.y, data.y_val))
    inputs = keras.Input((64,))
    x = layers.Dense(32, activation="relu")(inputs)
    heads = {"digit": layers.Dense(10, activation="softmax", name="digit")(x)}
    heads["large"] = layers.Dense(1, activation="sigmoid", name="large")(x)
    loss = {"digit": CLASSES, "large": "binary_crossentropy"}
    data = data._replace(y=y, y_val=y_val)
    size = 1348 if sick else 32
    optimizer = keras.optimizers.SGD(0.05)
    return train(keras.Model(inputs, heads), data, loss, optimizer, epochs=40, batch_size=size, score=score)


@case("slow-learning", "learning-rate-too-low", "underfit", family="recurrent")
def gradients_clipped_to_nothing(sick, seed):
    """A norm of 0.001 "against exploding gradients", with SGD."""
    data = programs.sums(seed)
    optimizer = keras.optimizers.SGD(0.2, clipnorm=1e-3 if sick else 1.0)
    model = programs.recurrent(1, "sigmoid")
    return train(model, data, "binary_crossentropy", optimizer, epochs=15, compiling=ACCURACY)


@case("oscillating-loss", "learning-rate-too-high", "exploding-loss", family="mlp")
def momentum_near_one(sick, seed):
    """Momentum 0.99 multiplies a large rate by a hundred."""
    optimizer = keras.optimizers.SGD(0.5, momentum=0.99 if sick else 0.0)
    model = programs.mlp([32, 32], 10, "tanh", "softmax")
    return train(model, programs.digits(seed), CLASSES, optimizer, epochs=10, compiling=ACCURACY)


@case("oscillating-loss", "learning-rate-too-high", family="recurrent", held_out=True)
def gru_that_jumps(sick, seed):
    """A recurrent net with Adam at 0.6: good epochs and bad ones."""
    optimizer = keras.optimizers.Adam(0.6 if sick else 0.005)
    return train(programs.recurrent(1, layer=layers.GRU), programs.waves(seed), "mse", optimizer, epochs=20)


@case("oscillating-loss", "learning-rate-too-high", family="regression")
def single_rows_at_a_high_rate(sick, seed):
    """Batches of one with the rate of large batches."""
    optimizer = keras.optimizers.SGD(0.1)
    data = programs.table("diabetes", seed)
    size = 1 if sick else 32
    return train(programs.mlp([16], 1, "tanh"), data, "mse", optimizer, epochs=8 if sick else 12, batch_size=size)


def narrow_valley(seed):
    """Powers of one feature, as they are: curvatures that differ by a factor of thousands."""
    data = programs.sine(seed, 200)
    powers = np.arange(1, 6)
    return data._replace(x=(data.x / 2) ** powers, x_val=(data.x_val / 2) ** powers)


def largest_rate(x):
    """2/L of linear regression with a bias."""
    features = np.concatenate([x, np.ones_like(x[:, :1])], axis=1)
    return float(1 / np.linalg.eigvalsh(features.T @ features / len(features))[-1])


@case("zig-zag", "oscillating-loss", "learning-rate-too-high", family="regression", shows=False, held_out=True)
def full_batches_across_a_valley(sick, seed):
    """Polynomials, full batches, the edge of stability: flat directions gain what steep ones lose."""
    data = narrow_valley(seed)
    limit = largest_rate(data.x)
    optimizer = keras.optimizers.SGD(0.99 * limit) if sick else keras.optimizers.SGD(0.45 * limit, momentum=0.9)
    model = keras.Sequential([layers.Dense(1)])
    return train(model, data, "mse", optimizer, epochs=60, batch_size=len(data.x))


@case("zig-zag", "oscillating-loss", "unscaled-input", "learning-rate-too-high", family="mlp")
def one_feature_eight_times_as_wide(sick, seed):
    """Length in millimeters beside width in inches: the gradient points across the valley."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(600, 2)).astype("float32")
    y = (x[:, :1] + x[:, 1:] + 0.1 * generator.normal(size=(600, 1))).astype("float32")
    data = programs.split(x * np.float32([8 if sick else 1, 1]), y, seed)
    optimizer = keras.optimizers.SGD(0.97 * largest_rate(data.x) if sick else 0.1)
    return train(keras.Sequential([layers.Dense(1)]), data, "mse", optimizer, epochs=50, batch_size=450)


@case("exploding-loss", "learning-rate-too-high", "unscaled-input", "non-finite", family="regression")
def line_through_large_numbers(sick, seed):
    """Plain linear regression on features up to 100: the rate is above 2/L."""
    data = programs.sine(seed)
    scale = np.float32(50 if sick else 1)
    y, y_val = 3 * data.x + 1, 3 * data.x_val + 1
    data = data._replace(x=scale * data.x, x_val=scale * data.x_val, y=y, y_val=y_val)
    return train(keras.Sequential([layers.Dense(1)]), data, "mse", keras.optimizers.SGD(0.01), epochs=15)


@case("exploding-loss", "learning-rate-too-high", "non-finite", family="autoencoder")
def summed_instead_of_averaged(sick, seed):
    """The squared error summed over pixels and rows, with the rate for a mean."""
    data = programs.digits(seed)
    data = data._replace(y=data.x, y_val=data.x_val)
    loss = keras.losses.MeanSquaredError(reduction="sum" if sick else "sum_over_batch_size")
    model = programs.autoencoder(64, output_activation=None)
    return train(model, data, loss, keras.optimizers.SGD(0.05, momentum=0.9), epochs=12)


@case("exploding-loss", "output-loss-mismatch", family="mlp")
def sign_of_the_loss(sick, seed):
    """A score that should grow, given to an optimizer that minimizes."""
    data = programs.sine(seed)
    score = explained(data.x_val, data.y_val)

    def agreement(y, predicted):
        error = ops.mean(ops.square(y - predicted), axis=-1)
        return -error if sick else error

    return train(programs.mlp([32], 1, "tanh"), data, agreement, keras.optimizers.Adam(0.01), epochs=15, score=score)
