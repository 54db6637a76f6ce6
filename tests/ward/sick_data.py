"""Faults of the data: scale, offset, missing values, labels of other rows, splits, order of the rows."""

import keras
import numpy as np
from ward import programs
from ward.programs import accuracy, train
from ward.ward import Run, case

CLASSES = "sparse_categorical_crossentropy"


@case("unscaled-input", family="mlp", held_out=True)
def breast_cancer_in_raw_units(sick, seed):
    """Areas of thousands beside fractal dimensions of 0.06, as the table comes."""
    data = programs.table("breast_cancer", seed, raw=sick)
    model = programs.mlp([16, 16], 1, "tanh", "sigmoid")
    return train(model, data, "binary_crossentropy", epochs=15, compiling={"metrics": ["accuracy"]})


@case("unscaled-input", "uncentered-input", family="cnn")
def images_in_bytes(sick, seed):
    """Pixels from 0 to 255 into a net that was tuned on pixels from 0 to 1."""
    data = programs.digits(seed, image=True)
    if sick:
        data = data._replace(x=data.x * 255, x_val=data.x_val * 255)
    optimizer = keras.optimizers.SGD(0.03, momentum=0.9)
    return train(programs.cnn(10), data, CLASSES, optimizer, epochs=8, compiling={"metrics": ["accuracy"]})


@case("unscaled-input", "uncentered-input", "saturation", family="recurrent")
def prices_into_an_lstm(sick, seed):
    """A series in dollars: the gates saturate at the first step."""
    data = programs.waves(seed)
    if sick:
        data = data._replace(x=2000 + 500 * data.x, x_val=2000 + 500 * data.x_val)
    return train(programs.recurrent(1), data, "mse", keras.optimizers.Adam(0.005), epochs=15)


@case("uncentered-input", "unscaled-input", family="regression")
def calendar_years(sick, seed):
    """The only feature is a year between 1980 and 2020."""
    data = programs.sine(seed)
    if sick:
        data = data._replace(x=2000 + 10 * data.x, x_val=2000 + 10 * data.x_val)
    return train(programs.mlp([32, 32], 1), data, "mse", keras.optimizers.Adam(0.005), epochs=25)


@case("uncentered-input", "unscaled-input", family="cnn")
def images_with_a_bright_background(sick, seed):
    """A sensor whose dark value is 20 times its signal."""
    data = programs.digits(seed, image=True)
    if sick:
        data = data._replace(x=data.x + 20, x_val=data.x_val + 20)
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    return train(programs.cnn(10), data, CLASSES, optimizer, epochs=8, compiling={"metrics": ["accuracy"]})


@case("uncentered-input", "unscaled-input", family="mlp", held_out=True)
def moons_in_map_coordinates(sick, seed):
    """Positions as degrees of longitude and latitude of one town."""
    data = programs.moons(seed)
    if sick:
        data = data._replace(x=data.x * 0.1 + [52.5, 13.4], x_val=data.x_val * 0.1 + [52.5, 13.4])
    model = programs.mlp([16, 16], 1, output_activation="sigmoid")
    return train(model, data, "binary_crossentropy", keras.optimizers.Adam(0.01), epochs=20)


@case("bad-split", "unscaled-input", family="mlp")
def validation_left_in_raw_units(sick, seed):
    """The scaler was fitted and applied to the training part only."""
    data = programs.table("breast_cancer", seed)
    if sick:
        data = data._replace(x_val=programs.table("breast_cancer", seed, raw=True).x_val)
    model = programs.mlp([32], 1, output_activation="sigmoid")
    return train(model, data, "binary_crossentropy", epochs=20, compiling={"metrics": ["accuracy"]})


@case("bad-split", family="mlp")
def validation_split_of_a_sorted_table(sick, seed):
    """`validation_split` takes the last rows: the table is sorted by class, so they are all of one class."""
    data = programs.table("wine", seed)
    order = np.argsort(data.y, kind="stable") if sick else np.arange(len(data.y))
    score = accuracy(data.x_val, data.y_val)
    data = data._replace(x=data.x[order], y=data.y[order], x_val=None, y_val=None)
    model = programs.mlp([32], 3, output_activation="softmax")
    optimizer = keras.optimizers.Adam(0.01)
    return train(model, data, CLASSES, optimizer, epochs=20, batch_size=16, score=score, validation_split=0.3)


