"""Healthy use of data: imbalance, weights, noisy labels, small or absent validation sets, orders, second fits."""

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

import keras_lecture

ADAM, SGD = keras.optimizers.Adam, keras.optimizers.SGD
SPARSE = "sparse_categorical_crossentropy"


def binary(features, *, units=32, rate=5e-3, metrics=("accuracy",)):
    """A compiled net with one sigmoid."""
    model = sequential((features,), layers.Dense(units, activation="relu"), layers.Dense(1, activation="sigmoid"))
    model.compile(ADAM(rate), "binary_crossentropy", metrics=list(metrics), weighted_metrics=[])
    return model


def rare(seed, samples=3000, distance=5.0):
    """Two classes, 95:5."""
    rng = np.random.default_rng(seed)
    y = (rng.uniform(size=samples) < 0.05).astype("int32")
    x = rng.normal(size=(samples, 8))
    x[:, 0] += distance / 2 * (2 * y - 1)
    x[:, 1] += distance / 3 * y
    return split(x.astype("float32"), y, seed)


@program("unbalanced-batches", family="mlp")
def one_in_twenty(seed):
    """95:5, and an honest accuracy on both classes without any weights."""
    train, validation = rare(seed)
    return Run(binary(8), *train, validation, {"epochs": 10, "batch_size": 32}, accuracy(*validation))


@program("unbalanced-batches", family="mlp", held_out=True)
def rare_class_with_class_weights(seed):
    """The weighted training loss is not comparable with the validation loss."""
    train, validation = rare(seed, distance=4.0)
    run = {"epochs": 10, "batch_size": 32, "class_weight": {0: 1.0, 1: 15.0}}
    return Run(binary(8), *train, validation, run, accuracy(*validation))


@program("unbalanced-batches", family="mlp")
def balanced_batches_of_a_rare_class(seed):
    """Rare rows are repeated twenty times an epoch; the validation set keeps the natural frequencies."""
    train, validation = rare(seed, distance=4.0)
    batches = keras_lecture.data.BalancedBatches(*train, batch_size=32, seed=seed)
    return Run(binary(8), batches, None, validation, {"epochs": 4}, accuracy(*validation))


@program("bad-split", family="mlp")
def sample_weights_of_zero(seed):
    """A third of the rows is switched off by weights, as unlabeled rows are; their labels are all 0."""
    (x, y), validation = crescents(seed)
    weights = (np.arange(len(x)) % 3 != 0).astype("float32")
    run = {"epochs": 15, "batch_size": 32, "sample_weight": weights}
    return Run(binary(2, rate=1e-2), x, np.where(weights > 0, y, 0), validation, run, accuracy(*validation))


@program("unlearnable-labels", family="mlp")
def a_fifth_of_the_labels_is_wrong(seed):
    """20 % random labels in training and validation: the loss has a floor near .6, the score is on true labels."""
    (x, y), (x_val, y_val) = clusters(seed, samples=2400, distance=5.0)
    rng = np.random.default_rng(seed)

    def noisy(y):
        return np.where(rng.uniform(size=len(y)) < 0.2, rng.integers(3, size=len(y)), y).astype("int32")

    model = sequential((12,), layers.Dense(16, activation="relu"), layers.Dense(3, activation="softmax"))
    model.compile(SGD(0.05, momentum=0.5), SPARSE, metrics=["accuracy"])
    run = {"epochs": 6, "batch_size": 32}
    return Run(model, x, noisy(y), (x_val, noisy(y_val)), run, accuracy(x_val, y_val))


@program("bad-split", family="mlp", held_out=True)
def noisy_training_labels_and_clean_validation(seed):
    """Training loss far above validation loss, because only the training labels are noisy."""
    (x, y), validation = digits(seed)
    rng = np.random.default_rng(seed)
    y = np.where(rng.uniform(size=len(y)) < 0.2, rng.integers(10, size=len(y)), y).astype("int32")
    model = sequential((64,), layers.Dense(32, "relu"), layers.Dropout(0.3), layers.Dense(10, activation="softmax"))
    model.compile(ADAM(2e-3), SPARSE, metrics=["accuracy"])
    return Run(model, x, y, validation, {"epochs": 10, "batch_size": 32}, accuracy(*validation))


