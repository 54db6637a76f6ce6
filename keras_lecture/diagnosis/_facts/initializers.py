"""Whether a weight still looks exactly as its initializer draws it: a frozen layer that was never trained."""

import math

import keras
import numpy as np

from keras_lecture._core.connections import from_shape

_SMALLEST = 32


def looks_untouched(layer: keras.layers.Layer, name: str, values: np.ndarray) -> bool | None:
    """Whether the values can be a fresh draw of the layer's initializer; `None` if that cannot be decided.

    A uniform or truncated draw has a sharp bound, which training crosses at once; a normal draw has none.
    """
    initializer = getattr(layer, f"{name}_initializer", None)
    if isinstance(initializer, keras.initializers.Zeros):
        return bool(np.all(values == 0.0))
    if not isinstance(initializer, keras.initializers.VarianceScaling) or values.ndim < 2 or values.size < _SMALLEST:
        return None
    fans = from_shape(values.shape)
    mean = (fans.fan_in + fans.fan_out) / 2.0
    fan = {"fan_in": fans.fan_in, "fan_out": fans.fan_out, "fan_avg": mean}[initializer.mode]
    variance = initializer.scale / max(1.0, fan)
    if initializer.distribution == "uniform":
        bound = math.sqrt(3.0 * variance)
    elif initializer.distribution == "truncated_normal":
        bound = 2.0 * math.sqrt(variance) / 0.87962566103423978
    else:
        return None
    error = 4.0 / math.sqrt(2.0 * values.size)
    has_spread = abs(values.std() / math.sqrt(variance) - 1.0) < error
    return bool(np.abs(values).max() <= bound * (1.0 + 1e-6) and has_spread)