@case("bad-split", family="regression", held_out=True)
def validation_beyond_the_training_range(sick, seed):
    """Rows sorted by the feature: validation extrapolates."""
    data = programs.sine(seed)
    if sick:
        x, y = np.concatenate([data.x, data.x_val]), np.concatenate([data.y, data.y_val])
        order = np.argsort(x[:, 0])
        data = programs.Data(x[order][:600], y[order][:600], x[order][600:], y[order][600:])
    return train(programs.mlp([32, 32], 1), data, "mse", keras.optimizers.Adam(0.005), epochs=25)


@case("leaked-validation", family="mlp", shows=False)
def validation_taken_from_training(sick, seed):
    """The validation rows were never removed from the training part."""
    data = programs.digits(seed)
    if sick:
        data = data._replace(x_val=data.x[:400], y_val=data.y[:400])
    model = programs.mlp([32], 10, output_activation="softmax")
    return train(model, data, CLASSES, epochs=10, compiling={"metrics": ["accuracy"]})


@case("leaked-validation", family="mlp", held_out=True, shows=False)
def oversampled_before_the_split(sick, seed):
    """The rare class is repeated tenfold, and then the rows are divided at random."""
    data = programs.table("breast_cancer", seed)
    rare = np.flatnonzero(data.y == 0)[:30]
    kept = np.concatenate([rare, np.flatnonzero(data.y == 1)])
    repeated = np.concatenate([np.repeat(rare, 10), np.flatnonzero(data.y == 1)])
    leaky = programs.split(data.x[repeated], data.y[repeated], seed)
    clean = data._replace(x=data.x[kept], y=data.y[kept])
    model = programs.mlp([32], 1, output_activation="sigmoid")
    return train(model, leaky if sick else clean, "binary_crossentropy", epochs=12)


@case("leaked-validation", family="regression", shows=False)
def validated_on_the_training_set(sick, seed):
    """`validation_data=(x, y)`, the very arrays of `fit`."""
    data = programs.table("diabetes", seed)
    if sick:
        data = data._replace(x_val=data.x, y_val=data.y)
    return train(programs.mlp([32], 1), data, "mse", epochs=15)


@case("unlearnable-labels", family="mlp")
def labels_shuffled_against_their_images(sick, seed):
    """Images and labels were shuffled separately."""
    data = programs.digits(seed)
    score = accuracy(data.x_val, data.y_val)
    if sick:
        data = data._replace(y=np.random.default_rng(seed).permutation(data.y))
    model = programs.mlp([32], 10, output_activation="softmax")
    return train(model, data, CLASSES, epochs=10, score=score, compiling={"metrics": ["accuracy"]})


@case("unlearnable-labels", family="regression")
def features_sorted_without_their_targets(sick, seed):
    """`np.sort(x, axis=0)` sorts every column by itself."""
    data = programs.table("diabetes", seed)
    if sick:
        data = data._replace(x=np.random.default_rng(seed).permuted(data.x, axis=0))
    return train(programs.mlp([16], 1), data, "mse", keras.optimizers.Adam(0.005), epochs=10)


@case("unlearnable-labels", family="attention", held_out=True)
def labels_one_row_late(sick, seed):
    """A header line in one of two files: each sentence has the label of its neighbor."""
    data = programs.sentences(seed)
    score = accuracy(data.x_val, data.y_val)
    if sick:
        data = data._replace(y=np.roll(data.y, 1), y_val=np.roll(data.y_val, 1))
    return train(programs.attention(2), data, CLASSES, keras.optimizers.Adam(0.005), epochs=6, score=score)


