"""Dense connectivity: every layer sees the outputs of all layers before it."""

import math

import keras
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture.layers._base.inputs import floating
from keras_lecture.layers.blocks._block import Block, Chain
from keras_lecture.layers.blocks._rematerialization import rematerialized


@register
class DenseBlock(Block):
    """Layers of few channels, each of which takes the outputs of all layers before it as its input.

    Use it for nets of few parameters, with a `TransitionBlock` after each block. A layer has 4·growth channels inside,
    or with `bottleneck=False` is a single convolution of all inputs.

        x_l = H[x₀, x₁, …, x_{l−1}],   l = 1 … L,     H = C₃∘f∘N∘C₁∘f∘N,   or C₃∘f∘N without bottleneck
        y = [x₀, x₁, …, x_L]

    L `layers`, x_l of `growth` channels, C₃ a 3×3 and C₁ a 1×1 convolution without bias, N `normalization`, f
    `activation`. Training keeps the inputs of all layers, which grows with L². With `memory_efficient` it keeps each
    x_l once and computes the rest again for the gradient, one more pass forward: the same outputs, gradients and
    statistics, the latter updated once.

    Args:
        growth: Number of channels that each layer adds.
        layers: Number of layers.
        bottleneck: Whether C₁ comes before C₃. Defaults to `True`.
        memory_efficient: Whether training computes inner values twice instead of keeping them; on TensorFlow there are
            no second derivatives then. Defaults to `False`.
        normalization: As in `ResidualBlock`. Defaults to `"batch"`.
        activation: A name or a function. Defaults to `"relu"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.

    Example:
        >>> layer = keras_lecture.layers.DenseBlock(2, layers=3)
        >>> tuple(layer(keras.ops.ones((2, 6, 6, 4))).shape), layer.count_params()
        ((2, 6, 6, 10), 744)

    Reference:
        Huang et al., 2017, arXiv:1608.06993, eq. 2, DenseNet-B and the plain one; Pleiss et al., 2017,
        arXiv:1707.06990. Deck B. Deviation from the latter: both convolutions are computed again as well, so that less
        is kept. Keras has no such layer.
    """

    def __init__(
        self,
        growth: int,
        *,
        layers: int,
        bottleneck: bool = True,
        memory_efficient: bool = False,
        normalization="batch",
        activation="relu",
        data_format: str | None = None,
        **kwargs,
    ):
        checks.whole("DenseBlock", "growth", growth)
        checks.whole("DenseBlock", "layers", layers)
        checks.boolean("DenseBlock", "bottleneck", bottleneck)
        checks.boolean("DenseBlock", "memory_efficient", memory_efficient)
        super().__init__(normalization=normalization, activation=activation, data_format=data_format, **kwargs)
        self.growth = growth
        self.count = layers
        self.bottleneck = bottleneck
        self.memory_efficient = memory_efficient

    def _make(self, input_shape):
        self.layers = [self._layer() for _ in range(self.count)]
        shapes = [tuple(input_shape)]
        for layer in self.layers:
            layer.build(list(shapes))
            shapes.append(layer.compute_output_shape(shapes))

    def call(self, inputs, training=None):
        inputs = floating(inputs, self.compute_dtype)
        run = rematerialized if self.memory_efficient and training else _once
        outputs = [inputs]
        for layer in self.layers:
            outputs.append(run(layer, outputs, training))
        return ops.concatenate(outputs, self.axis)

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        shape[self.axis] += self.count * self.growth
        return tuple(shape)

    def get_config(self):
        own = {"growth": self.growth, "layers": self.count, "bottleneck": self.bottleneck}
        return {**super().get_config(), **own, "memory_efficient": self.memory_efficient}

    def _layer(self):
        layers = [keras.layers.Concatenate(self.axis, dtype=self.dtype_policy), *self._normalized_activation()]
        if self.bottleneck:
            layers += [self._convolution(4 * self.growth, 1), *self._normalized_activation()]
        return Chain([*layers, self._convolution(self.growth, 3)], dtype=self.dtype_policy)


def _once(layer, inputs, training):
    return layer(inputs, training=training)


@register
class TransitionBlock(Block):
    """Halves the resolution and the channels between two dense blocks.

    Use it after each `DenseBlock` but the last, or wherever a network gets coarser. It costs one 1×1 convolution.

        y = mean of 2×2 of C₁(f(N(x)))

    C₁ a 1×1 convolution without bias to ⌊θ·channels⌋, θ `compression`, N `normalization`, f `activation`. On sequences
    the mean is over 2, on volumes over 2×2×2 places; an odd last one is left out. `compression=1` keeps the channels.

    Args:
        compression: Share θ of the channels that is left, in (0, 1]. Defaults to `0.5`.
        normalization: As in `ResidualBlock`. Defaults to `"batch"`.
        activation: A name or a function. Defaults to `"relu"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.

    Example:
        >>> layer = keras_lecture.layers.TransitionBlock()
        >>> tuple(layer(keras.ops.ones((2, 6, 6, 10))).shape)
        (2, 3, 3, 5)

    Reference:
        Huang et al., 2017, arXiv:1608.06993, section 3. Deck B. Deviation: none; the paper's text does not name the
        activation, its code does. Keras has no such layer.
    """

    def __init__(
        self,
        compression: float = 0.5,
        *,
        normalization="batch",
        activation="relu",
        data_format: str | None = None,
        **kwargs,
    ):
        checks.number("TransitionBlock", "compression", compression, "(0, 1]")
        super().__init__(normalization=normalization, activation=activation, data_format=data_format, **kwargs)
        self.compression = compression

    def _make(self, input_shape):
        convolution = self._convolution(self._left(input_shape[self.axis]), 1)
        layers = [*self._normalized_activation(), convolution, self._part("AveragePooling", 2)]
        self.chain = Chain(layers, dtype=self.dtype_policy)
        self.chain.build(input_shape)

    def call(self, inputs, training=None):
        inputs = floating(inputs, self.compute_dtype)
        return self.chain(inputs, training=training)

    def compute_output_shape(self, input_shape):
        shape = [None if n is None else n // 2 for n in input_shape]
        shape[0], shape[self.axis] = input_shape[0], self._left(input_shape[self.axis])
        return tuple(shape)

    def get_config(self):
        return {**super().get_config(), "compression": self.compression}

    def _left(self, channels):
        return max(1, math.floor(self.compression * channels))
