"""Healthy programs after others: repaired programs of public benchmarks, in our words and on small data.

SO n: question n of Stack Overflow as repaired in Wardat-ISU/DeepLocalize, `Benchmark/StackOverflow` (48385830 and
48221692 also in dlfaults/HowRealAreThey); names alone are projects of `Benchmark/GitHub` there.
"""

import keras
import numpy as np
from keras import layers
from sklearn import datasets
from ward.healthy_data import accuracy, digit_images, digits, explained, program, sequential, split, standardized, table
from ward.ward import Run

ADAM, SGD, RMSPROP = keras.optimizers.Adam, keras.optimizers.SGD, keras.optimizers.RMSprop
SPARSE = "sparse_categorical_crossentropy"


def one_hot(part, classes):
    x, y = part
    return x, keras.utils.to_categorical(y, classes).astype("float32")


@program("saturation", family="mlp")
def public_exclusive_or_with_sigmoids(seed):
    """SO 31556268: four units, all sigmoids, squared error, four rows in a batch."""
    x = np.array([[1, 1], [1, 0], [0, 0], [0, 1]], "float32")
    y = np.array([[0], [1], [0], [1]], "float32")
    model = sequential((2,), layers.Dense(12, activation="sigmoid"), layers.Dense(1, activation="sigmoid"))
    model.compile(ADAM(0.2), "mse")
    return Run(model, x, y, None, {"epochs": 250, "batch_size": 4}, explained(x, y))


