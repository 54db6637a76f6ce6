"""Faults of the signal and of its gradient on their way through the layers."""

import keras
from keras import initializers, layers
from ward import programs
from ward.programs import train
from ward.ward import case

CLASSES = "sparse_categorical_crossentropy"
ACCURACY = {"metrics": ["accuracy"]}


@case("vanishing-gradient", family="mlp", held_out=True)
def twelve_sigmoid_layers(sick, seed):
    """The nets of the eighties, only deeper."""
    model = programs.mlp([32] * 12, 10, "sigmoid" if sick else "selu", "softmax")
    return train(model, programs.digits(seed), CLASSES, epochs=10, compiling=ACCURACY)


@case("vanishing-gradient", "shrinking-signal", family="cnn")
def eight_sigmoid_convolutions(sick, seed):
    """A deep convolutional net with the activation of its output everywhere."""
    model = programs.cnn(10, [8] * 8, "sigmoid" if sick else "elu")
    return train(model, programs.digits(seed, image=True), CLASSES, keras.optimizers.Adam(0.002), epochs=6)


@case("vanishing-gradient", "shrinking-signal", family="autoencoder")
def deep_sigmoid_autoencoder(sick, seed):
    """Seven hidden layers around the code, all of them sigmoid."""
    data = programs.digits(seed)
    data = data._replace(y=data.x, y_val=data.x_val)
    model = programs.mlp([48, 40, 32, 24, 32, 40, 48], 64, "sigmoid" if sick else "elu", "sigmoid")
    return train(model, data, "mse", keras.optimizers.SGD(1.0, momentum=0.9), epochs=20)


@case("exploding-gradient", "growing-signal", family="mlp", held_out=True)
def unit_normal_kernels_in_eight_layers(sick, seed):
    """`RandomNormal(stddev=1.0)` in a deep rectified net."""
    options = {"kernel_initializer": initializers.RandomNormal(stddev=1.0) if sick else "he_normal"}
    model = programs.mlp([64] * 8, 10, output_activation="softmax", **options)
    return train(model, programs.digits(seed), CLASSES, keras.optimizers.SGD(0.05), epochs=10, compiling=ACCURACY)


@case("exploding-gradient", "growing-signal", "exploding-loss", "non-finite", family="recurrent")
def rectified_recurrence(sick, seed):
    """A recurrent kernel with a gain of 1.6 and ReLU over forty steps."""
    options = {"recurrent_initializer": initializers.Orthogonal(1.6)} if sick else {}
    model = programs.recurrent(1, units=24, layer=layers.SimpleRNN, activation="relu" if sick else "tanh", **options)
    return train(model, programs.waves(seed, length=40), "mse", keras.optimizers.SGD(0.02), epochs=10)


@case("exploding-gradient", "saturation", "growing-signal", family="recurrent")
def chaotic_recurrence(sick, seed):
    """A recurrent kernel drawn from a unit normal: the state is chaos, gradients through time explode."""
    options = {"recurrent_initializer": initializers.RandomNormal(stddev=1.0)} if sick else {}
    model = programs.recurrent(1, units=24, layer=layers.SimpleRNN, **options)
    return train(model, programs.waves(seed, length=40), "mse", keras.optimizers.SGD(0.02), epochs=15)


@case("dead-relu", "zero-gradient", family="mlp")
def biases_of_minus_ten(sick, seed):
    """A bias initializer copied from a detector's head, into all layers."""
    options = {"bias_initializer": initializers.Constant(-10.0)} if sick else {}
    model = programs.mlp([32, 32], 10, output_activation="softmax", **options)
    return train(model, programs.digits(seed), CLASSES, epochs=8, compiling=ACCURACY)


@case("dead-relu", "zero-gradient", family="cnn")
def only_negative_kernels(sick, seed):
    """Uniform between −0.2 and 0, and pixels that are never negative."""
    options = {"kernel_initializer": initializers.RandomUniform(-0.2, 0.0)} if sick else {}
    model = programs.cnn(10, **options)
    return train(model, programs.digits(seed, image=True), CLASSES, keras.optimizers.Adam(0.003), epochs=8)


@case("dead-relu", "learning-rate-too-high", family="regression", held_out=True)
def killed_by_the_first_steps(sick, seed):
    """Twenty steps at a rate of 1 push all units below zero; the rate is fine afterwards."""
    first = 1.0 if sick else 0.005
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([20], [first, 0.005])
    model = programs.mlp([32, 32], 1)
    data = programs.sine(seed)
    return train(model, data, "mse", keras.optimizers.Adam(schedule), epochs=20)


