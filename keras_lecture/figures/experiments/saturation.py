"""The experiment of `saturation`: one sigmoid neuron, confidently wrong, under two losses."""

from typing import Any

import numpy as np
from keras import ops

from keras_lecture import _backend, losses, optimizers
from keras_lecture._core import checks
from keras_lecture.activations import sigmoid
from keras_lecture.figures.experiments._descent import Descent
from keras_lecture.figures.experiments._numbers import plain

# Name → whether the loss takes the probability or the score, and the loss.
LOSSES = {"quadratic loss": (True, losses.L2), "log-loss": (False, losses.BinaryCrossEntropy)}


def saturation(*, seed: int = 0, steps: int = 300, learning_rate: float = 0.15) -> dict[str, Any]:
    """Trains σ(w·x + b) from w = b = 2 on the one example x = 1, y = 0 by gradient descent, under either loss.

    Args:
        seed: Without effect: the experiment draws no random numbers.
        steps: Number of steps. Defaults to `300`.
        learning_rate: η. The slides do not print it. Defaults to `0.15`.

    Returns:
        `learning_rate`, and for each loss the lists `weight`, `bias`, `prediction`, `loss` and `gradient` (∂L/∂w), with
        `steps` + 1 numbers. `scores` and, over them, `loss_at` and `gradient_at` of each loss.

    Example:
        >>> data = keras_lecture.figures.experiments.saturation(steps=1)
        >>> round(data["gradient"]["quadratic loss"][0], 3), round(data["gradient"]["log-loss"][0], 3)
        (0.035, 0.982)

    Reference:
        Deck E. Nielsen, *Neural Networks and Deep Learning*, 2015, chapter 3, has the learning rate.
    """
    checks.whole("saturation", "seed", seed, "[0, ∞)")
    checks.whole("saturation", "steps", steps)
    checks.number("saturation", "learning_rate", learning_rate, "(0, ∞)")
    scores = np.linspace(-8.0, 8.0, 161)
    keys = ("weight", "bias", "prediction", "loss", "gradient", "loss_at", "gradient_at")
    data: dict[str, Any] = {"learning_rate": learning_rate, "scores": plain(scores, 5)} | {key: {} for key in keys}
    for name, (on_probability, loss) in LOSSES.items():
        weights, biases = _descend(on_probability, loss(), steps, learning_rate)
        at = weights + biases
        # ∂L/∂w is ∂L/∂s, because the input is 1.
        value, slope = _along(on_probability, loss(reduction="none"), at)
        data["weight"][name], data["bias"][name] = plain(weights, 5), plain(biases, 5)
        predictions = ops.convert_to_numpy(sigmoid(ops.convert_to_tensor(at, dtype="float32")))
        data["prediction"][name] = plain(predictions, 5)
        data["loss"][name], data["gradient"][name] = plain(value, 5), plain(slope, 5)
        value, slope = _along(on_probability, loss(reduction="none"), scores)
        data["loss_at"][name], data["gradient_at"][name] = plain(value, 5), plain(slope, 5)
    return data


def _descend(on_probability, loss, steps, learning_rate):
    """The weight and the bias before the first and after each step."""

    def objective(weights, x):
        score = ops.reshape(weights[0] * x[0] + weights[1], (1, 1))
        return loss(ops.zeros_like(score), sigmoid(score) if on_probability else score)

    path, _ = Descent(optimizers.SGD(learning_rate), objective, (2,)).run([2.0, 2.0], steps=steps)
    return path.T


def _along(on_probability, loss, scores):
    """The loss of the target 0 and its derivative at each score."""

    def total(weights):
        outputs = sigmoid(weights[0]) if on_probability else weights[0]
        each = loss(ops.zeros_like(outputs), outputs)
        return ops.sum(each), each

    start = [ops.convert_to_tensor(scores.astype("float32")[:, None])]
    (_, value), (slope,) = _backend.value_and_grad(total)(start)
    return np.ravel(ops.convert_to_numpy(value)), np.ravel(ops.convert_to_numpy(slope))
