"""The experiment of `batch_normalization`: a good and a bad start, with and without batch normalization."""

from typing import Any

import keras

from keras_lecture import data as datasets
from keras_lecture import diagnosis, initializers, layers, losses, models, optimizers
from keras_lecture._core import checks
from keras_lecture._core.random_state import same_random_state
from keras_lecture.figures.experiments._numbers import plain

STARTS = {"good start": initializers.Kaiming, "bad start": initializers.Gaussian}


def batch_normalization(
    *, seed: int = 0, depth: int = 6, units: int = 64, epochs: int = 10, learning_rate: float = 0.1
) -> dict[str, Any]:
    """Trains a deep ReLU network on scikit-learn's digits from two starts, each with and without batch normalization.

    The good start is Kaiming's, the bad one N(0, 0.01²). Training is by gradient descent on batches of 64.

    Args:
        seed: Seed of the split, the weights and the batches. Defaults to `0`.
        depth: Number of hidden layers. Defaults to `6`.
        units: Units of each hidden layer. Defaults to `64`.
        epochs: Passes through the 1078 training images. Defaults to `10`.
        learning_rate: η. Defaults to `0.1`.

    Returns:
        For each run, such as `"bad start, batch norm"`: `loss`, the training loss of each epoch, `accuracy` on the 719
        other images after each epoch, and `spread`, the standard deviation of each hidden layer's values on the first
        batch before training.

    Example:
        >>> data = keras_lecture.figures.experiments.batch_normalization(depth=2, units=8, epochs=1)
        >>> list(data["loss"])
        ['good start', 'good start, batch norm', 'bad start', 'bad start, batch norm']

    Reference:
        Deck A; Ioffe and Szegedy, 2015, arXiv:1502.03167.
    """
    checks.whole("batch_normalization", "seed", seed, "[0, ∞)")
    for name, value in (("depth", depth), ("units", units), ("epochs", epochs)):
        checks.whole("batch_normalization", name, value)
    x, y = datasets.load("digits")
    training, held_out = datasets.split(x.reshape(len(x), -1), y, (0.6, 0.4), seed=seed)
    found: dict[str, Any] = {"loss": {}, "accuracy": {}, "spread": {}}
    for start, initializer in STARTS.items():
        for name in (start, f"{start}, batch norm"):
            with same_random_state():
                keras.utils.set_random_seed(seed)
                # Exact statistics at inference: moving averages lag behind in so short a training.
                normalization = None if name == start else layers.BatchNormalization(statistics="population")
                model = models.mlp((64,), 10, units=(units,) * depth, normalization=normalization)
                initializers.initialize(model, initializer(seed=seed))
                rows = diagnosis.signals(model, training[0][:64]).rows
                model.compile(optimizers.SGD(learning_rate), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
                batches = datasets.Batches(*training, batch_size=64, seed=seed)
                options = {"validation_data": held_out, "validation_batch_size": len(held_out[0]), "verbose": 0}
                history = model.fit(batches, epochs=epochs, shuffle=False, **options).history
            found["loss"][name] = plain(history["loss"], 5)
            found["accuracy"][name] = plain(history["val_accuracy"], 5)
            found["spread"][name] = plain([row["std"] for row in rows if row["class"] == "Activation"], 5)
    return found
