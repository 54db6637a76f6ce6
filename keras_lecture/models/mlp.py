"""Multilayer perceptrons."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_lecture._core import checks
from keras_lecture._core.types import Tensor
from keras_lecture.initializers import Kaiming, PositiveBias, Xavier
from keras_lecture.models._parts import Parts

# Linear around zero, as `Xavier` assumes; the others lose about half of the variance.
LINEAR_AT_ZERO = ("linear", "sigmoid", "softsign", "tanh")


def mlp(
    input_shape: Sequence[int] = (784,),
    classes: int = 10,
    *,
    units: Sequence[int] = (512, 512),
    activation: str | Callable[[Tensor], Tensor] = "relu",
    dropout: float = 0.0,
    normalization: str | keras.layers.Layer | None = None,
    name: str = "mlp",
) -> keras.Model:
    """A multilayer perceptron: a stack of dense layers of any depth.

    Use it for data without spatial structure, and as a first baseline. Images are flattened.

        s = W_L·h_{L−1} + b_L,    h_l = D(f(N(W_l·h_{l−1} + b_l))),    h₀ = x

    L − 1 the number of `units`, f `activation`, N `normalization`, D dropout, s the scores (logits), as
    `SoftmaxCrossEntropy` takes them. `units=()` is the linear classifier.

    Weights start by `Xavier` before linear, tanh, softsign and sigmoid units and the scores, with zero biases; before
    other activations by `Kaiming`, with biases of 0.01.

    Args:
        input_shape: Shape of one input, without the batch. Defaults to `(784,)`.
        classes: Number of scores. Defaults to `10`.
        units: Units of each hidden layer. Defaults to `(512, 512)`.
        activation: A name or a function. Defaults to `"relu"`.
        dropout: Rate of the dropout after each hidden layer. Defaults to `0.0`.
        normalization: `"batch"`, `"group"`, `"layer"`, `None`, or a layer, which is copied for every use. With
            normalization, hidden layers have no bias. Defaults to `None`.
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
    for i, count in enumerate(units, 1):
        layer = f"hidden_{i}"
        dense = keras.layers.Dense(count, name=layer, use_bias=parts.normalization is None, **_start(activation))
        x = parts.normalized(dense(x), layer)
        x = keras.layers.Activation(activation, name=f"{layer}_activation")(x)
        x = parts.drop(x, layer)
    return keras.Model(inputs, parts.scores(x, classes), name=name)


def _start(activation) -> dict[str, Any]:
    if getattr(activation, "__name__", "") in LINEAR_AT_ZERO:
        return {"kernel_initializer": Xavier()}
    return {"kernel_initializer": Kaiming(), "bias_initializer": PositiveBias()}
