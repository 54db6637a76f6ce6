"""Data, scores and the decorator of the healthy programs.

A score is a skill: 0 for the best constant answer, 1 for a perfect one.
"""

import functools

import keras
import numpy as np
from sklearn import datasets
from ward.ward import healthy


def program(misleads, *, family, held_out=False):
    """Enters a healthy program that is built with all of Keras's random seeds set."""

    def enter(build):
        @functools.wraps(build)
        def seeded(seed):
            keras.utils.set_random_seed(seed)
            return build(seed)

        return healthy(misleads, family=family, held_out=held_out)(seeded)

    return enter


def split(x, y, seed, share=0.25):
    """Shuffled rows: `(x, y), (x_val, y_val)`."""
    order = np.random.default_rng(seed).permutation(len(x))
    cut = int(len(x) * (1 - share))
    train, validation = order[:cut], order[cut:]
    return (x[train], y[train]), (x[validation], y[validation])


def standardized(train, validation):
    """Both parts with the mean and the deviation of the training part."""
    (x, y), (x_val, y_val) = train, validation
    mean, std = x.mean(axis=0), x.std(axis=0)
    std = np.where(std > 0, std, 1)
    return ((x - mean) / std, y), ((x_val - mean) / std, y_val)


def digits(seed, standardize=False):
    """Rows of 64 pixels in [0, 1], or standardized column by column; ten classes."""
    x, y = datasets.load_digits(return_X_y=True)
    parts = split((x / 16).astype("float32"), y.astype("int32"), seed)
    return standardized(*parts) if standardize else parts


def digit_images(seed):
    """Images of 8×8 pixels in [0, 1] with one channel."""
    (x, y), (x_val, y_val) = digits(seed)
    return (x.reshape(-1, 8, 8, 1), y), (x_val.reshape(-1, 8, 8, 1), y_val)


def table(name, seed):
    """One of scikit-learn's tables, inputs standardized: `breast_cancer`, `wine`, `iris` or `diabetes`."""
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    kind = "float32" if name == "diabetes" else "int32"
    return standardized(*split(x.astype("float32"), y.astype(kind), seed))


def rings(seed, samples=1600, noise=0.06):
    """Two concentric circles in the plane."""
    x, y = datasets.make_circles(samples, noise=noise, factor=0.5, random_state=seed)
    return split(x.astype("float32"), y.astype("int32"), seed)


def crescents(seed, samples=1600, noise=0.15):
    """Two interleaved half circles in the plane."""
    x, y = datasets.make_moons(samples, noise=noise, random_state=seed)
    return split(x.astype("float32"), y.astype("int32"), seed)


def clusters(seed, samples=1600, features=12, classes=3, distance=3.0):
    """Unit Gaussians around random centers, `distance` the scale of the centers' norm."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(classes, features))
    centers *= distance / np.linalg.norm(centers, axis=1, keepdims=True)
    y = rng.integers(classes, size=samples)
    return split((centers[y] + rng.normal(size=(samples, features))).astype("float32"), y.astype("int32"), seed)


def surface(seed, samples=2000, features=5, noise=0.1):
    """A smooth nonlinear function of standard normal inputs, of unit scale, with noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, features))
    y = np.sin(2 * x[:, 0]) + 0.5 * x[:, 1] * x[:, 2] + 0.5 * x[:, 3] + noise * rng.normal(size=samples)
    return split(x.astype("float32"), y.astype("float32"), seed)


def waves(seed, samples=1200, length=24, noise=0.1):
    """Sequences of one channel; three classes by shape: sine, square and sawtooth, of random phase and period."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=samples)
    phase, period = rng.uniform(0, 1, (samples, 1)), rng.uniform(6, 14, (samples, 1))
    turn = (np.arange(length) / period + phase) % 1
    kinds = np.stack([np.sin(2 * np.pi * turn), np.where(turn < 0.5, 1.0, -1.0), 2 * turn - 1], axis=1)
    x = kinds[np.arange(samples), y] + noise * rng.normal(size=(samples, length))
    return split(x[..., None].astype("float32"), y.astype("int32"), seed)


def sentences(seed, samples=1500, length=16, words=50, padded=True):
    """Sequences of words 1 … `words` − 1, padded with 0; class 1 if more words lie in the upper half than in the lower.

    Sentences in which the two halves balance are left out.
    """
    rng = np.random.default_rng(seed)
    x = rng.integers(1, words, size=(samples * 2, length))
    lengths = rng.integers(4 if padded else length, length + 1, size=samples * 2)
    x[np.arange(length) >= lengths[:, None]] = 0
    difference = np.where(x >= words // 2, 1, np.where(x > 0, -1, 0)).sum(axis=1)
    chosen = np.flatnonzero(difference != 0)[:samples]
    return split(x[chosen].astype("int32"), (difference[chosen] > 0).astype("int32"), seed)


def answers(model, x, output=None):
    """The model's predictions in float32; `output` chooses among several."""
    predictions = model.predict(x, batch_size=256, verbose=0)
    if output is not None:
        predictions = predictions[output]
    return np.asarray(predictions, "float32")


def accuracy(x, y, *, threshold=0.5, output=None):
    """The skill of a classifier by the mean recall of the classes: 0 for one and the same answer to all."""
    true = np.asarray(y)
    true = true.argmax(axis=-1) if true.ndim > 1 and true.shape[-1] > 1 else true.reshape(-1)
    true = np.maximum(true, 0).astype(int)
    present = np.unique(true)

    def score(model):
        p = answers(model, x, output)
        guess = (p.reshape(-1) > threshold).astype(int) if p.shape[-1] == 1 else p.argmax(axis=-1)
        recall = np.mean([np.mean(guess[true == label] == label) for label in present])
        return float((recall - 1 / len(present)) / (1 - 1 / len(present)))

    return score


def explained(x, y, *, output=None):
    """The explained share of the variance of a regression."""
    true = np.asarray(y, "float64")

    def score(model):
        error = answers(model, x, output).reshape(true.shape) - true
        return float(1 - np.mean(error**2) / np.mean((true - true.mean(axis=0)) ** 2))

    return score


def sequential(shape, *layers, dtype=None):
    """A Sequential model on inputs of `shape`."""
    return keras.Sequential([keras.Input(shape, dtype=dtype), *layers])
