"""The experiment of `activations`: values, derivatives and means of every activation function of the library."""

from typing import Any

import numpy as np
from keras import ops

from keras_lecture import _backend
from keras_lecture import activations as functions
from keras_lecture._core import checks
from keras_lecture.figures.experiments._numbers import plain


def activations(*, seed: int = 0, points: int = 401, samples: int = 100_000) -> dict[str, Any]:
    """Evaluates each function of `keras_lecture.activations` with its derivative, and on standard normal inputs.

    Maxout, a function of several scores, is evaluated at x and −x/2.

    Args:
        seed: Seed of the normal inputs. Defaults to `0`.
        points: Number of points in [−5, 5]. Defaults to `401`, among them 0.
        samples: Number of normal inputs. Defaults to `100_000`.

    Returns:
        `x`, and one entry per function: `value` and `derivative` at x, `mean` and `mean_derivative` for normal inputs
        and the share `flat` of the interval where the derivative is below 0.05 in size.

    Example:
        >>> data = keras_lecture.figures.experiments.activations(points=11, samples=10)
        >>> data["derivative"]["leaky_relu"][:2]
        [0.1, 0.1]

    Reference:
        Decks A, B and C.
    """
    checks.whole("activations", "seed", seed, "[0, ∞)")
    checks.whole("activations", "points", points, "[2, ∞)")
    checks.whole("activations", "samples", samples)
    x = np.linspace(-5.0, 5.0, points)
    normal = np.random.default_rng(seed).normal(size=samples)
    data: dict[str, Any] = {"x": plain(x, 5)}
    data |= {key: {} for key in ("value", "derivative", "mean", "mean_derivative", "flat")}
    for name in functions.__all__:
        # One call for both inputs: JAX compiles each function once.
        value, derivative = _with_derivative(name, np.append(x, normal))
        data["value"][name], data["derivative"][name] = plain(value[:points], 5), plain(derivative[:points], 5)
        data["mean"][name] = plain(value[points:].mean(), 5)
        data["mean_derivative"][name] = plain(derivative[points:].mean(), 5)
        data["flat"][name] = plain(np.mean(np.abs(derivative[:points]) < 0.05), 5)
    return data


def _with_derivative(name, x):
    function = getattr(functions, name)

    def total(weights):
        (x,) = weights
        scores = ops.stack([x, -0.5 * x], axis=-1) if name == "maxout" else x
        values = ops.reshape(function(scores), ops.shape(x))
        return ops.sum(values), values

    # The sum over points that do not influence each other has the derivative of each.
    start = [ops.convert_to_tensor(x, dtype="float32")]
    (_, value), (derivative,) = _backend.compile(_backend.value_and_grad(total))(start)
    return [ops.convert_to_numpy(tensor).astype("float64") for tensor in (value, derivative)]
