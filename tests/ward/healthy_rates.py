"""Healthy learning rates: schedules, restarts, warm-up, averages, searches, large momentum, reduced rates."""

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
    surface,
    table,
)
from ward.ward import Run

import keras_lecture
from keras_lecture import optimizers
from keras_lecture.optimizers import schedules

ADAM, SGD = keras.optimizers.Adam, keras.optimizers.SGD
SPARSE = "sparse_categorical_crossentropy"


def classifier(features, classes, *, units=48, activation="relu"):
    """One hidden layer and a softmax."""
    return sequential((features,), layers.Dense(units, activation), layers.Dense(classes, activation="softmax"))


def digits_with(optimizer, seed, *, callbacks=(), epochs=10, batch_size=32):
    """The classifier of digits under an optimizer, or a function that makes one for the model."""
    train, validation = digits(seed)
    model = classifier(64, 10)
    optimizer = optimizer if isinstance(optimizer, keras.optimizers.Optimizer) else optimizer(model)
    model.compile(optimizer, SPARSE, metrics=["accuracy"])
    run = {"epochs": epochs, "batch_size": batch_size, "callbacks": list(callbacks)}
    return Run(model, *train, validation, run, accuracy(*validation))


@program("oscillating-loss", family="mlp")
def warm_restarts(seed):
    """Bumps of the loss at the steps 84 and 252, where the rate is restarted."""
    rate = schedules.WarmRestarts(0.1, period=84, t_mul=2)
    return digits_with(SGD(rate, momentum=0.9), seed, epochs=14)


@program("oscillating-loss", family="mlp", held_out=True)
def cosine_restarts_of_keras(seed):
    rate = keras.optimizers.schedules.CosineDecayRestarts(0.02, first_decay_steps=126, t_mul=1.0, m_mul=0.9)
    return digits_with(ADAM(rate), seed, epochs=12)


@program("slow-learning", family="mlp")
def cosine_to_zero(seed):
    """The last quarter of the run hardly moves."""
    return digits_with(ADAM(keras.optimizers.schedules.CosineDecay(5e-3, 420)), seed)


@program("zero-gradient", family="mlp", held_out=True)
def rate_of_zero_after_the_end_of_the_schedule(seed):
    """The schedule ends two epochs before the run does."""
    return digits_with(ADAM(keras.optimizers.schedules.CosineDecay(5e-3, 336)), seed)


@program("learning-rate-too-low", family="mlp")
def warm_up_from_almost_zero(seed):
    rate = schedules.Warmup(0.3, length=84)
    return digits_with(SGD(rate, momentum=0.9), seed)


@program("slow-learning", family="mlp")
def slow_but_steady_adam(seed):
    """Adam with 3e-4: a little better in each of many epochs."""
    return digits_with(ADAM(3e-4), seed, epochs=25)


@program("learning-rate-too-high", family="mlp")
def large_momentum_and_rate(seed):
    """A rate of .15 with momentum .9, large but on the good side of the edge of stability."""
    return digits_with(SGD(0.15, momentum=0.9), seed)


@program("learning-rate-too-high", family="mlp", held_out=True)
def gradient_descent_with_a_rate_of_one(seed):
    return digits_with(SGD(1.0), seed, batch_size=128, epochs=20)


@program("oscillating-loss", family="mlp")
def exponential_average_of_the_weights(seed):
    return digits_with(ADAM(5e-3, use_ema=True, ema_momentum=0.98), seed)


@program("zig-zag", family="mlp")
def lookahead(seed):
    """Every fifth step goes back half of the way."""
    return digits_with(optimizers.Lookahead(optimizers.Adam(5e-3)), seed)


@program("oscillating-loss", family="mlp", held_out=True)
def stochastic_weight_average(seed):
    return digits_with(optimizers.StochasticWeightAverage(optimizers.Momentum(0.1), start=210), seed)


@program("learning-rate-too-high", family="mlp")
def nesterov(seed):
    return digits_with(lambda model: optimizers.Nesterov(0.1, momentum=0.9).bind(model), seed)


@program("learning-rate-too-high", family="mlp")
def armijo(seed):
    """A search that starts at a rate of 1 and finds its own."""
    return digits_with(lambda model: optimizers.Armijo(reset=1.2).bind(model), seed)


