"""Multilayer perceptrons of any depth."""

from collections.abc import Sequence

import keras

from keras_lecture._core import checks
from keras_lecture.initializers import Kaiming, PositiveBias, Xavier
from keras_lecture.models._parts import Parts

# Linear around zero: they keep the signal that Xavier's weights keep. The others drop about half of it.
LINEAR_AT_ZERO = ("linear", "sigmoid", "softsign", "tanh")


def mlp(
    input_shape=(784,),
    classes: int = 10,
    *,
    units: Sequence[int] = (512, 512),
    activation="relu",
    dropout: float = 0.0,
    normalization=None,
    name: str = "mlp",
):
    """A multilayer perceptron: dense layers one after the other, of any depth.

    Use it for data without neighborhood, and as the first thing to try. Images are flattened.

        s = W_L·h_{L−1} + b_L,    h_l = D(f(N(W_l·h_{l−1} + b_l))),    h₀ = x

    L − 1 the number of `units`, f `activation`, N `normalization`, D dropout, s the scores: for
    `SoftmaxCrossEntropy`, which takes scores, not probabilities. `units=()` is the linear classifier.

    Weights start by `Xavier` before tanh, softsign, sigmoid and the scores, with biases of zero; before a rectifier by
    `Kaiming`, with biases of 0.01.

    Args:
        input_shape: Shape of one input, without the batch. Defaults to `(784,)`.
        classes: Number of scores. Defaults to `10`.
        units: Units of each hidden layer. Defaults to `(512, 512)`.
        activation: A name or a function. Defaults to `"relu"`.
        dropout: Rate of the dropout after each hidden layer. Defaults to `0.0`.
        normalization: `"batch"`, `"group"`, `"layer"`, `None`, or a layer, of which every place gets a copy. With one,
            dense layers have no bias. Defaults to `None`.
        name: Name of the model. Defaults to `"mlp"`.

    Returns:
        A functional `keras.Model` from inputs to scores.

    Example:
        >>> model = keras_lecture.models.mlp((8, 8, 1), 10, units=(32,))
        >>> model.output_shape, model.count_params()
        ((None, 10), 2410)

    Reference:
        Deck D. Deviation: none.
    """
    checks.whole("mlp", "classes", classes)
    checks.instance("mlp", "units", units, (tuple, list), "a sequence of whole numbers, one for each hidden layer")
    for count in units:
        checks.whole("mlp", "units", count)
    parts = Parts("mlp", dropout=dropout, normalization=normalization)
    activation = keras.activations.get(activation)
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten(name="flatten")(inputs) if len(inputs.shape) > 2 else inputs
    for place, count in enumerate(units, 1):
        layer = f"hidden_{place}"
        dense = keras.layers.Dense(count, name=layer, use_bias=parts.normalization is None, **_start(activation))
        x = parts.normalized(dense(x), layer)
        x = keras.layers.Activation(activation, name=f"{layer}_activation")(x)
        x = parts.drop(x, layer)
    return keras.Model(inputs, parts.scores(x, classes), name=name)


def _start(activation) -> dict:
    if getattr(activation, "__name__", "") in LINEAR_AT_ZERO:
        return {"kernel_initializer": Xavier()}
    return {"kernel_initializer": Kaiming(), "bias_initializer": PositiveBias()}