@case("saturation", "growing-signal", "vanishing-gradient", family="mlp", held_out=True)
def unit_normal_kernels_before_tanh(sick, seed):
    """`RandomNormal(stddev=1.0)` in a deep tanh net: every unit sits at ±1."""
    options = {"kernel_initializer": initializers.RandomNormal(stddev=1.0)} if sick else {}
    model = programs.mlp([64] * 5, 10, "tanh", "softmax", **options)
    return train(model, programs.digits(seed), CLASSES, keras.optimizers.SGD(0.02), epochs=10, compiling=ACCURACY)


@case("saturation", family="recurrent")
def gates_shut_by_their_kernels(sick, seed):
    """An LSTM with kernels of spread 5: all gates are open or shut."""
    wide = initializers.RandomNormal(stddev=5.0)
    options = {"kernel_initializer": wide, "recurrent_initializer": wide} if sick else {}
    data = programs.waves(seed)
    return train(programs.recurrent(1, **options), data, "mse", keras.optimizers.Adam(0.005), epochs=15)


@case("saturation", "growing-signal", "vanishing-gradient", family="regression")
def small_layers_with_wide_kernels(sick, seed):
    """Kernels of spread 20 for two small layers of tanh."""
    options = {"kernel_initializer": initializers.RandomNormal(stddev=20.0)} if sick else {}
    model = programs.mlp([6, 6], 1, "tanh", **options)
    return train(model, programs.sine(seed), "mse", keras.optimizers.Adam(0.01), epochs=30)


@case("shrinking-signal", "vanishing-gradient", "zero-gradient", family="mlp", held_out=True)
def small_kernels_in_eight_layers(sick, seed):
    """`RandomNormal(stddev=0.01)`, which was fine for two layers."""
    options = {"kernel_initializer": initializers.RandomNormal(stddev=0.01) if sick else "he_normal"}
    model = programs.mlp([32] * 8, 10, output_activation="softmax", **options)
    return train(model, programs.digits(seed), CLASSES, epochs=8, compiling=ACCURACY)


@case("shrinking-signal", "vanishing-gradient", "zero-gradient", family="cnn")
def small_kernels_in_six_convolutions(sick, seed):
    """The Gaussian initialization of 2012 with spread 0.01, without normalization."""
    options = {"kernel_initializer": initializers.RandomNormal(stddev=0.01) if sick else "he_normal"}
    model = programs.cnn(10, [8] * 6, **options)
    return train(model, programs.digits(seed, image=True), CLASSES, keras.optimizers.Adam(0.003), epochs=6)


@case("shrinking-signal", "vanishing-gradient", "zero-gradient", family="regression")
def small_kernels_before_tanh(sick, seed):
    """Uniform kernels of ±0.02 in seven tanh layers."""
    options = {"kernel_initializer": initializers.RandomUniform(-0.02, 0.02)} if sick else {}
    model = programs.mlp([32] * 7, 1, "tanh", **options)
    return train(model, programs.sine(seed), "mse", keras.optimizers.SGD(0.05, momentum=0.9), epochs=20)


@case("growing-signal", "exploding-gradient", family="residual", held_out=True)
def twenty_blocks_without_normalization(sick, seed):
    """Every residual block doubles the signal's variance."""
    inputs = keras.Input((64,))
    x = layers.Dense(32)(inputs)
    last = "he_normal" if sick else "zeros"
    for _ in range(20):
        y = layers.Dense(32, activation="relu", kernel_initializer="he_normal")(x)
        x = layers.Add()([x, layers.Dense(32, kernel_initializer=last)(y)])
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
    return train(model, programs.digits(seed), CLASSES, keras.optimizers.Adam(0.001), epochs=8, compiling=ACCURACY)


@case("growing-signal", "exploding-gradient", "exploding-loss", "non-finite", family="cnn")
def wide_kernels_in_six_convolutions(sick, seed):
    """Spread 0.5 in each of six convolutions: four times the signal from layer to layer."""
    options = {"kernel_initializer": initializers.RandomNormal(stddev=0.5) if sick else "he_normal"}
    model = programs.cnn(10, [16] * 6, **options)
    optimizer = keras.optimizers.Adam(0.002)
    return train(model, programs.digits(seed, image=True), CLASSES, optimizer, epochs=6, compiling=ACCURACY)
