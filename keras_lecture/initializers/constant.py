"""Constant initializers: zeros and positive biases."""

import keras

from keras_lecture._core import checks
from keras_lecture._core.saving import register


@register
class Zeros(keras.initializers.Zeros):
    """All weights zero, right for biases; kernels that start at zero cannot learn different units.

    Use it to see why: all units of a layer get the same gradient and stay copies of one another.

        w = 0

    Example:
        >>> initializer = keras_lecture.initializers.Zeros()
        >>> float(keras.ops.sum(initializer((3, 2))))
        0.0

    Reference:
        Decks A, B, C. Deviation from `keras.initializers.Zeros`: none.
    """


@register
class PositiveBias(keras.initializers.Constant):
    """Biases slightly above zero, so that ReLU units are active for most inputs at the start.

    Use it as the `bias_initializer` of layers with ReLU; `initialize(model, PositiveBias(), where="biases")` sets the
    biases of a built model.

        b = c

    c `value`.

    Args:
        value: Bias c > 0. Defaults to `0.01`.

    Example:
        >>> layer = keras.layers.Dense(2, "relu", bias_initializer=keras_lecture.initializers.PositiveBias(0.25))
        >>> layer.build((None, 3))
        >>> keras.ops.convert_to_numpy(layer.bias).tolist()
        [0.25, 0.25]

    Reference:
        Deck C; Krizhevsky et al., 2012, section 5 (with 1). Deviation from `keras.initializers.Constant`: c > 0.
    """

    def __init__(self, value: float = 0.01) -> None:
        checks.number("PositiveBias", "value", value, "(0, ∞)")
        super().__init__(float(value))
