"""Residual connections around two or three convolutions."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_lecture._core import checks
from keras_lecture._core.connections import whole_numbers
from keras_lecture._core.saving import plain, register
from keras_lecture._core.types import Tensor
from keras_lecture.initializers import Kaiming
from keras_lecture.layers._base.inputs import floating
from keras_lecture.layers._base.random_bits import RATES
from keras_lecture.layers.blocks._block import Block, Chain
from keras_lecture.layers.dropping.stochastic_depth import StochasticDepth


@register
class ResidualBlock(Block):
    """Two or three convolutions whose output is added to their input: zero is easier to learn than the identity.

    Use it for deep networks. A basic block has two 3×3 convolutions; a bottleneck has 1×1, 3×3 and 1×1 convolutions
    with a quarter of the channels between them, and costs about the same with four times the channels.

        post-activation:  y = f(S(x) + H(x)),   H = N∘C∘f∘N∘C,        S = N∘C₁
        pre-activation:   y = S(x) + H(x),      H = C∘f∘N∘C∘f∘N,      S = C₁∘f∘N (shares f∘N with H)

    C convolutions, N `normalization`, f `activation`; C₁ a 1×1 convolution with the strides. S is the identity if x has
    `filters` channels and all strides are 1. With `normalization=None` the convolutions have biases. The number of axes
    of x tells sequences, images and volumes apart.

    With all kernels zero, a block without C₁ is the identity, followed by f in a post-activation block.

    Args:
        filters: Number of output channels.
        strides: Strides of the first 3×3 convolution and of S: one integer, or one per axis. Defaults to `1`.
        bottleneck: Whether the block is a bottleneck; `filters` must then be a multiple of 4. Defaults to `False`.
        preactivation: Whether normalization and activation come before each convolution. Defaults to `False`.
        normalization: `"batch"`, `"group"` (`groups=None`), `"instance"`, `"layer"` (over the channels at each
            position), `None`, or a layer, which is copied for every use. Defaults to `"batch"`.
        activation: A name or a function. Defaults to `"relu"`.
        drop_path: Fraction of the samples whose H is dropped in training, by `StochasticDepth`. Defaults to `0.0`.
        seed: Seed of the kernels and of the drop path. Defaults to `None`, a random seed.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.

    Example:
        >>> layer = keras_lecture.layers.ResidualBlock(8, strides=2)
        >>> tuple(layer(keras.ops.ones((2, 6, 6, 4))).shape), layer.count_params()
        ((2, 3, 3, 8), 992)

    Reference:
        He et al., 2015, arXiv:1512.03385, eqs. 1 and 2, shortcuts B; He et al., 2016, arXiv:1603.05027, figures 1 and
        4e. Deck B. Deviations: a bottleneck has its strides in the 3×3 convolution, as in the authors' later
        code; padding is Keras's `"same"`, which for strides 2 and even sizes pads at the end only. Keras has no such
        layer.
    """

    def __init__(
        self,
        filters: int,
        *,
        strides: int | Sequence[int] = 1,
        bottleneck: bool = False,
        preactivation: bool = False,
        normalization: str | keras.layers.Layer | None = "batch",
        activation: str | Callable[[Tensor], Tensor] = "relu",
        drop_path: float = 0.0,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        checks.whole("ResidualBlock", "filters", filters)
        strides = whole_numbers("ResidualBlock", "strides", strides, "[1, ∞)") or [1]
        checks.boolean("ResidualBlock", "bottleneck", bottleneck)
        if bottleneck and filters % 4:
            checks.reject("ResidualBlock", "filters", "a multiple of 4 in a bottleneck", filters)
        checks.boolean("ResidualBlock", "preactivation", preactivation)
        checks.number("ResidualBlock", "drop_path", drop_path, RATES)
        if seed is not None:
            checks.whole("ResidualBlock", "seed", seed, "[0, ∞)", "Or None, a random seed.")
        super().__init__(normalization=normalization, activation=activation, data_format=data_format, **kwargs)
        self.filters = filters
        self.strides: list[int] = strides
        self.bottleneck = bottleneck
        self.preactivation = preactivation
        self.drop_path = drop_path
        self.seed: int | None = None if seed is None else int(seed)

    def _make(self, input_shape):
        if len(self.strides) not in (1, self.rank):
            checks.reject("ResidualBlock", "strides", f"one whole number or {self.rank} of them", self.strides)
        seeds = self._seeds()
        shortcut = self._projection(input_shape[self.axis], next(seeds))
        convolutions = [self._kaiming(*shape, next(seeds)) for shape in self._shapes()]
        drop = [StochasticDepth(self.drop_path, seed=self.seed, dtype=self.dtype_policy)] if self.drop_path else []
        if self.preactivation:
            first, *rest = ([*self._normalized_activation(), convolution] for convolution in convolutions)
            entry, first = (first[:-1], first[-1:]) if shortcut else ([], first)
            branch = sum(rest, first)
        else:
            entry, branch = [], sum(([c, *self._normalized_activation()] for c in convolutions), [])[:-1]
            shortcut += self._normalized_activation()[:-1] if shortcut else []
        self.entry: Chain = Chain(entry, name="entry", dtype=self.dtype_policy)
        self.shortcut: Chain = Chain(shortcut, name="shortcut", dtype=self.dtype_policy)
        self.branch: Chain = Chain(branch + drop, name="branch", dtype=self.dtype_policy)
        for chain in (self.entry, self.shortcut, self.branch):
            chain.build(input_shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        inputs = floating(inputs, self.compute_dtype)
        x = self.entry(inputs, training=training)
        y = self.shortcut(x, training=training) + self.branch(x, training=training)
        return y if self.preactivation else self.activation(y)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        shape, first = list(input_shape), 1 if self.axis == -1 else 2
        for axis, stride in enumerate(self._per_axis(len(shape) - 2), first):
            shape[axis] = None if shape[axis] is None else -(-shape[axis] // stride)
        shape[self.axis] = self.filters
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "strides", "bottleneck", "preactivation", "drop_path", "seed")
        return {**super().get_config(), **plain({name: getattr(self, name) for name in names})}

    def _per_axis(self, rank):
        return tuple(self.strides * rank)[:rank]

    def _shapes(self):
        """Filters, kernel size and strides of the convolutions of H."""
        strides = self._per_axis(self.rank)
        if self.bottleneck:
            return (self.filters // 4, 1, 1), (self.filters // 4, 3, strides), (self.filters, 1, 1)
        return (self.filters, 3, strides), (self.filters, 3, 1)

    def _projection(self, channels, seed):
        """The layers of C₁; none if the shortcut is the identity."""
        strides = self._per_axis(self.rank)
        strided = any(stride != 1 for stride in strides)
        if channels == self.filters and not strided:
            return []
        # The gradient of a strided 1×1 convolution writes out of bounds on PyTorch 2.13 (oneDNN, channels last).
        # Average pooling over one value selects the same positions.
        pick = [self._part("AveragePooling", 1, strides)] if strided else []
        return [*pick, self._kaiming(self.filters, 1, 1, seed)]

    def _kaiming(self, filters, size, strides, seed):
        return self._convolution(filters, size, strides, initializer=Kaiming(seed=seed))

    def _seeds(self):
        """One seed per convolution; blocks with neighboring `seed`s must not share any of them."""
        return iter([None] * 4 if self.seed is None else np.random.SeedSequence(self.seed).generate_state(4).tolist())
