"""Healthy dense classifiers: sparse and partly dead ReLUs, dropout, odd batch sizes, deep and narrow nets."""

import keras
import numpy as np
from keras import layers
from ward.healthy_data import accuracy, clusters, crescents, digits, program, rings, sequential, table
from ward.ward import Run

ADAM = keras.optimizers.Adam
CROSS = keras.losses.SparseCategoricalCrossentropy


@program("dead-relu", family="mlp")
def wide_sparse_relu(seed):
    """Negative biases leave some 80 % zeros and a few dead units of 256."""
    train, validation = digits(seed)
    first = layers.Dense(256, activation="relu", bias_initializer=keras.initializers.Constant(-0.4))
    model = sequential((64,), first, layers.Dense(10, activation="softmax"))
    model.compile(ADAM(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 8, "batch_size": 32}, accuracy(*validation))


@program("dead-relu", family="mlp", held_out=True)
def wide_layer_with_a_tenth_of_dead_units(seed):
    """26 of 256 units start dead, with large negative biases; the others do the work."""
    train, validation = table("wine", seed)
    biases = np.zeros(256, "float32")
    biases[:26] = -50.0
    model = sequential((13,), layers.Dense(256, activation="relu"), layers.Dense(3, activation="softmax"))
    kernel, _ = model.layers[0].get_weights()
    model.layers[0].set_weights([kernel, biases])
    model.compile(ADAM(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 15, "batch_size": 16}, accuracy(*validation))


@program("overfit", family="mlp")
def training_loss_above_validation_loss(seed):
    """Dropout of one half in two layers: the logged training loss is far above the validation loss."""
    train, validation = digits(seed)
    hidden = [part for _ in range(2) for part in (layers.Dense(128, activation="relu"), layers.Dropout(0.5))]
    model = sequential((64,), *hidden, layers.Dense(10))
    model.compile(ADAM(2e-3), CROSS(from_logits=True), metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 15, "batch_size": 32}, accuracy(*validation))


