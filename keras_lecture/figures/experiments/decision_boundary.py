"""`decision_boundary`: the boundary of a small network under L2 penalties of increasing strength."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.random_state import same_random_state
from keras_lecture.figures.experiments._numbers import plain
from keras_lecture.figures.experiments._side_by_side import network, outputs, side_by_side, train
from keras_lecture.losses import BinaryCrossEntropy
from keras_lecture.regularizers import L2, penalize

_TEST = 2000
_LIMITS = (-2.2, 3.2, -1.8, 2.3)


def decision_boundary(
    *,
    seed: int = 0,
    strengths: Sequence[float] = (0.0, 0.00001, 0.001, 0.1, 1.0, 10.0),
    examples: int = 60,
    units: int = 32,
    steps: int = 1500,
    grid: int = 60,
) -> dict[str, Any]:
    """Trains one network from one start on two noisy half-moons, under an L2 penalty of each strength.

    Use it to see what a penalty buys: a boundary that follows the classes instead of single examples.

        L = Σᵢ log(1 + e^(−yᵢf(xᵢ))) + λ Σ w²    over the kernels w, not over the biases

    Args:
        seed: Seed of the examples and of the start.
        strengths: The values of λ. Defaults to deck D's 0, 0.00001, 0.001, 1 and 10, and 0.1.
        examples: Number of training examples. Defaults to `60`.
        units: Units in each of the two hidden layers. Defaults to `32`.
        steps: Steps of `optimizers.Adam` on all examples. Defaults to `1500`.
        grid: Points of the map in each direction. Defaults to `60`.

    Returns:
        `strengths`, and for each of them `training_error`, `test_error` (shares), `loss` (without the penalty),
        `weight_norm` and `probability` of class 1 on the grid (rows from the bottom); `extent` of the grid, and the
        training examples `x`, `y`.

    Example:
        >>> data = keras_lecture.figures.experiments.decision_boundary(strengths=[1.0], steps=2, grid=4)
        >>> len(data["probability"][0]), len(data["test_error"])
        (4, 1)

    Reference:
        Deck D (decision boundary under λ = 0 … 10).
    """
    checks.whole("decision_boundary", "examples", examples, "[2, ∞)")
    for strength in strengths:
        checks.number("decision_boundary", "strengths", strength, "[0, ∞)")
    random = np.random.default_rng(seed)
    (x, y), test = _moons(random, examples), _moons(random, _TEST)
    found: dict[str, Any] = {"strengths": [float(strength) for strength in strengths]}
    found |= {"extent": list(_LIMITS), "x": np.round(x, 4).tolist(), "y": y.tolist()}
    with same_random_state():
        keras.utils.set_random_seed(seed)
        networks = [network(2, units) for _ in strengths]
        for one, strength in zip(networks, strengths, strict=True):
            penalize(one, L2(strength))
            one.set_weights(networks[0].get_weights())
        model = side_by_side(networks, BinaryCrossEntropy(reduction="sum"), learning_rate=0.02)
        train(model, x, y, steps)
        return found | _measured(model, networks, (x, y), test, grid)


def _measured(model, networks, training, test, grid):
    left, right, bottom, top = _LIMITS
    points = np.stack(np.meshgrid(np.linspace(left, right, grid), np.linspace(bottom, top, grid)), axis=-1)
    scores, unseen, on_grid = outputs(model, training[0], test[0], points.reshape(-1, 2).astype("float32"))
    loss = BinaryCrossEntropy(reduction="sum")
    return {
        "training_error": [_error(one, training[1]) for one in scores],
        "test_error": [_error(one, test[1]) for one in unseen],
        "loss": [plain(ops.convert_to_numpy(loss(training[1][:, None], one[:, None]))) for one in scores],
        "weight_norm": plain([_norm(one) for one in networks]),
        "probability": [np.round(1 / (1 + np.exp(-one)), 3).reshape(grid, grid).tolist() for one in on_grid],
    }


def _error(scores, y):
    return plain(np.mean((scores > 0) != y))


def _norm(model):
    kernels = (w for w in model.trainable_variables if w.path.endswith("kernel"))
    return np.sqrt(sum(np.sum(np.square(ops.convert_to_numpy(w.value).astype("float64"))) for w in kernels))


def _moons(random, count):
    """Two interleaved half-moons with normal noise, and their classes 0 and 1."""
    y = np.arange(count) % 2
    angle = random.uniform(0, np.pi, count)
    x = np.where(
        y[:, None] == 0,
        np.stack([np.cos(angle), np.sin(angle)], 1),
        np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], 1),
    )
    return (x + 0.35 * random.standard_normal((count, 2))).astype("float32"), y
