"""Data, small nets and scores that the sick programs share. Every function is deterministic in its seed."""

import os
from typing import Any, NamedTuple

import keras
import numpy as np
import sklearn.datasets
from keras import layers
from ward.ward import Run


class Data(NamedTuple):
    """Training and validation parts."""

    x: Any
    y: Any
    x_val: Any
    y_val: Any


def split(x, y, seed, validation=0.25):
    """Shuffles the rows and divides them."""
    order = np.random.default_rng(seed).permutation(len(x))
    kept = len(x) - int(validation * len(x))
    train, held = order[:kept], order[kept:]
    return Data(x[train], y[train], x[held], y[held])


def standardized(data):
    """Features with mean 0 and spread 1, by the statistics of the training part."""
    mean, spread = data.x.mean(axis=0), data.x.std(axis=0)
    spread = np.where(spread > 0, spread, 1)
    return data._replace(
        x=((data.x - mean) / spread).astype("float32"), x_val=((data.x_val - mean) / spread).astype("float32")
    )


def one_hot(data, classes=10):
    y, y_val = (keras.utils.to_categorical(part, classes) for part in (data.y, data.y_val))
    return data._replace(y=y, y_val=y_val)


def digits(seed, image=False):
    """1,797 images of 8 × 8 pixels in [0, 1], 10 classes."""
    x, y = sklearn.datasets.load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    return split(x.reshape(-1, 8, 8, 1) if image else x, y, seed)


def rows(seed):
    """The digits as sequences of eight rows."""
    data = digits(seed, image=True)
    return data._replace(x=data.x[..., 0], x_val=data.x_val[..., 0])


def table(name, seed, raw=False):
    """`breast_cancer`, `wine`, `iris` or `diabetes`; features standardized unless `raw`, diabetes's targets always."""
    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    if name == "diabetes":
        y = ((y - y.mean()) / y.std()).astype("float32")[:, None]
    data = split(x.astype("float32"), y, seed)
    return data if raw else standardized(data)


def moons(seed, samples=1000, noise=0.1):
    x, y = sklearn.datasets.make_moons(samples, noise=noise, random_state=seed)
    return split(x.astype("float32"), y, seed)


def circles(seed, samples=1000):
    x, y = sklearn.datasets.make_circles(samples, noise=0.08, factor=0.5, random_state=seed)
    return split(x.astype("float32"), y, seed)


def xor(seed, samples=800):
    x = np.random.default_rng(seed).uniform(-1, 1, (samples, 2)).astype("float32")
    return split(x, (x[:, 0] * x[:, 1] > 0).astype("int64"), seed)


def blobs(seed, samples=1000, centers=3, spread=1.0):
    x, y = sklearn.datasets.make_blobs(samples, centers=centers, cluster_std=spread, random_state=seed + 1)
    return standardized(split(x.astype("float32"), y, seed))