@program("learning-rate-too-high", family="mlp", held_out=True)
def public_large_rate_on_wide_sigmoids(seed):
    """SO 48385830: kernels and biases of deviation 1, sigmoids, a large rate, batches of ten, after Nielsen's book."""
    train, validation = (one_hot(part, 10) for part in digits(seed))
    draw = keras.initializers.RandomNormal(stddev=1.0)
    start = {"kernel_initializer": draw, "bias_initializer": draw}
    hidden = layers.Dense(30, activation="sigmoid", **start)
    model = sequential((64,), hidden, layers.Dense(10, activation="softmax", **start))
    model.compile(SGD(0.5), "categorical_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 10, "batch_size": 10}, accuracy(*validation))


@program("too-little-capacity", family="mlp")
def public_two_squares_with_two_sigmoids(seed):
    """SO 50306988: two classes in [0.2, 0.4]² and [0.5, 0.7]², two hidden sigmoids; inputs of small spread."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.uniform(0.2, 0.4, (400, 2)), rng.uniform(0.5, 0.7, (400, 2))]).astype("float32")
    train, validation = split(x, np.repeat([0, 1], 400).astype("int32"), seed)
    model = sequential((2,), layers.Dense(2, activation="sigmoid"), layers.Dense(1, activation="sigmoid"))
    model.compile(ADAM(0.1), "binary_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 25, "batch_size": 32}, accuracy(*validation))


@program("growing-signal", family="mlp")
def public_tower_that_widens(seed):
    """SO 50481178: layers of 10, 20, 30, 40 and 50 units, and `validation_split`."""
    x, y = datasets.make_classification(1600, 4, n_informative=4, n_redundant=0, class_sep=1.5, random_state=seed)
    train, held = split(x.astype("float32"), y.astype("int32"), seed)
    hidden = [layers.Dense(units, activation="relu") for units in (10, 20, 30, 40, 50)]
    model = sequential((4,), *hidden, layers.Dense(2, activation="softmax"))
    model.compile(ADAM(2e-3), SPARSE, metrics=["accuracy"])
    run = {"epochs": 12, "batch_size": 16, "validation_split": 0.1}
    return Run(model, *train, None, run, accuracy(*held))


@program("shrinking-signal", family="mlp", held_out=True)
def public_small_normal_kernels_on_scaled_iris(seed):
    """SO 59278771: columns in [0, 1] and kernels of deviation .05, so that the first signals are tiny."""
    x, y = datasets.load_iris(return_X_y=True)
    x = (x - x.min(axis=0)) / (x.max(axis=0) - x.min(axis=0))
    train, validation = (one_hot(part, 3) for part in split(x.astype("float32"), y, seed))
    start = {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.05)}
    hidden = [layers.Dense(units, activation="relu", **start) for units in (16, 16)]
    model = sequential((4,), *hidden, layers.Dense(3, activation="softmax", **start))
    model.compile(ADAM(1e-2), "categorical_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 50, "batch_size": 8}, accuracy(*validation))


@program("exploding-gradient", family="regression")
def public_parabola_in_raw_numbers(seed):
    """SO 48934338: fifty points of 5x² on [0, 5] with cubed noise; targets reach 125, and the first losses 3,000."""
    rng = np.random.default_rng(seed)
    x = np.arange(0.0, 5.0, 0.1, dtype="float32")[:, None]
    y = (5 * x**2 + rng.normal(size=(50, 1)) ** 3).astype("float32")
    model = sequential((1,), layers.Dense(50, activation="relu"), layers.Dense(30, activation="relu"), layers.Dense(1))
    model.compile(ADAM(1e-2), "mse")
    return Run(model, x, y, None, {"epochs": 150, "batch_size": 16}, explained(x, 5 * x**2))


@program("output-loss-mismatch", family="mlp")
def public_three_labels_from_counts(seed):
    """SO 38648195: counts of words as inputs, three labels that may occur together, two dropout layers."""
    x, y = datasets.make_multilabel_classification(2400, 20, n_classes=3, random_state=seed)
    train, validation = standardized(*split(x.astype("float32"), y.astype("float32"), seed))
    body = []
    for _ in range(2):
        body += [layers.Dense(48, activation="relu"), layers.Dropout(0.3)]
    model = sequential((20,), *body, layers.Dense(3, activation="sigmoid"))
    model.compile(SGD(0.1, momentum=0.9), "binary_crossentropy", metrics=["binary_accuracy"])
    x_val, y_val = validation

    def score(model):
        guess = model.predict(x_val, verbose=0) > 0.5
        return float(guess[y_val == 1].mean() + (~guess)[y_val == 0].mean() - 1)

    return Run(model, *train, validation, {"epochs": 10, "batch_size": 32}, score)


@program("too-little-capacity", family="regression", held_out=True)
def public_line_with_five_sigmoids(seed):
    """SO 48221692: one input, five sigmoids, the whole set in one batch."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.5, 1.5, (300, 1)).astype("float32")
    y = (0.8 * x[:, 0] + 0.1 * rng.normal(size=300)).astype("float32")
    train, validation = split(x, y, seed)
    model = sequential((1,), layers.Dense(5, activation="sigmoid"), layers.Dense(1))
    model.compile(SGD(0.2, momentum=0.9), "mse")
    return Run(model, *train, validation, {"epochs": 150, "batch_size": 225}, explained(*validation))


@program("dead-relu", family="mlp")
def public_funnel_of_five_hidden_layers(seed):
    """kerasma: 12, 24, 120, 36 and 12 ReLUs for a table, batches of ten."""
    train, validation = table("breast_cancer", seed)
    hidden = [layers.Dense(units, activation="relu") for units in (12, 24, 120, 36, 12)]
    model = sequential((30,), *hidden, layers.Dense(1, activation="sigmoid"))
    model.compile(ADAM(1e-3), "binary_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 8, "batch_size": 10}, accuracy(*validation))


@program("output-loss-mismatch", family="cnn")
def public_game_of_life(seed):
    """gol_nn: the next state of each cell of a closed field, squared error on sigmoids; a third of the cells lives."""
    rng = np.random.default_rng(seed)
    field = (rng.uniform(size=(500, 8, 8)) < 0.5).astype("int32")
    moves = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]
    around = sum(np.roll(field, move, axis=(1, 2)) for move in moves)
    y = ((around == 3) | ((field == 1) & (around == 2))).astype("float32")[..., None]
    x = np.pad(field, ((0, 0), (1, 1), (1, 1)), mode="wrap").astype("float32")[..., None]
    body = [layers.Conv2D(24, 3, activation="relu"), layers.Conv2D(16, 1, activation="relu")]
    model = sequential((10, 10, 1), *body, layers.Conv2D(1, 1, activation="sigmoid"))
    model.compile(ADAM(2e-2), "mse")
    validation = x[400:], y[400:]
    return Run(model, x[:400], y[:400], validation, {"epochs": 15, "batch_size": 16}, explained(*validation))


@program("dead-relu", family="regression", held_out=True)
def public_mean_of_two_numbers(seed):
    """Averaging_Neural_Networks: two linear units and two ReLUs, which positive kernels keep alive."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 101, (1600, 2)).astype("float32") / 100
    y = x.mean(axis=1)
    train, validation = split(x, y, seed)
    start = {"kernel_initializer": keras.initializers.RandomUniform(0.1, 0.9)}
    hidden = [layers.Dense(2, **start), layers.Dense(2, activation="relu", **start)]
    model = sequential((2,), *hidden, layers.Dense(1, **start))
    model.compile(RMSPROP(1e-3), "mse")
    return Run(model, *train, validation, {"epochs": 5, "batch_size": 10}, explained(*validation))


@program("too-little-capacity", family="mlp")
def public_reviews_as_sets_of_words(seed):
    """MovieReviews: rows of zeros with few ones, two layers of 16 with dropout of one half, large batches."""
    rng = np.random.default_rng(seed)
    tone = rng.normal(size=400)
    x = (rng.uniform(size=(3000, 400)) < 0.05).astype("float32")
    train, validation = split(x, (x @ tone > 0).astype("int32"), seed)
    body = []
    for _ in range(2):
        body += [layers.Dense(16, activation="relu"), layers.Dropout(0.5)]
    model = sequential((400,), *body, layers.Dense(1, activation="sigmoid"))
    model.compile(RMSPROP(5e-3), "binary_crossentropy", metrics=["binary_accuracy"])
    return Run(model, *train, validation, {"epochs": 12, "batch_size": 128}, accuracy(*validation))


@program("missing-activation", family="cnn")
def public_convolutions_without_activations(seed):
    """SO 59325381: the convolutions are linear, the pooling after them is not."""
    train, validation = (one_hot(part, 10) for part in digit_images(seed))
    body = [layers.Conv2D(16, 3, padding="same"), layers.MaxPooling2D(), layers.Conv2D(16, 3, padding="same")]
    body += [layers.MaxPooling2D(), layers.Flatten(), layers.Dense(48, activation="relu")]
    model = sequential((8, 8, 1), *body, layers.Dense(10, activation="softmax"))
    model.compile(ADAM(4e-3), "categorical_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 6, "batch_size": 32}, accuracy(*validation))


@program("missing-activation", family="mlp", held_out=True)
def public_a_linear_layer_in_front(seed):
    """SO 55328966: a dense layer without an activation before the hidden one."""
    train, validation = (one_hot(part, 10) for part in digits(seed))
    body = [layers.Dense(64), layers.Dense(50, activation="relu")]
    model = sequential((64,), *body, layers.Dense(10, activation="softmax"))
    model.compile(SGD(0.1), "categorical_crossentropy", metrics=["accuracy"])
    return Run(model, *train, validation, {"epochs": 12, "batch_size": 32}, accuracy(*validation))