@case("non-finite", family="regression")
def a_missing_value_in_one_row(sick, seed):
    """One empty cell of the table became NaN."""
    data = programs.table("diabetes", seed)
    if sick:
        data.x[17, 3] = np.nan
    return train(programs.mlp([16], 1), data, "mse", keras.optimizers.Adam(0.005), epochs=10)


@case("non-finite", family="mlp")
def divided_by_a_spread_of_zero(sick, seed):
    """Standardization by column: some pixels are zero in all images."""
    data = programs.digits(seed)
    mean, spread = data.x.mean(axis=0), data.x.std(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = spread if sick else np.maximum(spread, 1e-3)
        data = data._replace(x=(data.x - mean) / spread, x_val=(data.x_val - mean) / spread)
    return train(programs.mlp([32], 10, output_activation="softmax"), data, CLASSES, epochs=6)


@case("non-finite", family="cnn", held_out=True)
def logarithm_of_dark_pixels(sick, seed):
    """Log intensities of images with pixels that are zero."""
    data = programs.digits(seed, image=True)
    with np.errstate(divide="ignore"):
        logarithm = np.log if sick else np.log1p
        data = data._replace(x=logarithm(data.x), x_val=logarithm(data.x_val))
    return train(programs.cnn(10), data, CLASSES, keras.optimizers.Adam(0.005), epochs=6)


@case("unbalanced-batches", family="mlp")
def one_defect_among_fifty_parts(sick, seed):
    """Two percent positives that overlap with the rest: the net learns to say no."""
    generator = np.random.default_rng(seed)
    y = (np.arange(1500) % 50 == 0).astype("int64")
    x = generator.normal(size=(1500, 4)) + 1.2 * y[:, None]
    data = programs.split(x.astype("float32"), y, seed, validation=0.4)
    model = programs.mlp([16], 1, output_activation="sigmoid")
    weights = None if sick else {0: 1.0, 1: 49.0}
    score = accuracy(data.x_val, data.y_val, balanced=True)
    return train(model, data, "binary_crossentropy", epochs=15, batch_size=16, score=score, class_weight=weights)


class ByFolder(keras.utils.PyDataset):
    """Batches of one class each, folder after folder, or of mixed rows."""

    def __init__(self, x, y, order):
        super().__init__()
        self.x, self.y = x[order], y[order]

    def __len__(self):
        return len(self.x) // 32

    def __getitem__(self, batch):
        rows = slice(32 * batch, 32 * batch + 32)
        return self.x[rows], self.y[rows]


@case("unbalanced-batches", "unshuffled-batches", family="cnn", held_out=True)
def batches_folder_by_folder(sick, seed):
    """A loader that empties the folder of one class before it opens the next."""
    data = programs.digits(seed, image=True)
    order = np.argsort(data.y, kind="stable") if sick else np.arange(len(data.y))
    folders = ByFolder(data.x, data.y, order)
    model = programs.cnn(10)
    model.compile(keras.optimizers.Adam(0.005), CLASSES)
    fit = {"epochs": 8, "shuffle": False}
    return Run(model, folders, None, (data.x_val, data.y_val), fit, accuracy(data.x_val, data.y_val))


@case("unshuffled-batches", "unbalanced-batches", "oscillating-loss", family="mlp")
def sorted_rows_without_shuffling(sick, seed):
    """Rows sorted by class, and `shuffle=False` "for reproducibility"."""
    data = programs.digits(seed)
    order = np.argsort(data.y, kind="stable")
    data = data._replace(x=data.x[order], y=data.y[order])
    model = programs.mlp([32], 10, output_activation="softmax")
    return train(model, data, CLASSES, keras.optimizers.SGD(0.1), epochs=8, shuffle=not sick)


@case("unshuffled-batches", "oscillating-loss", family="regression", held_out=True)
def targets_in_ascending_order(sick, seed):
    """A regression table exported in the order of its targets."""
    data = programs.sine(seed)
    order = np.argsort(data.y[:, 0])
    data = data._replace(x=data.x[order], y=data.y[order])
    model = programs.mlp([32, 32], 1, "tanh")
    return train(model, data, "mse", keras.optimizers.SGD(0.1), epochs=20, shuffle=not sick)
