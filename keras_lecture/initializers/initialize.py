"""Drawing the weights of a built model, with what each layer knows of its kernel."""

from collections.abc import Callable

import keras

from keras_lecture._core import checks
from keras_lecture._core.assignment import assign_copy
from keras_lecture._core.weights import select


def initialize(model, initializer, where: str | Callable = "kernels") -> list[str]:
    """Draws weights of a built model anew and returns their paths; fans are right for every kind of layer.

    Use it right after building a model. A layer shows an initializer the shape of a kernel only, and from a shape
    depthwise, grouped, transposed and strided convolution look like another layer. Here the layer is asked:

        dense, convolution    n_in = k·c_in/g         n_out = k·c_out/(g·s)
        depthwise             n_in = k                n_out = k·m/s
        transposed            n_in = k·c_in/s         n_out = k·c_out
        EinsumDense           n_in = Π summed axes    n_out = Π axes new in the output

    k the pixels of the kernel, s those of the stride, g `groups`, m `depth_multiplier`. A separable convolution is one
    depthwise, one dense; an embedding has n_in = 1; a user's own layer goes by its kernel's shape, `(…, in, out)`.
    Fans are means over all pixels but the borders. Any initializer may be given; only the values change, so a clone of
    the model starts from the layers' own initializers again.

    Args:
        model: A built Keras model or layer.
        initializer: For example `Kaiming(seed=0)`. One seed serves the whole model; every weight gets other numbers.
        where: `"kernels"`, `"biases"`, `"all"`, or a predicate on the variable. Defaults to `"kernels"`.

    Returns:
        The paths of the weights that were drawn.

    Example:
        >>> model = keras.Sequential([keras.Input((8, 8, 64)), keras.layers.DepthwiseConv2D(5)])
        >>> _ = keras_lecture.initializers.initialize(model, keras_lecture.initializers.Xavier(seed=0))
        >>> round(float(keras.ops.convert_to_numpy(model.layers[0].kernel).std()), 1)  # 1/√25
        0.2

    Reference:
        Glorot and Bengio, 2010; He et al., 2015. Deviation from both: groups and strides count.
    """
    if not callable(initializer):
        checks.reject("initialize", "initializer", "a Keras initializer", initializer, error=TypeError)
    chosen = select("initialize", model, where)
    initializer = _with_one_stream(initializer)
    for weight in chosen:
        fitted = initializer.for_weight(weight) if hasattr(initializer, "for_weight") else initializer
        # A user's function may return a tensor that it keeps.
        assign_copy(weight.variable, fitted(weight.variable.shape, dtype=weight.variable.dtype))
    return [weight.variable.path for weight in chosen]


def _with_one_stream(initializer):
    """An integer seed draws the same numbers at each call: two layers of one shape would be copies of each other."""
    config = initializer.get_config() if isinstance(initializer, keras.initializers.Initializer) else {}
    if "seed" not in config or isinstance(initializer.seed, keras.random.SeedGenerator):
        return initializer
    return type(initializer).from_config({**config, "seed": keras.random.SeedGenerator(initializer.seed)})
