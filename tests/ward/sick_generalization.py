"""Faults between training and validation: too few rows, too many epochs, too few epochs."""

import keras
import numpy as np
from keras import layers
from ward import programs
from ward.programs import likelihood, train
from ward.ward import case

CLASSES = "sparse_categorical_crossentropy"
ACCURACY = {"metrics": ["accuracy"]}


@case("overfit", family="mlp", held_out=True)
def forty_rows_and_a_huge_net(sick, seed):
    """Noisy moons, forty rows, two layers of 256 units, two hundred epochs."""
    data = programs.moons(seed, 1200, noise=0.35)
    score = likelihood(data.x_val, data.y_val)
    if sick:
        data = data._replace(x=data.x[:40], y=data.y[:40])
    model = programs.mlp([256, 256], 1, output_activation="sigmoid")
    epochs, optimizer = 200 if sick else 12, keras.optimizers.Adam(0.003)
    return train(model, data, "binary_crossentropy", optimizer, epochs=epochs, score=score, compiling=ACCURACY)


@case("overfit", family="regression")
def diabetes_by_heart(sick, seed):
    """Three hundred patients, a net that can remember each of them, and no reason to stop."""
    data = programs.table("diabetes", seed)
    widths, epochs = ([128, 128], 120) if sick else ([8], 20)
    return train(programs.mlp(widths, 1), data, "mse", keras.optimizers.Adam(0.003), epochs=epochs)


@case("overfit", family="attention")
def eighty_sentences(sick, seed):
    """A transformer block on eighty sentences with a tenth of the labels wrong."""
    data = programs.sentences(seed, words=200)
    generator = np.random.default_rng(seed)
    y = np.where(generator.uniform(size=len(data.y)) < 0.1, 1 - data.y, data.y)
    kept = 80 if sick else len(y)
    score = likelihood(data.x_val, data.y_val)
    data = data._replace(x=data.x[:kept], y=y[:kept])
    model = programs.attention(2, words=200)
    return train(model, data, CLASSES, keras.optimizers.Adam(0.005), epochs=80 if sick else 4, score=score)


@case("overfit", "unlearnable-labels", family="cnn")
def a_third_of_the_labels_wrong(sick, seed):
    """Careless annotators, and a net that is trained until it has learned all their errors."""
    data = programs.digits(seed, image=True)
    generator = np.random.default_rng(seed)
    wrong = generator.uniform(size=len(data.y)) < 0.33
    y = np.where(wrong & sick, generator.integers(0, 10, len(data.y)), data.y)
    score = likelihood(data.x_val, data.y_val)
    model = programs.cnn(10, (16, 16))
    head = [layers.Dense(128, activation="relu"), layers.Dense(10, activation="softmax")]
    model = keras.Sequential([*model.layers[:-1], *head])
    data = data._replace(x=data.x[:600], y=y[:600])
    return train(model, data, CLASSES, keras.optimizers.Adam(0.003), epochs=40, score=score, compiling=ACCURACY)


@case("underfit", "cut-short", "slow-learning", "learning-rate-too-low", family="mlp", held_out=True)
def one_epoch_where_fifty_are_needed(sick, seed):
    """A number of epochs from a tutorial with a hundred times as many images."""
    model = programs.mlp([32], 10, "tanh", "softmax")
    optimizer = keras.optimizers.SGD(0.02)
    score = likelihood(*programs.digits(seed)[2:])
    epochs = 1 if sick else 50
    return train(model, programs.digits(seed), CLASSES, optimizer, epochs=epochs, score=score, compiling=ACCURACY)


@case("underfit", "cut-short", "slow-learning", "learning-rate-too-low", family="regression")
def stopped_while_still_falling(sick, seed):
    """A curve that needs two hundred epochs of plain descent, and gets five."""
    model = programs.mlp([32, 32], 1, "tanh")
    return train(model, programs.sine(seed), "mse", keras.optimizers.SGD(0.02), epochs=5 if sick else 150)


@case("underfit", "cut-short", "slow-learning", "learning-rate-too-low", family="recurrent")
def eight_epochs_of_large_batches(sick, seed):
    """Batches of 128 because the memory allows it, and eight epochs: forty steps."""
    optimizer = keras.optimizers.SGD(0.05, momentum=0.5)
    epochs, size = (8, 128) if sick else (40, 16)
    return train(programs.recurrent(1), programs.waves(seed), "mse", optimizer, epochs=epochs, batch_size=size)


@case("bad-split", family="cnn", held_out=True)
def validated_on_other_classes(sick, seed):
    """Digits up to six for training, seven to nine for validation."""
    data = programs.digits(seed, image=True)
    score = programs.accuracy(data.x_val, data.y_val)
    if sick:
        x, y = np.concatenate([data.x, data.x_val]), np.concatenate([data.y, data.y_val])
        data = programs.Data(x[y < 7], y[y < 7], x[y >= 7], y[y >= 7])
    return train(programs.cnn(10), data, CLASSES, keras.optimizers.Adam(0.005), epochs=8, score=score)


if programs.HAS_MNIST:

    @case("overfit", family="cnn")
    def hundred_digits_of_mnist(sick, seed):
        """One hundred images, sixty epochs."""
        data = programs.mnist(seed)
        kept = 100 if sick else 1500
        score = likelihood(data.x_val, data.y_val)
        data = data._replace(x=data.x[:kept], y=data.y[:kept])
        convolutions = [layers.Conv2D(8, 5, strides=2, activation="relu"), layers.MaxPooling2D(2), layers.Flatten()]
        dense = [layers.Dense(128, activation="relu"), layers.Dense(10, activation="softmax")]
        optimizer, epochs = keras.optimizers.Adam(0.003), 60 if sick else 4
        model = keras.Sequential([*convolutions, *dense])
        return train(model, data, CLASSES, optimizer, epochs=epochs, score=score, compiling=ACCURACY)

    @case("learning-rate-too-high", "dead-relu", "exploding-loss", "oscillating-loss", family="cnn")
    def mnist_with_a_rate_of_one(sick, seed):
        """The convolutional net of every tutorial, with momentum and a rate of 1."""
        convolutions = [layers.Conv2D(8, 5, strides=2, activation="relu"), layers.MaxPooling2D(2), layers.Flatten()]
        dense = [layers.Dense(32, activation="relu"), layers.Dense(10, activation="softmax")]
        model = keras.Sequential([*convolutions, *dense])
        optimizer = keras.optimizers.SGD(1.0 if sick else 0.05, momentum=0.9)
        return train(model, programs.mnist(seed), CLASSES, optimizer, epochs=5, compiling=ACCURACY)