@program("underfit", family="linear")
def coin_flips_with_a_known_bias(seed):
    """Labels drawn with probabilities of .1 to .9: loss .5 at best. The score compares with the true probability."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(4000, 3)).astype("float32")
    p = 1 / (1 + np.exp(-(1.5 * x[:, 0] - x[:, 1])))
    y = (rng.uniform(size=4000) < p).astype("int32")
    model = sequential((3,), layers.Dense(1, activation="sigmoid"))
    model.compile(SGD(0.2), "binary_crossentropy", metrics=["accuracy"])
    run = {"epochs": 5, "batch_size": 32}
    return Run(model, x[:3000], y[:3000], (x[3000:], y[3000:]), run, explained(x[3000:], p[3000:]))


@program("bad-split", family="mlp")
def twenty_validation_rows(seed):
    """The validation loss jumps by chance."""
    (x, y), (x_val, y_val) = table("breast_cancer", seed)
    run = {"epochs": 12, "batch_size": 32}
    return Run(binary(30, rate=2e-3), x, y, (x_val[:20], y_val[:20]), run, accuracy(x_val, y_val))


@program("bad-split", family="mlp", held_out=True)
def no_validation_data(seed):
    train, validation = table("wine", seed)
    model = sequential((13,), layers.Dense(16, activation="relu"), layers.Dense(3, activation="softmax"))
    model.compile(ADAM(1e-2), SPARSE)
    return Run(model, *train, None, {"epochs": 10, "batch_size": 16}, accuracy(*validation))


@program("bad-split", family="mlp")
def validation_split_of_shuffled_rows(seed):
    """`fit` takes the last fifth of rows that were shuffled before."""
    train, held = rings(seed)
    run = {"epochs": 12, "batch_size": 32, "validation_split": 0.2}
    return Run(binary(2, rate=2e-2), *train, None, run, accuracy(*held))


@program("unshuffled-batches", family="mlp")
def mixed_rows_without_shuffling(seed):
    train, validation = digits(seed)
    model = sequential((64,), layers.Dense(64, activation="relu"), layers.Dense(10, activation="softmax"))
    model.compile(ADAM(3e-3), SPARSE, metrics=["accuracy"])
    run = {"epochs": 8, "batch_size": 32, "shuffle": False}
    return Run(model, *train, validation, run, accuracy(*validation))


@program("unshuffled-batches", family="mlp", held_out=True)
def rows_sorted_by_class_but_shuffled_by_fit(seed):
    """The table is in the order of the classes, as iris is; `fit` shuffles it."""
    (x, y), validation = table("iris", seed)
    order = np.argsort(y, kind="stable")
    model = sequential((4,), layers.Dense(16, activation="tanh"), layers.Dense(3, activation="softmax"))
    model.compile(ADAM(2e-2), SPARSE)
    return Run(model, x[order], y[order], validation, {"epochs": 20, "batch_size": 16}, accuracy(*validation))


@program("leaked-validation", family="mlp")
def coarse_features_repeat_between_the_parts(seed):
    """Few distinct rows exist at all, so many validation rows equal training rows by chance."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, size=(1600, 5))
    y = ((x[:, 0] + x[:, 1] * x[:, 2] - x[:, 3] + 0.7 * rng.normal(size=1600)) > 1).astype("int32")
    train, validation = split((x - 1).astype("float32"), y, seed)
    return Run(binary(5, rate=3e-3), *train, validation, {"epochs": 10, "batch_size": 32}, accuracy(*validation))


@program("slow-learning", family="mlp")
def second_fit_of_a_trained_model(seed):
    """Continues where the first fit ended: there is little left to learn."""
    train, validation = digits(seed)
    model = sequential((64,), layers.Dense(64, activation="relu"), layers.Dense(10, activation="softmax"))
    model.compile(ADAM(3e-3), SPARSE, metrics=["accuracy"])
    model.fit(*train, epochs=8, batch_size=32, verbose=0)
    run = {"epochs": 12, "initial_epoch": 8, "batch_size": 32}
    return Run(model, *train, validation, run, accuracy(*validation))


@program("leaked-validation", family="regression", held_out=True)
def third_fold_of_a_cross_validation(seed):
    """A new model on the rows of the third of four folds."""
    (x, y), _ = surface(seed, samples=2000)
    fold = np.arange(len(x)) % 4 == 2
    model = sequential((5,), *[layers.Dense(48, activation="relu") for _ in range(2)], layers.Dense(1))
    model.compile(ADAM(5e-3), "mse")
    held = x[fold], y[fold]
    return Run(model, x[~fold], y[~fold], held, {"epochs": 15, "batch_size": 32}, explained(*held))


@program("slow-learning", family="mlp")
def fine_tuning_with_a_small_rate(seed):
    """A second fit with a tenth of the rate on new rows."""
    (x, y), validation = digits(seed)
    model = sequential((64,), layers.Dense(64, activation="relu"), layers.Dense(10, activation="softmax"))
    model.compile(ADAM(3e-3), SPARSE)
    model.fit(x[:700], y[:700], epochs=8, batch_size=32, verbose=0)
    model.compile(ADAM(3e-4), SPARSE, metrics=["accuracy"])
    return Run(model, x[700:], y[700:], validation, {"epochs": 5, "batch_size": 32}, accuracy(*validation))


@program("overfit", family="mlp")
def sixty_rows_learned_by_heart(seed):
    """A generous net on few but telling rows: training loss near 0, and a validation loss that is good as well."""
    (x, y), (x_val, y_val) = clusters(seed, samples=400, features=6, distance=6.0)
    model = sequential((6,), layers.Dense(64, activation="relu"), layers.Dense(3, activation="softmax"))
    model.compile(ADAM(3e-3), SPARSE)
    return Run(model, x[:60], y[:60], (x_val, y_val), {"epochs": 40, "batch_size": 20}, accuracy(x_val, y_val))


@program("label-mismatch", family="mlp", held_out=True)
def a_spare_output_unit(seed):
    """Labels from 1 to 3 with four units: class 0 is reserved and never occurs."""
    (x, y), (x_val, y_val) = table("wine", seed)
    model = sequential((13,), layers.Dense(24, activation="relu"), layers.Dense(4, activation="softmax"))
    model.compile(ADAM(1e-2), SPARSE)
    run = {"epochs": 12, "batch_size": 16}
    return Run(model, x, y + 1, (x_val, y_val + 1), run, accuracy(x_val, y_val + 1))
