"""Dense connectivity: every layer sees the outputs of all layers before it."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.inputs import floating
from keras_lecture.layers.blocks._block import Block, Chain
from keras_lecture.layers.blocks._rematerialization import rematerialized


@register
class DenseBlock(Block):
    """A stack of narrow layers, each with the outputs of all layers before it as its input.

    Use it for nets of few parameters, with a `TransitionBlock` after each block. A layer has 4·growth inner channels;
    with `bottleneck=False` it is a single convolution of all inputs.

        x_l = H[x₀, x₁, …, x_{l−1}],   l = 1 … L,     H = C₃∘f∘N∘C₁∘f∘N,   or C₃∘f∘N without bottleneck
        y = [x₀, x₁, …, x_L]

    L `layers`, x_l of `growth` channels, C₃ a 3×3 and C₁ a 1×1 convolution without bias, N `normalization`, f
    `activation`. Training keeps the inputs of all layers, and their memory grows with L². With `memory_efficient` it
    keeps each x_l once and recomputes the rest for the gradient, which costs one more forward pass and gives the same
    outputs, gradients and moving statistics; the statistics are updated once.

    Args:
        growth: Number of channels that each layer adds.
        layers: Number of layers, at most 256.
        bottleneck: Whether C₁ comes before C₃. Defaults to `True`.
        memory_efficient: Whether training recomputes inner values instead of keeping them; on TensorFlow this rules out
            second derivatives, on JAX a `jax.checkpoint`, `scan` or `cond` around it. Defaults to `False`.
        normalization: As in `ResidualBlock`. Defaults to `"batch"`.
        activation: A name or a function. Defaults to `"relu"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.

    Example:
        >>> layer = keras_lecture.layers.DenseBlock(2, layers=3)
        >>> tuple(layer(keras.ops.ones((2, 6, 6, 4))).shape), layer.count_params()
        ((2, 6, 6, 10), 744)

    Reference:
        Huang et al., 2017, arXiv:1608.06993, eq. 2, DenseNet-B and the plain one; Pleiss et al., 2017,
        arXiv:1707.06990. Deck B. Deviation from the latter: both convolutions are recomputed as well, to keep less.
        Keras has no such layer.
    """

    def __init__(
        self,
        growth: int,
        *,
        layers: int,
        bottleneck: bool = True,
        memory_efficient: bool = False,
        normalization: str | keras.layers.Layer | None = "batch",
        activation: str | Callable[[Tensor], Tensor] = "relu",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        checks.whole("DenseBlock", "growth", growth)
        checks.whole("DenseBlock", "layers", layers, "[1, 256]")
        checks.boolean("DenseBlock", "bottleneck", bottleneck)
        checks.boolean("DenseBlock", "memory_efficient", memory_efficient)
        super().__init__(normalization=normalization, activation=activation, data_format=data_format, **kwargs)
        self.growth = growth
        self.count = layers
        self.bottleneck = bottleneck
        self.memory_efficient = memory_efficient

    def _make(self, input_shape):
        self.layers: list[Chain] = [self._layer() for _ in range(self.count)]
        shapes = [tuple(input_shape)]
        for layer in self.layers:
            layer.build(list(shapes))
            shapes.append(layer.compute_output_shape(shapes))

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        inputs = floating(inputs, self.compute_dtype)
        run = rematerialized if self.memory_efficient and training else _once
        outputs = [inputs]
        for layer in self.layers:
            outputs.append(run(layer, outputs, training))
        return ops.concatenate(outputs, self.axis)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        shape = list(input_shape)
        shape[self.axis] += self.count * self.growth
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
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
    """Halves the resolution and the number of channels between two dense blocks.

    Use it after each `DenseBlock` but the last, or wherever the resolution is reduced. It costs one 1×1 convolution.

        y = mean of 2×2 of C₁(f(N(x)))

    C₁ a 1×1 convolution without bias to ⌊θ·channels⌋ channels, θ `compression`, N `normalization`, f `activation`. The
    mean is over 2 positions of sequences and 2×2×2 of volumes; an odd last position is dropped. `compression=1` keeps
    the channels.

    Args:
        compression: Fraction θ of the channels that is kept, in (0, 1]. Defaults to `0.5`.
        normalization: As in `ResidualBlock`. Defaults to `"batch"`.
        activation: A name or a function. Defaults to `"relu"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.

    Example:
        >>> layer = keras_lecture.layers.TransitionBlock()
        >>> tuple(layer(keras.ops.ones((2, 6, 6, 10))).shape)
        (2, 3, 3, 5)

    Reference:
        Huang et al., 2017, arXiv:1608.06993, section 3. Deck B. Deviation: none; the activation is named in the paper's
        code, not in its text. Keras has no such layer.
    """

    def __init__(
        self,
        compression: float = 0.5,
        *,
        normalization: str | keras.layers.Layer | None = "batch",
        activation: str | Callable[[Tensor], Tensor] = "relu",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        checks.number("TransitionBlock", "compression", compression, "(0, 1]")
        super().__init__(normalization=normalization, activation=activation, data_format=data_format, **kwargs)
        self.compression = compression

    def _make(self, input_shape):
        convolution = self._convolution(self._left(input_shape[self.axis]), 1)
        layers = [*self._normalized_activation(), convolution, self._part("AveragePooling", 2)]
        self.chain: Chain = Chain(layers, dtype=self.dtype_policy)
        self.chain.build(input_shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        inputs = floating(inputs, self.compute_dtype)
        return self.chain(inputs, training=training)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        shape = [None if n is None else n // 2 for n in input_shape]
        shape[0], shape[self.axis] = input_shape[0], self._left(input_shape[self.axis])
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "compression": self.compression}

    def _left(self, channels):
        return max(1, math.floor(self.compression * channels))
