"""`batch_size`: logistic regression with batches of several sizes and one learning rate."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_lecture import losses, optimizers
from keras_lecture._core import checks
from keras_lecture.data import Batches
from keras_lecture.figures.experiments._descent import Record
from keras_lecture.figures.experiments._numbers import plain

RATE = 0.1


def batch_size(
    *,
    seed: int = 0,
    samples: int = 10_000,
    features: int = 20,
    sizes: Sequence[int] = (1, 10, 100, 10_000),
    steps: int = 400,
) -> dict[str, Any]:
    """The loss of logistic regression over steps and over gradients of samples, for several batch sizes.

    Use it to see what a larger batch buys: not faster steps but a lower floor, at a higher price.

        E f − f* → η/(2b) · Σ hᵢ/(2 − ηhᵢ),   Var ∇f_b = Var ∇f_1 / b

    b the batch size, η the learning rate 0.1, hᵢ the eigenvalues of the Hessian at the minimum. The floor is that of
    independent batches near the minimum, for labels drawn from the model, where the covariance of the gradients is the
    Hessian. Here, as in `fit`, a sample comes once per epoch, so that over several epochs the noise cancels in part.

    Args:
        seed: Of the data and the order of the samples.
        samples: n. Defaults to `10000`.
        features: d. Defaults to `20`.
        sizes: The batch sizes b, at most n. Defaults to `(1, 10, 100, 10000)`.
        steps: Number of steps with each size. Defaults to `400`.

    Returns:
        A dict: `steps`, the numbers of the steps that are listed; `runs`, by size as a string, with the `loss` above
        the minimum after these, the mean `floor` of the last fifth and that of `theory` (`None` without noise), and the
        mean squared `deviation` of a batch's gradient from that of all samples, at the start.

    Example:
        >>> data = keras_lecture.figures.experiments.batch_size(samples=1000, features=5, sizes=(10, 1000), steps=20)
        >>> {size: run["loss"][-1] < run["loss"][0] for size, run in data["runs"].items()}
        {'10': True, '1000': True}

    Reference:
        Deck B (d = 20, n = 10⁴, fixed learning rate; its slide divides the variance by k where the batch size b is
        meant); Bottou, Curtis and Nocedal, 2018, arXiv:1606.04838, theorem 4.6.
    """
    for argument, value in (("samples", samples), ("features", features), ("steps", steps)):
        checks.whole("batch_size", argument, value, "[1, ∞)")
    for size in sizes:
        checks.whole("batch_size", "sizes", size, f"[1, {samples}]")
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, features)).astype("float32")
    truth = rng.normal(size=features) / np.sqrt(features)
    y = np.where(rng.random(samples) < 1 / (1 + np.exp(-x @ truth)), 1.0, -1.0).astype("float32")
    signed = y[:, None].astype("float64") * x
    best, curvatures = _minimum(signed)
    shown = _shown(steps)
    runs = {}
    for size in sizes:
        path = _path(x, y, size, steps, seed)
        loss = np.array([_loss(signed, w) for w in path[shown]]) - _loss(signed, best)
        runs[str(size)] = {
            "loss": plain(loss, 5),
            "floor": plain(np.mean(loss[shown > 0.8 * steps]), 5),
            "theory": None if size == samples else _floor(size, curvatures),
            "deviation": plain(_deviation(signed, size, rng), 5),
        }
    return {"seed": seed, "samples": samples, "features": features, "steps": shown.tolist(), "runs": runs}


def _shown(steps) -> np.ndarray:
    """The listed steps: every one at first, then every 1 %."""
    return np.unique([*range(min(20, steps) + 1), *np.linspace(0, steps, 101).astype(int)])


def _path(x, y, size, steps, seed) -> np.ndarray:
    """The weights before the first and after each step of `fit`."""
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((x.shape[1],)), layer])
    model.compile(optimizers.SGD(RATE), losses.Logistic())
    record = Record(layer.kernel, steps=steps)
    # One epoch of Keras for all passes of the data, as Keras takes long between two epochs.
    model.fit(_passes(x, y, size, seed), steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[record])
    return np.array(record.path, "float64")[..., 0]


def _floor(size, curvatures) -> float:
    return plain(RATE / (2 * size) * np.sum(curvatures / (2 - RATE * curvatures)), 5)


def _passes(x, y, size, seed) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The full batches of `data.Batches`, pass after pass; a smaller last one would be noisier."""
    batches = Batches(x, y, batch_size=size, seed=seed)
    for epoch in itertools.count():
        order = batches.order(epoch)
        for first in range(0, len(x) - size + 1, size):
            rows = order[first : first + size]
            yield x[rows], y[rows]


def _loss(signed, w) -> float:
    return float(np.mean(np.logaddexp(0, -signed @ w)))


def _minimum(signed) -> tuple[np.ndarray, np.ndarray]:
    """The minimum by Newton's method in float64, and the eigenvalues of the Hessian there."""
    w = np.zeros(signed.shape[1])
    for _ in range(20):
        p = 1 / (1 + np.exp(signed @ w))
        hessian = (signed * (p * (1 - p))[:, None]).T @ signed / len(signed)
        w += np.linalg.solve(hessian, signed.T @ p / len(signed))
    return w, np.linalg.eigvalsh(hessian)


def _deviation(signed, size, rng, draws=200) -> float:
    """The mean of ‖∇f_b − ∇f‖² at w = 0 over random batches, which may contain a sample twice."""
    mean = signed.mean(axis=0) / 2
    drawn = [signed[rng.integers(0, len(signed), size)].mean(axis=0) / 2 for _ in range(draws)]
    return float(np.mean(np.sum((np.array(drawn) - mean) ** 2, axis=1)))
