"""The experiment of `signals`: values and gradients in ten layers of 500 units under six initializations."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture import _backend, initializers
from keras_lecture._core import checks
from keras_lecture._core.random_state import same_random_state
from keras_lecture.figures.experiments._numbers import plain

# Name → activation, initializer, whether `rescale` follows.
STARTS = {
    "N(0, 0.01²), tanh": ("tanh", initializers.Gaussian(0.01), False),
    "N(0, 1), tanh": ("tanh", initializers.Gaussian(1.0), False),
    "Xavier, tanh": ("tanh", initializers.Xavier(), False),
    "Xavier, ReLU": ("relu", initializers.Xavier(), False),
    "Kaiming, ReLU": ("relu", initializers.Kaiming(), False),
    "N(0, 0.01²), ReLU, rescaled": ("relu", initializers.Gaussian(0.01), True),
}
_BINS = 40
# The values of tanh, of ReLU, and the decades of the sizes of gradients.
_RANGES = {"tanh": (-1.0, 1.0), "relu": (0.0, 4.0), "gradient": (-8.0, 8.0)}


def signals(*, seed: int = 0, layers: int = 10, units: int = 500, samples: int = 1000) -> dict[str, Any]:
    """Sends standard normal inputs through deep networks, and a standard normal gradient back from the outputs.

    The numbers per layer are those of `diagnosis.signals`, computed here by one compiled pass for all starts. Biases
    are 0, and all starts get the same inputs and gradients.

    Args:
        seed: Seed of the weights, inputs and gradients. Defaults to `0`.
        layers: Number of layers. Defaults to `10`.
        units: Units of every layer, and of the input. Defaults to `500`.
        samples: Number of samples. Defaults to `1000`.

    Returns:
        `layers`, `units`, and one entry per start under `forward` (the root mean square of the values of each layer),
        `backward` (that of the gradients of the loss in these values), `std` (of the values), `saturated` (the share of
        values at which tanh has under 5 % of its largest slope, or `None`) and `histograms`: `values` and `gradients`,
        each a `range` and one row of `shares` per layer. Gradients are counted by the decimal logarithm of their size;
        values and gradients outside the range are in no bin.

    Example:
        >>> data = keras_lecture.figures.experiments.signals(layers=2, units=50, samples=20)
        >>> [len(row) for row in data["forward"].values()]
        [2, 2, 2, 2, 2, 2]

    Reference:
        Decks A and C.
    """
    for name, value in (("seed", seed), ("layers", layers), ("units", units), ("samples", samples)):
        checks.whole("signals", name, value, "[0, ∞)" if name == "seed" else "[1, ∞)")
    generator = np.random.default_rng(seed)
    x, gradient = (generator.normal(size=(samples, units)).astype("float32") for _ in range(2))
    data: dict[str, Any] = {"layers": layers, "units": units}
    data |= {key: {} for key in ("forward", "backward", "std", "saturated", "histograms")}
    networks = {}
    with same_random_state():
        for name, (activation, initializer, rescaled) in STARTS.items():
            if activation not in networks:
                networks[activation] = _network(activation, layers, units)
            model, both_ways = networks[activation]
            initializers.initialize(model, type(initializer).from_config({**initializer.get_config(), "seed": seed}))
            if rescaled:
                initializers.rescale(model, x, verbose=0)
            _record(data, name, activation, *both_ways(x, gradient))
    return data


def _network(activation, layers, units):
    """A model, and a function that returns its values and their gradients in each layer."""
    dense = [keras.layers.Dense(units, activation, dtype="float32", name=f"layer_{i + 1}") for i in range(layers)]
    model = keras.Sequential([keras.Input((units,), dtype="float32"), *dense], name="signals")

    def loss(zeros, weights, x, gradient):
        # The gradient in a layer's output is that in a zero added to it; at the last output it is `gradient`.
        signal, values = x, []
        for layer, zero, own in zip(dense, zeros, weights, strict=True):
            signal = layer.stateless_call(own, [], signal)[0] + zero
            values.append(signal)
        return ops.sum(ops.multiply(gradient, signal)), values

    run = _backend.compile(_backend.value_and_grad(loss))

    def both_ways(x, gradient):
        weights = [[variable.value for variable in layer.trainable_variables] for layer in dense]
        x, gradient = ops.convert_to_tensor(x), ops.convert_to_tensor(gradient)
        (_, values), gradients = run([ops.zeros_like(x) for _ in dense], weights, x, gradient)
        return [[ops.convert_to_numpy(tensor) for tensor in tensors] for tensors in (values, gradients)]

    return model, both_ways


def _record(data, name, activation, values, gradients):
    data["forward"][name] = plain([np.sqrt(np.mean(np.square(tensor))) for tensor in values], 4)
    data["backward"][name] = plain([np.sqrt(np.mean(np.square(tensor))) for tensor in gradients], 4)
    data["std"][name] = plain([np.std(tensor) for tensor in values], 4)
    # The largest slope of tanh is 1, and that at the value a is 1 − a².
    flat = plain([np.mean(1 - np.square(tensor) < 0.05) for tensor in values], 4)
    data["saturated"][name] = flat if activation == "tanh" else None
    with np.errstate(divide="ignore"):
        decades = [np.log10(np.abs(tensor)) for tensor in gradients]
    data["histograms"][name] = {
        "values": _shares(values, _RANGES[activation]),
        "gradients": _shares(decades, _RANGES["gradient"]),
    }


def _shares(tensors, limits):
    counts = [np.histogram(tensor, _BINS, limits)[0] / tensor.size for tensor in tensors]
    return {"range": list(limits), "shares": plain(counts, 4)}
