"""Healthy regressions: targets of any scale, noise floors, outliers, few rows."""

import keras
import numpy as np
from keras import layers
from ward.healthy_data import explained, program, sequential, split, surface, table
from ward.ward import Run

import keras_lecture

ADAM, SGD = keras.optimizers.Adam, keras.optimizers.SGD


def mlp(features, *tail, units=64, activation="relu"):
    """Two hidden layers and one output, then the layers `tail`."""
    hidden = [layers.Dense(units, activation=activation) for _ in range(2)]
    return sequential((features,), *hidden, layers.Dense(1), *tail)


@program("exploding-loss", family="regression")
def targets_of_a_million(seed):
    """House prices: the last layer scales by 1e6, so losses and gradients are near 1e12."""
    (x, y), (x_val, y_val) = surface(seed)
    y, y_val = 1e6 * (3 + y), 1e6 * (3 + y_val)
    model = mlp(5, layers.Rescaling(1e6, offset=3e6))
    model.compile(ADAM(5e-3), "mse", metrics=["mae"])
    return Run(model, x, y, (x_val, y_val), {"epochs": 12, "batch_size": 32}, explained(x_val, y_val))


@program("vanishing-gradient", family="regression")
def targets_of_a_thousandth(seed):
    """The last layer scales by 1e-3: losses and gradients are near 1e-6."""
    (x, y), (x_val, y_val) = surface(seed)
    y, y_val = 1e-3 * y, 1e-3 * y_val
    model = mlp(5, layers.Rescaling(1e-3))
    model.compile(keras.optimizers.Adam(5e-3, epsilon=1e-12), "mse")
    return Run(model, x, y, (x_val, y_val), {"epochs": 12, "batch_size": 32}, explained(x_val, y_val))


@program("exploding-gradient", family="regression", held_out=True)
def prices_in_thousands_with_the_absolute_error(seed):
    """Targets around 200 without scaling; the absolute error's gradient has no scale, and Adam's rate is large."""
    (x, y), (x_val, y_val) = surface(seed)
    y, y_val = 200 + 80 * y, 200 + 80 * y_val
    model = mlp(5)
    schedule = keras.optimizers.schedules.CosineDecay(3e-2, 1200)
    model.compile(ADAM(schedule), "mae")
    return Run(model, x, y, (x_val, y_val), {"epochs": 25, "batch_size": 32}, explained(x_val, y_val))


@program("exploding-gradient", family="regression")
def standardized_house_prices(seed):
    """Inputs and targets standardized by hand."""
    (x, y), (x_val, y_val) = surface(seed)
    mean, std = y.mean(), y.std()
    y, y_val = (y - mean) / std, (y_val - mean) / std
    model = mlp(5)
    model.compile(SGD(0.03, momentum=0.9), "mse")
    return Run(model, x, y, (x_val, y_val), {"epochs": 15, "batch_size": 32}, explained(x_val, y_val))


@program("underfit", family="regression")
def half_of_the_variance_is_noise(seed):
    """The loss stays at the noise floor, in training and validation alike; the score is against the truth."""
    train, validation = surface(seed, noise=1.0)
    x_val = validation[0]
    clean = np.sin(2 * x_val[:, 0]) + 0.5 * x_val[:, 1] * x_val[:, 2] + 0.5 * x_val[:, 3]
    schedule = keras.optimizers.schedules.CosineDecay(5e-3, 470)
    model = mlp(5, units=24)
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=0.02), "mse")
    return Run(model, *train, validation, {"epochs": 10, "batch_size": 32}, explained(x_val, clean))


@program("slow-learning", family="linear", held_out=True)
def linear_regression_at_its_floor(seed):
    """Converged after two epochs; the other ten are flat."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1200, 8)).astype("float32")
    y = (x @ rng.normal(size=8) + 1.0 * rng.normal(size=1200)).astype("float32")
    train, validation = split(x, y, seed)
    model = sequential((8,), layers.Dense(1))
    model.compile(SGD(0.05), "mse")
    return Run(model, *train, validation, {"epochs": 12, "batch_size": 32}, explained(*validation))


@program("underfit", family="regression")
def diabetes(seed):
    """No model explains much more than half of the variance of these targets."""
    (x, y), (x_val, y_val) = table("diabetes", seed)
    mean, std = y.mean(), y.std()
    y, y_val = (y - mean) / std, (y_val - mean) / std
    body = [layers.Dense(16, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01)), layers.Dropout(0.2)]
    model = sequential((10,), *body, layers.Dense(1))
    model.compile(ADAM(3e-3), "mse")
    return Run(model, x, y, (x_val, y_val), {"epochs": 20, "batch_size": 16}, explained(x_val, y_val))


@program("oscillating-loss", family="regression", held_out=True)
def outliers_with_a_huber_loss(seed):
    """3 % of the training targets are off by up to 30 deviations."""
    (x, y), (x_val, y_val) = surface(seed)
    rng = np.random.default_rng(seed + 1)
    y = np.where(rng.uniform(size=len(y)) < 0.03, y + 30 * rng.uniform(-1, 1, len(y)), y).astype("float32")
    model = mlp(5)
    model.compile(ADAM(5e-3), keras.losses.Huber(0.5))
    return Run(model, x, y, (x_val, y_val), {"epochs": 15, "batch_size": 32}, explained(x_val, y_val))


@program("exploding-gradient", family="regression")
def large_early_gradients(seed):
    """Targets lie ten deviations from zero; the output's bias first has to travel."""
    (x, y), (x_val, y_val) = surface(seed)
    y, y_val = y + 10, y_val + 10
    model = mlp(5)
    model.compile(ADAM(1e-2), "mse")
    return Run(model, x, y, (x_val, y_val), {"epochs": 20, "batch_size": 32}, explained(x_val, y_val))


