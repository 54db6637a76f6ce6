"""`learning_rates`: the loss over the epochs at four learning rates."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_lecture import data as data_sets
from keras_lecture._core import checks
from keras_lecture._core.random_state import same_random_state
from keras_lecture.data import Batches
from keras_lecture.figures.experiments._numbers import plain
from keras_lecture.losses import SoftmaxCrossEntropy
from keras_lecture.models import mlp
from keras_lecture.optimizers import SGD

_RATES = {"low": 0.01, "good": 0.5, "high": 2.0, "very high": 12.0}


def learning_rates(
    *,
    seed: int = 0,
    rates: Mapping[str, float] | None = None,
    epochs: int = 30,
    examples: int = 640,
    noise: float = 0.2,
) -> dict[str, Any]:
    """Trains one classifier from one start at four constant learning rates, by stochastic gradient descent.

    Use it to recognize a learning rate by its loss curve. The classifier is linear, and a share of the labels is
    random, so that no weights fit all examples: without that the noise of the gradient vanishes at the solution, and
    a high rate gets there, too.

        w ← w − ηg    on batches of 32 handwritten digits, in the same order at every η

    Args:
        seed: Seed of the labels, the start and the order of the examples.
        rates: Name and learning rate η of each curve. Defaults to `None`: low 0.01, good 0.5, high 2, very high 12.
        epochs: Epochs of each run. Defaults to `30`.
        examples: Number of digits. Defaults to `640`.
        noise: Share of labels that are drawn at random. Defaults to `0.2`.

    Returns:
        `rates`, and by the same names `loss` and `accuracy` on the training data at the start and after each epoch. A
        number that is not finite is `None`.

    Example:
        >>> data = keras_lecture.figures.experiments.learning_rates(rates={"good": 1.0}, epochs=2, examples=64)
        >>> len(data["loss"]["good"])
        3

    Reference:
        Deck C (implications of the learning rate), after the notes of CS231n.
    """
    checks.whole("learning_rates", "epochs", epochs)
    checks.whole("learning_rates", "examples", examples, "[1, 1797]")
    checks.number("learning_rates", "noise", noise, "[0, 1]")
    rates = dict(_RATES if rates is None else rates)
    x, y = _digits(seed, examples, noise)
    found: dict[str, Any] = {"rates": rates, "loss": {}, "accuracy": {}}
    with same_random_state():
        # One model for all runs, so that its steps are compiled once.
        model = mlp(x.shape[1:], 10, units=())
        model.compile(SGD(), SoftmaxCrossEntropy(), metrics=["accuracy"])
        # Zeros and one order of the examples, so that the curves are those of every backend.
        start = [np.zeros_like(weight) for weight in model.get_weights()]
        for name, rate in rates.items():
            model.set_weights(start)
            model.optimizer.learning_rate = rate
            before = model.evaluate(x, y, batch_size=examples, verbose=0, return_dict=True)
            after = model.fit(
                Batches(x, y, batch_size=32, seed=seed),
                epochs=epochs,
                shuffle=False,
                validation_data=(x, y),
                validation_batch_size=examples,
                verbose=0,
            ).history
            for key in ("loss", "accuracy"):
                found[key][name] = plain([before[key], *after[f"val_{key}"]])
    return found


def _digits(seed, count, noise):
    x, y = data_sets.load("digits")
    random = np.random.default_rng(seed)
    rows = random.permutation(len(y))[:count]
    labels = np.where(random.random(count) < noise, random.integers(0, 10, count), y[rows])
    return x[rows].reshape(count, -1).astype("float32"), labels.astype("int32")