@program("learning-rate-too-high", family="regression", held_out=True)
def quasi_newton_on_the_whole_set(seed):
    """Twenty iterations in each step; converged well before the end."""
    train, validation = surface(seed, samples=400)
    model = sequential((5,), layers.Dense(12, activation="tanh"), layers.Dense(1))
    model.compile(optimizers.LBFGS(iterations=8).bind(model), "mse")
    return Run(model, *train, validation, {"epochs": 24, "batch_size": 300}, explained(*validation))


@program("learning-rate-too-low", family="mlp")
def rate_reduced_on_a_plateau(seed):
    reduce = keras_lecture.callbacks.ReduceLearningRate(factor=0.3, patience=2)
    return digits_with(SGD(0.2, momentum=0.9), seed, callbacks=[reduce], epochs=15)


@program("learning-rate-too-low", family="cnn", held_out=True)
def rate_reduced_by_keras(seed):
    reduce = keras.callbacks.ReduceLROnPlateau("loss", factor=0.2, patience=2, min_lr=1e-5)
    return digits_with(keras.optimizers.RMSprop(5e-3), seed, callbacks=[reduce], epochs=12)


@program("exploding-gradient", family="mlp")
def clipped_by_the_library(seed):
    """Gradients are cut at the 50th percentile of the recent norms."""
    clip = keras_lecture.callbacks.GradientClipping(percentile=50.0)
    return digits_with(SGD(0.2, momentum=0.9), seed, callbacks=[clip])


@program("frozen-layer", family="mlp")
def accumulated_gradients(seed):
    """Weights move in every fourth step only."""
    return digits_with(ADAM(8e-3, gradient_accumulation_steps=4), seed, batch_size=16)


@program("shrinking-signal", family="mlp")
def strong_but_decoupled_weight_decay(seed):
    return digits_with(keras.optimizers.AdamW(5e-3, weight_decay=0.1), seed)


@program("learning-rate-too-low", family="mlp", held_out=True)
def adagrad_with_a_large_rate(seed):
    """The effective rate falls like one over the root of the steps."""
    return digits_with(keras.optimizers.Adagrad(0.1), seed)


@program("learning-rate-too-low", family="mlp")
def adadelta_needs_no_small_rate(seed):
    return digits_with(keras.optimizers.Adadelta(1.0), seed, epochs=15)


@program("zig-zag", family="mlp", held_out=True)
def signs_of_gradients(seed):
    """Lion moves each weight by the same amount in every step."""
    train, validation = table("breast_cancer", seed)
    model = sequential((30,), layers.Dense(32, activation="relu"), layers.Dense(1, activation="sigmoid"))
    model.compile(keras.optimizers.Lion(3e-4), "binary_crossentropy")
    return Run(model, *train, validation, {"epochs": 15, "batch_size": 16}, accuracy(*validation))


@program("slow-learning", family="mlp")
def stopped_early(seed):
    """Far fewer epochs run than were asked for."""
    train, validation = crescents(seed)
    stop = keras_lecture.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)
    model = sequential((2,), layers.Dense(32, activation="relu"), layers.Dense(1, activation="sigmoid"))
    model.compile(ADAM(3e-2), "binary_crossentropy")
    run = {"epochs": 60, "batch_size": 32, "callbacks": [stop]}
    return Run(model, *train, validation, run, accuracy(*validation))


@program("zero-gradient", family="linear")
def perceptron_that_has_converged(seed):
    """Hinge loss on separable classes: loss and gradient become exactly zero."""
    (x, y), (x_val, y_val) = clusters(seed, samples=600, classes=2, distance=8.0)
    y, y_val = (np.where(part, 1.0, -1.0).astype("float32") for part in (y, y_val))
    model = sequential((12,), layers.Dense(1, kernel_initializer="zeros"))
    model.compile(SGD(0.01), "hinge")
    run = {"epochs": 20, "batch_size": 32}
    return Run(model, x, y, (x_val, y_val), run, accuracy(x_val, y_val, threshold=0.0))


@program("oscillating-loss", family="mlp")
def cyclic_rate_per_epoch(seed):
    """A callback sets the rate of each epoch: .3, .1 and .02 in turn."""
    train, validation = rings(seed)
    cycle = keras.callbacks.LearningRateScheduler(lambda epoch: (0.3, 0.1, 0.02)[epoch % 3])
    hidden = [layers.Dense(24, activation="relu") for _ in range(2)]
    model = sequential((2,), *hidden, layers.Dense(1, activation="sigmoid"))
    model.compile(SGD(0.3, momentum=0.9), "binary_crossentropy")
    run = {"epochs": 15, "batch_size": 32, "callbacks": [cycle]}
    return Run(model, *train, validation, run, accuracy(*validation))