@program("too-much-regularization", family="mlp")
def dropout_before_the_output(seed):
    train, validation = table("breast_cancer", seed)
    hidden = layers.Dense(32, activation="relu")
    model = sequential((30,), hidden, layers.Dropout(0.4), layers.Dense(1, activation="sigmoid"))
    model.compile(ADAM(3e-3), "binary_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 12, "batch_size": 32}, accuracy(*validation))


@program("unscaled-input", family="mlp")
def standardized_pixels_reach_twenty(seed):
    """Rare pixels of standardized digits lie some twenty deviations from their mean."""
    train, validation = digits(seed, standardize=True)
    model = sequential((64,), layers.Dense(64, activation="relu"), layers.Dense(10, activation="softmax"))
    model.compile(ADAM(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 10, "batch_size": 32}, accuracy(*validation))


@program("uncentered-input", family="mlp", held_out=True)
def pixels_in_the_unit_interval(seed):
    train, validation = digits(seed)
    model = sequential((64,), layers.Dense(48, activation="relu"), layers.Dense(10, activation="softmax"))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    return Run(model, *train, validation, {"epochs": 10, "batch_size": 32}, accuracy(*validation))


@program("zero-gradient", family="mlp")
def perfect_on_easy_clusters(seed):
    """Accuracy 1.0 and a loss near 1e-6 for most of the run."""
    train, validation = clusters(seed, samples=800, distance=14.0)
    model = sequential((12,), layers.Dense(32, activation="relu"), layers.Dense(3, activation="softmax"))
    model.compile(ADAM(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 40, "batch_size": 32}, accuracy(*validation))


@program("overfit", family="mlp")
def validation_loss_rises_a_little_at_the_end(seed):
    """An unregularized net on few rows: the validation loss ends slightly above its best."""
    train, validation = table("breast_cancer", seed)
    model = sequential((30,), layers.Dense(32, activation="relu"), layers.Dense(1, activation="sigmoid"))
    model.compile(ADAM(4e-3), "binary_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 20, "batch_size": 32}, accuracy(*validation))


@program("oscillating-loss", family="mlp")
def batches_of_two(seed):
    train, validation = table("wine", seed)
    model = sequential((13,), layers.Dense(16, activation="tanh"), layers.Dense(3, activation="softmax"))
    model.compile(keras.optimizers.SGD(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 8, "batch_size": 2}, accuracy(*validation))


@program("slow-learning", family="mlp", held_out=True)
def the_whole_set_in_one_batch(seed):
    """One step an epoch."""
    train, validation = rings(seed, samples=600)
    hidden = [layers.Dense(16, activation="tanh") for _ in range(2)]
    model = sequential((2,), *hidden, layers.Dense(1, activation="sigmoid"))
    model.compile(ADAM(2e-2), "binary_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 120, "batch_size": 450}, accuracy(*validation))


@program("dead-relu", family="mlp")
def deep_and_narrow_but_alive(seed):
    """Eight layers of six ReLUs, drawn until no layer is dead on the data."""
    train, validation = rings(seed, noise=0.03)
    while True:
        hidden = [layers.Dense(6, activation="relu", kernel_initializer="he_normal") for _ in range(8)]
        model = sequential((2,), *hidden, layers.Dense(1, activation="sigmoid"))
        signals = keras.Model(model.inputs, [layer.output for layer in hidden]).predict(train[0], verbose=0)
        if all((signal.std(axis=0) > 0.05).sum() >= 3 for signal in signals):
            break
    model.compile(ADAM(3e-3), "binary_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 40, "batch_size": 32}, accuracy(*validation))


@program("vanishing-gradient", family="mlp")
def eight_tanh_layers(seed):
    train, validation = digits(seed, standardize=True)
    hidden = [layers.Dense(32, activation="tanh") for _ in range(8)]
    model = sequential((64,), *hidden, layers.Dense(10, activation="softmax"))
    model.compile(ADAM(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 12, "batch_size": 32}, accuracy(*validation))


@program("saturation", family="mlp", held_out=True)
def sigmoid_hidden_layer(seed):
    train, validation = crescents(seed)
    model = sequential((2,), layers.Dense(24, activation="sigmoid"), layers.Dense(1, activation="sigmoid"))
    model.compile(ADAM(5e-2), "binary_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 25, "batch_size": 32}, accuracy(*validation))


@program("too-little-capacity", family="mlp")
def three_hidden_units_are_enough(seed):
    train, validation = clusters(seed, samples=600, features=4, distance=6.0)
    model = sequential((4,), layers.Dense(3, activation="tanh"), layers.Dense(3, activation="softmax"))
    model.compile(ADAM(2e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 20, "batch_size": 32}, accuracy(*validation))


@program("slow-learning", family="mlp")
def two_epochs_on_enough_data(seed):
    train, validation = clusters(seed, samples=8000, distance=5.0)
    model = sequential((12,), layers.Dense(32, activation="relu"), layers.Dense(3, activation="softmax"))
    model.compile(ADAM(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 2, "batch_size": 32}, accuracy(*validation))


@program("growing-signal", family="mlp", held_out=True)
def selu_and_alpha_dropout(seed):
    train, validation = digits(seed, standardize=True)
    chain = []
    for _ in range(4):
        chain += [layers.Dense(48, activation="selu", kernel_initializer="lecun_normal"), layers.AlphaDropout(0.05)]
    model = sequential((64,), *chain, layers.Dense(10))
    model.compile(ADAM(1e-3), CROSS(from_logits=True), metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 10, "batch_size": 32}, accuracy(*validation))


@program("dead-relu", family="mlp")
def gaussian_noise_on_inputs_and_signals(seed):
    """Noise on inputs and hidden signals: the training loss stays above the validation loss."""
    train, validation = table("wine", seed)
    hidden = [layers.GaussianNoise(0.5), layers.Dense(48, activation="leaky_relu"), layers.GaussianNoise(0.5)]
    model = sequential((13,), *hidden, layers.Dense(3, activation="softmax"))
    model.compile(ADAM(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 25, "batch_size": 16}, accuracy(*validation))


@program("redundant-bias", family="mlp")
def batch_norm_before_the_activation(seed):
    train, validation = digits(seed)
    chain = []
    for units in (64, 64):
        chain += [layers.Dense(units, use_bias=False), layers.BatchNormalization(momentum=0.9)]
        chain += [layers.Activation("relu")]
    model = sequential((64,), *chain, layers.Dense(10, activation="softmax"))
    model.compile(ADAM(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 8, "batch_size": 32}, accuracy(*validation))
