"""Programs of public benchmarks, described in our own words and built on our own data of the same kind.

Stack Overflow numbers and repositories are as in Wardat-ISU/DeepLocalize (folder Benchmark); 024 and 098 are numbers
of Defects4ML in dlfaults/HowRealAreThey (folder BenchDL4Real).
"""

import keras
import numpy as np
from keras import initializers, layers
from ward import programs
from ward.programs import accuracy, explained, likelihood, mlp, one_hot, train
from ward.ward import case

STACK_OVERFLOW = "Wardat-ISU/DeepLocalize, Stack Overflow "
GITHUB = "Wardat-ISU/DeepLocalize, GitHub "
CLASSES, BINARY = "sparse_categorical_crossentropy", "binary_crossentropy"
ACCURACY = {"metrics": ["accuracy"]}


def dropped(units, outputs, activation, output_activation, rate, **options):
    """Dense layers, each with dropout behind it."""
    hidden = [[layers.Dense(size, activation=activation, **options), layers.Dropout(rate)] for size in units]
    return keras.Sequential([*sum(hidden, []), layers.Dense(outputs, activation=output_activation, **options)])


@case("output-loss-mismatch", family="mlp", held_out=True, source=STACK_OVERFLOW + "31880720")
def rows_of_ones_or_zeros(sick, seed):
    """Rows of only ones against rows of only zeros, softmax of one unit."""
    y = np.random.default_rng(seed).integers(0, 2, 600)
    data = programs.split(np.repeat(y[:, None], 128, axis=1).astype("float32"), y, seed)
    model = dropped([50, 50], 1, "relu", "softmax" if sick else "sigmoid", 0.2)
    return train(model, data, BINARY, "rmsprop", epochs=5, compiling=ACCURACY)


@case("output-loss-mismatch", family="regression", held_out=True, source=STACK_OVERFLOW + "33969059")
def weighted_sum_through_a_softmax(sick, seed):
    """A weighted sum of three numbers by two small tanh layers and a softmax of one unit; without their dropout."""
    x = np.random.default_rng(seed).uniform(size=(800, 3)).astype("float32")
    data = programs.split(x, (x @ [[2.0], [1.0], [0.5]] / 3.5).astype("float32"), seed)
    model = mlp([3, 2], 1, "tanh", "softmax" if sick else None)
    return train(model, data, "mse", keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), epochs=20)


@case("unscaled-input", "slow-learning", family="mlp", source=STACK_OVERFLOW + "34673164")
def bounded_net_on_raw_columns(sick, seed):
    """Raw columns into tanh layers with dropout and a softmax trained by squared error."""
    data = one_hot(programs.table("wine", seed, raw=sick), 3)
    score = accuracy(data.x_val, data.y_val.argmax(axis=1))
    model = dropped([64, 64], 3, "tanh", "softmax", 0.5, kernel_initializer="random_uniform")
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)
    return train(model, data, "mse", optimizer, epochs=20, batch_size=16, score=score)


@case(
    "slow-learning",
    "vanishing-gradient",
    "learning-rate-too-low",
    "underfit",
    family="autoencoder",
    source=STACK_OVERFLOW + "39217567",
)
def bits_through_three_sigmoids(sick, seed):
    """Seven-bit numbers to their reverse: three sigmoid layers, normal kernels, squared error, plain descent."""
    bits = ((np.arange(1024)[:, None] % 128 >> np.arange(7)) & 1).astype("float32")
    data = programs.split(bits, bits[:, ::-1], seed)
    score = explained(data.x_val, data.y_val)
    width, activation, initializer = (7, "sigmoid", "random_normal") if sick else (28, "relu", "he_normal")
    model = mlp([width, width], 7, activation, "sigmoid", kernel_initializer=initializer)
    loss, rate = ("mse", 0.01) if sick else (BINARY, 0.1)
    return train(model, data, loss, keras.optimizers.SGD(rate), epochs=30, score=score)


@case("unscaled-input", family="mlp", source=STACK_OVERFLOW + "39525358")
def three_raw_columns(sick, seed):
    """Three columns of different units into a small rectified net."""
    data = programs.table("breast_cancer", seed, raw=sick)
    data = data._replace(x=data.x[:, [3, 8, 23]], x_val=data.x_val[:, [3, 8, 23]])
    model = mlp([12, 3], 1, output_activation="sigmoid", kernel_initializer="random_uniform")
    score = likelihood(data.x_val, data.y_val)
    return train(model, data, BINARY, epochs=30, batch_size=10, score=score, compiling=ACCURACY)


