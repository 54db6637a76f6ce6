"""Residual connections around two or three convolutions."""

from collections.abc import Sequence

import numpy as np

from keras_lecture._core import checks
from keras_lecture._core.connections import whole_numbers
from keras_lecture._core.saving import register
from keras_lecture.initializers import Kaiming
from keras_lecture.layers._base.inputs import floating
from keras_lecture.layers.blocks._block import Block, Chain
from keras_lecture.layers.dropping.stochastic_depth import StochasticDepth


@register
class ResidualBlock(Block):
    """Convolutions that learn what to add to their input: zero is easy to learn, the identity is not.

    Use it to stack layers by the dozen. Basic blocks have two 3×3 convolutions; a bottleneck has 1×1, 3×3 and 1×1 with
    a quarter of the channels between them, and costs about as much with four times the channels.

        post-activation:  y = f(S(x) + H(x)),   H = N∘C∘f∘N∘C,        S = N∘C₁
        pre-activation:   y = S(x) + H(x),      H = C∘f∘N∘C∘f∘N,      S = C₁∘f∘N (this f∘N is H's as well)

    C convolutions, N `normalization`, f `activation`; C₁ 1×1 with the strides. S is the identity if x has `filters`
    channels already and `strides` are 1. With `normalization=None` convolutions have biases. Sequences, images and
    volumes go by their number of axes.

    With kernels of zero, a block without projection passes its input on, rectified if it is a post-activation block.

    Args:
        filters: Number of output channels.
        strides: Strides of the first 3×3 convolution and of S, one whole number or one per axis. Defaults to `1`.
        bottleneck: Whether the block is a bottleneck; 4 divides `filters` then. Defaults to `False`.
        preactivation: Whether normalization and activation come before each convolution. Defaults to `False`.
        normalization: `"batch"`, `"group"` (`groups=None`), `"instance"`, `"layer"` (over the channels of each place),
            `None`, or a layer, of which every place gets a copy. Defaults to `"batch"`.
        activation: A name or a function. Defaults to `"relu"`.
        drop_path: The share of samples whose H is dropped in training, by `StochasticDepth`. Defaults to `0.0`.
        seed: Start of the random numbers, in the kernels and in drop path. Defaults to `None`, a random start.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.

    Example:
        >>> layer = keras_lecture.layers.ResidualBlock(8, strides=2)
        >>> tuple(layer(keras.ops.ones((2, 6, 6, 4))).shape), layer.count_params()
        ((2, 3, 3, 8), 992)

    Reference:
        He et al., 2015, arXiv:1512.03385, eqs. 1 and 2, shortcuts B; He et al., 2016, arXiv:1603.05027, figures 1 and
        4e. Deck B. Deviations: a bottleneck has its strides in the 3×3 convolution, as the authors' later code; padding
        is Keras's `"same"`, which for strides 2 and even sizes adds places at the end only. Keras has no such layer.
    """

    def __init__(
        self,
        filters: int,
        *,
        strides: int | Sequence[int] = 1,
        bottleneck: bool = False,
        preactivation: bool = False,
        normalization="batch",
        activation="relu",
        drop_path: float = 0.0,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs,
    ):
        checks.whole("ResidualBlock", "filters", filters)
        strides = whole_numbers("ResidualBlock", "strides", strides, "[1, ∞)") or [1]
        checks.boolean("ResidualBlock", "bottleneck", bottleneck)
        if bottleneck and filters % 4:
            checks.reject("ResidualBlock", "filters", "a multiple of 4 in a bottleneck", filters)
        checks.boolean("ResidualBlock", "preactivation", preactivation)
        checks.number("ResidualBlock", "drop_path", drop_path, "[0, 1)")
        checks.instance("ResidualBlock", "seed", seed, (int, type(None)), "a whole number or None")
        super().__init__(normalization=normalization, activation=activation, data_format=data_format, **kwargs)
        self.filters = filters
        self.strides = strides
        self.bottleneck = bottleneck
        self.preactivation = preactivation
        self.drop_path = drop_path
        self.seed = seed

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
        self.entry = Chain(entry, name="entry", dtype=self.dtype_policy)
        self.shortcut = Chain(shortcut, name="shortcut", dtype=self.dtype_policy)
        self.branch = Chain(branch + drop, name="branch", dtype=self.dtype_policy)
        for chain in (self.entry, self.shortcut, self.branch):
            chain.build(input_shape)

    def call(self, inputs, training=None):
        inputs = floating(inputs, self.compute_dtype)
        x = self.entry(inputs, training=training)
        y = self.shortcut(x, training=training) + self.branch(x, training=training)
        return y if self.preactivation else self.activation(y)

    def compute_output_shape(self, input_shape):
        shape, first = list(input_shape), 1 if self.axis == -1 else 2
        for axis, stride in enumerate(self._per_axis(len(shape) - 2), first):
            shape[axis] = None if shape[axis] is None else -(-shape[axis] // stride)
        shape[self.axis] = self.filters
        return tuple(shape)

    def get_config(self):
        names = ("filters", "strides", "bottleneck", "preactivation", "drop_path", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _per_axis(self, rank):
        return tuple(self.strides * rank)[:rank]

    def _shapes(self):
        """Filters, kernel size and strides of the convolutions of H."""
        strides = self._per_axis(self.rank)
        if self.bottleneck:
            return (self.filters // 4, 1, 1), (self.filters // 4, 3, strides), (self.filters, 1, 1)
        return (self.filters, 3, strides), (self.filters, 3, 1)

    def _projection(self, channels, seed):
        """C₁, or nothing where the shortcut is the identity."""
        strides = self._per_axis(self.rank)
        thinned = any(stride != 1 for stride in strides)
        if channels == self.filters and not thinned:
            return []
        # The gradient of a 1×1 convolution with strides writes beyond its memory on PyTorch 2.13 (oneDNN, channels
        # last). A mean of one value picks the same places.
        pick = [self._part("AveragePooling", 1, strides)] if thinned else []
        return [*pick, self._kaiming(self.filters, 1, 1, seed)]

    def _kaiming(self, filters, size, strides, seed):
        return self._convolution(filters, size, strides, initializer=Kaiming(seed=seed))

    def _seeds(self):
        """One for every convolution; neighboring seeds of the user's must not share any."""
        return iter([None] * 4 if self.seed is None else np.random.SeedSequence(self.seed).generate_state(4).tolist())
