"""Drawing the weights of a built model, with the fans of each kind of layer."""

from collections.abc import Callable

import keras

from keras_lecture._core import checks
from keras_lecture._core.assignment import assign_copy
from keras_lecture._core.copies import with_seed
from keras_lecture._core.types import Tensor
from keras_lecture._core.weights import refuse_adapted, select


def initialize(
    model: keras.layers.Layer,
    initializer: Callable[..., Tensor],
    where: str | Callable[[keras.Variable], bool] = "kernels",
) -> list[str]:
    """Redraws weights of a built model, with the right fans for every kind of layer, and returns their paths.

    Use it right after building a model. A layer passes only the shape of its kernel to an initializer, and the shape
    does not identify depthwise, grouped, transposed and strided convolutions. Here the fans come from the layer:

        dense, convolution    n_in = k·c_in/g         n_out = k·c_out/(g·s)
        depthwise             n_in = k                n_out = k·m/s
        transposed            n_in = k·c_in/s         n_out = k·c_out
        EinsumDense           n_in = Π summed axes    n_out = Π axes new in the output

    k the number of pixels of the kernel, s that of the stride, g `groups`, m `depth_multiplier`. A separable
    convolution counts as a depthwise and a dense one; an embedding has n_in = 1; for a custom layer the fans come from
    the shape of its kernel, `(…, in, out)`. Fans are means over all pixels except those at the borders. Any initializer
    works; only the values change, so a clone of the model starts from the layers' own initializers.

    Args:
        model: A built Keras model or layer.
        initializer: For example `Kaiming(seed=0)`. A seed holds for the whole model; all weights get different numbers.
        where: `"kernels"`, `"biases"`, `"all"`, or a predicate on the variable. Defaults to `"kernels"`.

    Returns:
        The paths of the redrawn weights.

    Example:
        >>> model = keras.Sequential([keras.Input((8, 8, 64)), keras.layers.DepthwiseConv2D(5)])
        >>> _ = keras_lecture.initializers.initialize(model, keras_lecture.initializers.Xavier(seed=0))
        >>> round(float(keras.ops.convert_to_numpy(model.layers[0].kernel).std()), 1)  # 1/√25
        0.2

    Reference:
        Glorot and Bengio, 2010; He et al., 2015. Deviation from both: groups and strides enter the fans.
    """
    if not callable(initializer) or isinstance(initializer, type):
        checks.reject("initialize", "initializer", "a Keras initializer", initializer, error=TypeError)
    chosen = select("initialize", model, where)
    refuse_adapted("initialize", chosen)
    # An integer seed draws the same numbers at each call: two layers of the same shape would get equal weights.
    initializer = with_seed(initializer, keras.random.SeedGenerator)
    for weight in chosen:
        fitted = initializer.for_weight(weight) if hasattr(initializer, "for_weight") else initializer
        # A copy, as the function may keep a reference to its tensor.
        assign_copy(weight.variable, fitted(weight.variable.shape, dtype=weight.variable.dtype))
        # What a layer has computed from the old values, as the lengths in `WeightNormalization`.
        getattr(weight.variable, "redrawn", lambda: None)()
    return [weight.variable.path for weight in chosen]