@case(
    "output-loss-mismatch",
    "dead-relu",
    "unscaled-input",
    family="mlp",
    held_out=True,
    source=STACK_OVERFLOW + "44066044",
)
def rectified_probability(sick, seed):
    """Raw columns, and a ReLU where a probability is expected."""
    data = programs.table("breast_cancer", seed, raw=sick)
    data = data._replace(x=data.x[:, :11], x_val=data.x_val[:, :11])
    model = mlp([12, 12], 1, output_activation="relu" if sick else "sigmoid", kernel_initializer="random_normal")
    return train(model, data, BINARY, epochs=20, batch_size=16, compiling=ACCURACY)


@case("output-loss-mismatch", "unscaled-input", family="mlp", source=STACK_OVERFLOW + "45442843")
def one_column_and_a_softmax(sick, seed):
    """One raw column, one sigmoid unit, a softmax of one unit, absolute error."""
    data = programs.table("breast_cancer", seed, raw=sick)
    data = data._replace(x=data.x[:, :1], x_val=data.x_val[:, :1])
    model = mlp([1], 1, "sigmoid", "softmax" if sick else "sigmoid")
    optimizer = "rmsprop" if sick else keras.optimizers.RMSprop(0.02)
    return train(model, data, "mae" if sick else BINARY, optimizer, epochs=30, compiling=ACCURACY)


@case("output-loss-mismatch", "dead-relu", family="cnn", held_out=True, source=STACK_OVERFLOW + "47352366")
def rectified_classes(sick, seed):
    """Two convolutions, a dense layer with dropout, and ReLU on the ten outputs."""
    data = one_hot(programs.digits(seed, image=True))
    score = likelihood(data.x_val, data.y_val.argmax(axis=1))
    head = [layers.Dense(64, activation="relu"), layers.Dropout(0.5)]
    last = layers.Dense(10, activation="relu" if sick else "softmax")
    model = keras.Sequential([*programs.cnn(10).layers[:-1], *head, last])
    return train(model, data, "categorical_crossentropy", epochs=10, score=score, compiling=ACCURACY)


@case("output-loss-mismatch", "saturation", family="regression", source=STACK_OVERFLOW + "48221692")
def straight_line_through_a_sigmoid(sick, seed):
    """Five sigmoid units and a sigmoid output for a line that leaves [0, 1]."""
    data = programs.sine(seed)
    data = data._replace(y=2 * data.x, y_val=2 * data.x_val)
    model = mlp([5], 1, "sigmoid", "sigmoid" if sick else None)
    return train(model, data, "mse", "sgd", epochs=40)


@case("output-loss-mismatch", "dead-relu", family="regression", source=STACK_OVERFLOW + "48251943")
def rectified_signed_result(sick, seed):
    """Two inputs, four rectified units, a ReLU on a result between −1 and 1."""
    data = programs.xor(seed)
    y, y_val = ((part[:, :1] - part[:, 1:]) / 2 for part in (data.x, data.x_val))
    data = data._replace(y=y, y_val=y_val)
    model = mlp([4], 1, "relu", "relu" if sick else "tanh")
    return train(model, data, "mse", "sgd", epochs=50, batch_size=10)


@case(
    "exploding-loss",
    "learning-rate-too-high",
    "non-finite",
    "output-loss-mismatch",
    "growing-signal",
    family="mlp",
    held_out=True,
    source=STACK_OVERFLOW + "48385830",
)
def digits_by_two_linear_layers(sick, seed):
    """Thirty and ten linear units, unit normal weights, squared error, descent at a rate of 3."""
    data = one_hot(programs.digits(seed))
    score = accuracy(data.x_val, data.y_val.argmax(axis=1))
    normal = {"kernel_initializer": initializers.RandomNormal(stddev=1.0)}
    model = mlp([30], 10, None if sick else "sigmoid", None if sick else "softmax", **normal)
    loss, rate = ("mse", 3.0) if sick else ("categorical_crossentropy", 0.5)
    return train(model, data, loss, keras.optimizers.SGD(rate), epochs=10, batch_size=10, score=score)


