"""Atrous spatial pyramid pooling: parallel convolutions of one feature map with several dilation rates."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.connections import whole_numbers
from keras_lecture._core.saving import plain, register
from keras_lecture._core.types import Tensor
from keras_lecture.initializers import Xavier
from keras_lecture.layers._base.inputs import floating
from keras_lecture.layers.blocks._block import Block, Chain


@register
class AtrousSpatialPyramidPooling(Block):
    """Parallel dilated convolutions, which see objects and their context at several scales at full resolution.

    Use it at the end of a segmentation network, on feature maps larger than the rates: with a rate near the size of the
    map, all of a kernel but its center sees only padding. It costs one 3×3 convolution per rate.

        "sum":     y = Σ_r (C_r x + b_r) (+ P x)
        "concat":  y = B [B₁x, B_r x …, (P x)],   B = f∘N∘C

    C_r the 3×3 convolution dilated by r of `rates`, N `normalization`, f `activation`; B without index and B₁ have 1×1
    kernels. P, with `image_pooling`, is a 1×1 convolution (with `"concat"` a branch like B₁) of the mean over all
    positions, broadcast to every position. `"sum"` with `rates=(1,)` is a 3×3 convolution.

    Args:
        filters: Number of output channels: classes with `"sum"`, features with `"concat"`.
        rates: Dilation rates, 1 to 64 of them.
        merge: `"sum"` adds linear scores, as in DeepLab v2; `"concat"` concatenates the features, with those of a 1×1
            convolution, and projects them, as in v3. Defaults to `"sum"`.
        image_pooling: Whether the image mean is one more branch, as in v3. Defaults to `False`.
        normalization: As in `ResidualBlock`; unused with `merge="sum"`. Defaults to `"batch"`.
        activation: A name or a function; unused with `merge="sum"`. Defaults to `"relu"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.

    Example:
        >>> layer = keras_lecture.layers.AtrousSpatialPyramidPooling(5, rates=(1, 2))
        >>> tuple(layer(keras.ops.ones((2, 8, 8, 3))).shape), layer.count_params()
        ((2, 8, 8, 5), 280)

    Reference:
        Chen et al., 2018, arXiv:1606.00915, section 3.2 and figure 7 (deck A shows it); Chen et al., 2017,
        arXiv:1706.05587, section 3.3. The deck has no formula: `"sum"` follows the paper it cites, in the form for
        ResNet-101, in which each branch is one convolution. Deviations: kernels are initialized by `Xavier` (`"sum"`)
        or `Kaiming`, not with σ = 0.01. Keras has no such layer.
    """

    def __init__(
        self,
        filters: int,
        *,
        rates: Sequence[int],
        merge: str = "sum",
        image_pooling: bool = False,
        normalization: str | keras.layers.Layer | None = "batch",
        activation: str | Callable[[Tensor], Tensor] = "relu",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        owner = "AtrousSpatialPyramidPooling"
        checks.whole(owner, "filters", filters)
        found = whole_numbers(owner, "rates", rates, "[1, ∞)")
        # Each rate makes a layer: a config must not ask for a million of them.
        if not found or len(found) > 64:
            checks.reject(owner, "rates", "1 to 64 whole numbers", rates)
        checks.one_of(owner, "merge", merge, ("sum", "concat"))
        checks.boolean(owner, "image_pooling", image_pooling)
        super().__init__(normalization=normalization, activation=activation, data_format=data_format, **kwargs)
        self.filters = filters
        self.rates: list[int] = found
        self.merge = merge
        self.image_pooling = image_pooling

    def _make(self, input_shape):
        dilated = [self._branch(3, dilation_rate=rate) for rate in self.rates]
        joined = self.merge == "concat"
        self.branches: list[Chain] = [self._branch(1), *dilated] if joined else dilated
        image = [self._part("GlobalAveragePooling", keepdims=True)] if self.image_pooling else []
        self.image: Chain | None = self._branch(1, before=image) if image else None
        self.projection: Chain | None = self._branch(1) if joined else None
        for branch in filter(None, [*self.branches, self.image]):
            branch.build(input_shape)
        if joined:
            shape = list(input_shape)
            shape[self.axis] = self.filters * (len(self.branches) + self.image_pooling)
            self.projection.build(tuple(shape))

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        inputs = floating(inputs, self.compute_dtype)
        outputs = [branch(inputs, training=training) for branch in self.branches]
        if self.image:
            image = self.image(inputs, training=training)
            outputs.append(ops.broadcast_to(image, ops.shape(outputs[0])))
        if not self.projection:
            return sum(outputs)
        return self.projection(ops.concatenate(outputs, self.axis), training=training)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        shape = list(input_shape)
        shape[self.axis] = self.filters
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "rates", "merge", "image_pooling")
        return {**super().get_config(), **plain({name: getattr(self, name) for name in names})}

    def _branch(self, size, *, before=(), **options):
        if self.merge == "sum":
            linear = self._convolution(self.filters, size, use_bias=True, initializer=Xavier(), **options)
            return Chain([*before, linear], dtype=self.dtype_policy)
        layers = [*before, self._convolution(self.filters, size, **options), *self._normalized_activation()]
        return Chain(layers, dtype=self.dtype_policy)