@program("exploding-gradient", family="regression", held_out=True)
def bias_of_the_output_set_to_the_mean(seed):
    (x, y), (x_val, y_val) = surface(seed)
    y, y_val = 15 + 4 * y, 15 + 4 * y_val
    head = layers.Dense(1, bias_initializer=keras.initializers.Constant(float(y.mean())))
    model = sequential((5,), layers.Dense(64, activation="relu"), layers.Dense(64, activation="relu"), head)
    model.compile(ADAM(5e-3), "mse")
    return Run(model, x, y, (x_val, y_val), {"epochs": 15, "batch_size": 32}, explained(x_val, y_val))


@program("unscaled-input", family="regression")
def normalization_layer_adapted_to_raw_columns(seed):
    """Columns from 1e-3 to 1e5, standardized by the first layer."""
    (x, y), (x_val, y_val) = surface(seed)
    scale, offset = np.array([1e-3, 1, 50, 1e3, 1e5]), np.array([0.01, -3, 200, 0, 3e5])
    x, x_val = ((part * scale + offset).astype("float32") for part in (x, x_val))
    first = layers.Normalization()
    first.adapt(x)
    hidden = [layers.Dense(64, activation="relu") for _ in range(2)]
    model = sequential((5,), first, *hidden, layers.Dense(1))
    model.compile(ADAM(5e-3), "mse")
    return Run(model, x, y, (x_val, y_val), {"epochs": 12, "batch_size": 32}, explained(x_val, y_val))


@program("too-much-regularization", family="linear")
def a_line_of_the_lecture(seed):
    """Sixty points, one weight, one bias, found to the last digit."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (60, 1)).astype("float32")
    y = (3 * x[:, 0] - 2).astype("float32")
    model = sequential((1,), layers.Dense(1))
    model.compile(SGD(0.2), "mse")
    return Run(model, x, y, None, {"epochs": 30, "batch_size": 10}, explained(x, y))


@program("zig-zag", family="regression")
def several_targets_of_different_scale(seed):
    """Three targets in one output, standardized; each is a different function of the same inputs."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (1600, 4)).astype("float32")
    y = np.stack([np.sin(3 * x[:, 0]), x[:, 1] * x[:, 2], np.abs(x[:, 3])], axis=1)
    train, validation = split(x, ((y - y.mean(axis=0)) / y.std(axis=0)).astype("float32"), seed)
    model = sequential((4,), layers.Dense(64, activation="gelu"), layers.Dense(64, activation="gelu"), layers.Dense(3))
    model.compile(ADAM(3e-3), "mse")
    return Run(model, *train, validation, {"epochs": 20, "batch_size": 32}, explained(*validation))


@program("saturation", family="regression", held_out=True)
def sine_with_tanh_units(seed):
    """A curve over [−1, 1] with large first kernels: many tanh units are saturated, and must be."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (1000, 1)).astype("float32")
    y = np.sin(9 * x[:, 0]).astype("float32")
    train, validation = split(x, y, seed)
    first = layers.Dense(64, activation="tanh", kernel_initializer=keras.initializers.RandomNormal(stddev=8.0),
                         bias_initializer=keras.initializers.RandomUniform(-8.0, 8.0))  # fmt: skip
    model = sequential((1,), first, layers.Dense(1))
    model.compile(ADAM(1e-2), "mse")
    return Run(model, *train, validation, {"epochs": 30, "batch_size": 32}, explained(*validation))


@program("underfit", family="regression")
def quantile_loss(seed):
    """The pinball loss of the median, half of the absolute error, written as a function."""
    (x, y), (x_val, y_val) = surface(seed, noise=0.3)

    def pinball(y_true, y_pred):
        error = keras.ops.reshape(y_true, keras.ops.shape(y_pred)) - y_pred
        return keras.ops.mean(keras.ops.maximum(0.5 * error, -0.5 * error), axis=-1)

    model = mlp(5)
    model.compile(keras_lecture.optimizers.Adam(5e-3), pinball)
    return Run(model, x, y, (x_val, y_val), {"epochs": 15, "batch_size": 32}, explained(x_val, y_val))