def sine(seed, samples=800, noise=0.1):
    """One feature in [−2, 2], target sin(2x) with noise."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(-2, 2, (samples, 1)).astype("float32")
    return split(x, (np.sin(2 * x) + noise * generator.normal(size=x.shape)).astype("float32"), seed)


def sums(seed, samples=800, length=16):
    """Sequences of numbers; the class is the sign of their sum."""
    x = np.random.default_rng(seed).normal(size=(samples, length, 1)).astype("float32")
    return split(x, (x.sum(axis=(1, 2)) > 0).astype("int64"), seed)


def waves(seed, samples=800, length=16):
    """Pieces of sine waves of unknown phase and frequency; the target is the next value."""
    generator = np.random.default_rng(seed)
    phase, frequency = generator.uniform(0, 6.28, (samples, 1)), generator.uniform(0.2, 0.6, (samples, 1))
    series = np.sin(phase + frequency * np.arange(length + 1)) + 0.05 * generator.normal(size=(samples, length + 1))
    series = series.astype("float32")
    return split(series[:, :-1, None], series[:, -1:], seed)


def sentences(seed, samples=800, length=12, words=20):
    """Sequences of word numbers; the class says whether words of the first half of the vocabulary prevail."""
    x = np.random.default_rng(seed).integers(0, words, (samples, length))
    return split(x.astype("int32"), ((x < words // 2).sum(axis=1) > length // 2).astype("int64"), seed)


def mnist(seed, samples=2000):
    """Images of the file that the environment variable MNIST names, an `.npz` with `x` (bytes) and `y`."""
    with np.load(os.environ["MNIST"]) as file:
        x, y = (file["x"][:samples, ..., None] / 255).astype("float32"), file["y"][:samples].astype("int64")
    return split(x, y, seed)


HAS_MNIST = os.path.exists(os.environ.get("MNIST", ""))


def mlp(units, outputs, activation="relu", output_activation=None, **options):
    """Dense layers; `options` go to the hidden ones."""
    hidden = [layers.Dense(size, activation=activation, **options) for size in units]
    return keras.Sequential([*hidden, layers.Dense(outputs, activation=output_activation)])


def cnn(outputs, filters=(8, 16), activation="relu", output_activation="softmax", **options):
    """Convolutions, pooling over all positions of a 2 × 2 grid, one dense layer; `options` go to the convolutions."""
    convolutions = [layers.Conv2D(size, 3, padding="same", activation=activation, **options) for size in filters]
    head = [layers.MaxPooling2D(4), layers.Flatten(), layers.Dense(outputs, activation=output_activation)]
    return keras.Sequential([*convolutions, *head])


def residual(blocks, use_bias=False, momentum=0.9):
    """Residual blocks of convolution, batch norm, ReLU, convolution, batch norm."""
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    options = {"padding": "same", "use_bias": use_bias, "kernel_initializer": "he_normal"}
    for _ in range(blocks):
        y = layers.Conv2D(8, 3, **options)(x)
        y = layers.ReLU()(layers.BatchNormalization(momentum=momentum)(y))
        y = layers.Conv2D(8, 3, **options)(y)
        y = layers.BatchNormalization(momentum=momentum)(y)
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.Flatten()(layers.MaxPooling2D(4)(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def recurrent(outputs, output_activation=None, units=16, layer=layers.LSTM, **options):
    return keras.Sequential([layer(units, **options), layers.Dense(outputs, activation=output_activation)])


def attention(outputs, output_activation="softmax", words=20, width=16, dropout=0.0):
    """One transformer block over word vectors."""
    tokens = keras.Input((None,), dtype="int32")
    x = layers.Embedding(words, width)(tokens)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, width // 2)(x, x))
    x = layers.LayerNormalization()(x + layers.Dense(width)(layers.Dense(2 * width, activation="relu")(x)))
    x = layers.Dropout(dropout)(layers.GlobalAveragePooling1D()(x))
    return keras.Model(tokens, layers.Dense(outputs, activation=output_activation)(x))


def autoencoder(inputs, code=16, output_activation="sigmoid", **options):
    """Dense encoder and decoder; `options` go to the code."""
    return keras.Sequential(
        [
            layers.Dense(64, activation="relu"),
            layers.Dense(code, activation="relu", **options),
            layers.Dense(64, activation="relu"),
            layers.Dense(inputs, activation=output_activation),
        ]
    )


def train(model, data, loss, optimizer="adam", *, epochs, batch_size=32, score=None, compiling=None, **fit):
    """Compiles `model` and gives its run; `compiling` are further arguments of `compile`."""
    model.compile(optimizer=optimizer, loss=loss, **(compiling or {}))
    validation = None if data.x_val is None else (data.x_val, data.y_val)
    return Run(model, data.x, data.y, validation, {"epochs": epochs, "batch_size": batch_size, **fit}, score)


def predictions(model, x, output=None):
    predicted = model.predict(x, verbose=0)
    return np.asarray(predicted if output is None else predicted[output])


def accuracy(x, y, output=None, threshold=0.5, balanced=False):
    """Score: share of right classes, or its mean over the classes; `output` chooses one of several."""

    def score(model):
        predicted = predictions(model, x, output)
        single = predicted.shape[-1] == 1
        chosen = (predicted[..., 0] > threshold).astype(int) if single else predicted.argmax(axis=-1)
        right = np.asarray([(chosen == y)[y == each].mean() for each in np.unique(y)]) if balanced else chosen == y
        return float(right.mean())

    return score


def explained(x, y, output=None):
    """Score: explained share of the variance."""

    def score(model):
        error = np.mean(np.square(predictions(model, x, output) - y))
        return float(1 - error / np.var(y)) if np.isfinite(error) else -np.inf

    return score


def likelihood(x, y, output=None):
    """Score: mean log-likelihood of classes, for outputs that are probabilities."""

    def score(model):
        predicted = np.clip(predictions(model, x, output), 1e-7, 1 - 1e-7)
        if predicted.shape[-1] == 1:
            predicted = np.concatenate([1 - predicted, predicted], axis=-1)
        return float(np.log(predicted[np.arange(len(y)), y]).mean())

    return score


def default_score(run):
    """Accuracy on the validation part where labels are classes, else the explained variance."""
    if run.score is not None:
        return run.score
    x, y = run.validation_data
    if y.ndim == 1 and np.issubdtype(y.dtype, np.integer):
        return accuracy(x, y)
    return explained(x, y)
