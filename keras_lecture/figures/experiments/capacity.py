"""`capacity`: training and test error over the width of a network, and over the steps of its training."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lecture._core import checks
from keras_lecture._core.random_state import same_random_state
from keras_lecture.figures.experiments._numbers import plain
from keras_lecture.figures.experiments._side_by_side import network, outputs, side_by_side, train
from keras_lecture.losses import L2

_NOISE = 0.3
_TEST = 1000
_LIMIT = 3.0


def capacity(
    *,
    seed: int = 0,
    widths: Sequence[int] = (1, 2, 4, 16, 64),
    examples: int = 24,
    steps: int = 1500,
    measurements: int = 15,
) -> dict[str, Any]:
    """Fits networks of increasing width to few noisy values of a sine, and measures both errors while they train.

    Use it to see under- and overfitting, over the size of the network as over the length of the training.

        y = sin(1.5x) + 0.3·ε,  ε ~ N(0, 1),    error = mean (f(x) − y)²

    Args:
        seed: Seed of the examples and of the start.
        widths: Units of each of the two hidden layers, one network for each width. Defaults to `(1, 2, 4, 16, 64)`.
        examples: Number of training examples. Defaults to `24`.
        steps: Steps of `optimizers.Adam` on all examples. Defaults to `1500`.
        measurements: Number of times that the errors are measured. Defaults to `15`.

    Returns:
        `widths`; `steps` of the measurements; `training_error` and `test_error`, one list over the steps for each
        width; the training examples `x`, `y`; `curve_x`, and `curves`, the values there of each network at the end;
        `noise`, the variance of the noise, below which no test error can lie for long.

    Example:
        >>> data = keras_lecture.figures.experiments.capacity(widths=[2], steps=4, measurements=2)
        >>> data["steps"], len(data["test_error"][0])
        ([2, 4], 2)

    Reference:
        Deck D (under- and overfitting; training and validation curves), after Goodfellow et al., 2016, section 5.2.
    """
    checks.whole("capacity", "examples", examples)
    checks.whole("capacity", "measurements", measurements)
    checks.whole("capacity", "steps", steps, f"[{measurements}, ∞)")
    random = np.random.default_rng(seed)
    (x, y), (x_test, y_test) = _sine(random, examples), _sine(random, _TEST)
    line = np.linspace(-_LIMIT, _LIMIT, 121, dtype="float32")[:, None]
    found: dict[str, Any] = {"widths": [int(width) for width in widths], "noise": _NOISE**2}
    errors: list[tuple[list[float], list[float]]] = []
    with same_random_state():
        keras.utils.set_random_seed(seed)
        model = side_by_side([network(1, width) for width in widths], L2(reduction="sum"), learning_rate=0.03)
        for _ in range(measurements):
            train(model, x, y, steps // measurements)
            values, unseen, curves = outputs(model, x, x_test, line)
            errors.append((_errors(values, y), _errors(unseen, y_test)))
    training, test = (np.array(kind).T.tolist() for kind in zip(*errors, strict=True))
    return found | {
        "steps": [(i + 1) * (steps // measurements) for i in range(measurements)],
        "training_error": training,
        "test_error": test,
        "x": plain(np.ravel(x)),
        "y": plain(y),
        "curve_x": plain(np.ravel(line)),
        "curves": plain(curves),
    }


def _sine(random, count):
    x = random.uniform(-_LIMIT, _LIMIT, count)
    y = np.sin(1.5 * x) + _NOISE * random.standard_normal(count)
    return x[:, None].astype("float32"), y.astype("float32")


def _errors(values, y):
    return plain(np.mean((values - y) ** 2, axis=1))