@case(
    "learning-rate-too-high",
    "exploding-loss",
    "non-finite",
    "dead-relu",
    family="regression",
    source=STACK_OVERFLOW + "48934338",
)
def parabola_at_a_high_rate(sick, seed):
    """y = 5x² for x up to 5, two rectified layers, descent at 0.1."""
    x = np.random.default_rng(seed).uniform(0, 5, (400, 1)).astype("float32")
    data = programs.split(x, 5 * x**2, seed)
    return train(mlp([50, 30], 1), data, "mse", keras.optimizers.SGD(0.1 if sick else 5e-5), epochs=40)


@case(
    "underfit", "cut-short", "slow-learning", "learning-rate-too-low", family="mlp", source=STACK_OVERFLOW + "50306988"
)
def five_epochs_for_two_ranges(sick, seed):
    """Two classes from two ranges of numbers, two sigmoid units, five epochs instead of fifty."""
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 2, 800)
    x = generator.uniform(0.2, 0.4, (800, 2)) + 0.3 * y[:, None]
    data = programs.split(x.astype("float32"), y, seed)
    score = likelihood(data.x_val, data.y_val)
    model = mlp([2], 2, "sigmoid", "softmax")
    return train(model, data, CLASSES, "adam", epochs=5 if sick else 100, score=score, compiling=ACCURACY)


@case("output-loss-mismatch", family="mlp", source=STACK_OVERFLOW + "51930566 and 59278771")
def iris_by_three_sigmoids(sick, seed):
    """Raw iris, four rectified units, sigmoid on exclusive classes."""
    data = one_hot(programs.table("iris", seed, raw=sick), 3)
    score = likelihood(data.x_val, data.y_val.argmax(axis=1))
    model = mlp([4] if sick else [8], 3, "relu", "sigmoid" if sick else "softmax")
    optimizer = keras.optimizers.Adam(0.001 if sick else 0.01)
    fit = {"epochs": 40, "batch_size": 5, "score": score, "compiling": ACCURACY}
    return train(model, data, "categorical_crossentropy", optimizer, **fit)


@case(
    "unscaled-input",
    "saturation",
    "slow-learning",
    "learning-rate-too-low",
    family="regression",
    source=STACK_OVERFLOW + "52800582",
)
def square_of_large_numbers(sick, seed):
    """x from −100 to 100 and its square, sigmoid and ELU layers, all rows in one batch."""
    x = np.random.default_rng(seed).uniform(-100, 100, (400, 1)).astype("float32")
    y = x**2
    if not sick:
        x, y = x / x.std(), (y - y.mean()) / y.std()
    first = layers.Dense(50, activation="sigmoid" if sick else "relu")
    model = keras.Sequential([first, layers.Dense(50, activation="elu"), layers.Dense(1)])
    return train(model, programs.split(x, y, seed), "mse", epochs=250, batch_size=300)


@case(
    "label-mismatch",
    "unlearnable-labels",
    family="cnn",
    held_out=True,
    source="dlfaults/HowRealAreThey, Defects4ML 098",
)
def labels_divided_instead_of_images(sick, seed):
    """The scaling of the second line of images was typed for the labels: nearly all are class 0."""
    data = programs.digits(seed, image=True)
    score = accuracy(data.x_val, data.y_val)
    if sick:
        data = data._replace(y=(data.y / 255).astype("float32"), y_val=(data.y_val / 255).astype("float32"))
    return train(programs.cnn(10), data, CLASSES, keras.optimizers.Adam(0.005), epochs=6, score=score)


@case(
    "learning-rate-too-high",
    "exploding-loss",
    "too-little-capacity",
    family="multi-output",
    source=GITHUB + "FacialKeypointsDetection; dlfaults/HowRealAreThey, Defects4ML 024",
)
def keypoints_by_adam_at_a_tenth(sick, seed):
    """Coordinates in an image by three dense layers without activations, Adam at 0.1."""
    data = programs.digits(seed)
    mixing = np.random.default_rng(seed).normal(size=(64, 10)) / 4
    data = data._replace(y=(data.x - 0.5) @ mixing, y_val=(data.x_val - 0.5) @ mixing)
    repaired = keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True, clipnorm=1)
    optimizer = keras.optimizers.Adam(0.1) if sick else repaired
    return train(mlp([50, 100], 10, None), data, "mse", optimizer, epochs=15)
