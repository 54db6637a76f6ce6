"""Atrous spatial pyramid pooling: one feature map seen through windows of several widths."""

from collections.abc import Sequence

from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.connections import whole_numbers
from keras_lecture._core.saving import register
from keras_lecture.initializers import Xavier
from keras_lecture.layers._base.inputs import floating
from keras_lecture.layers.blocks._block import Block, Chain


@register
class AtrousSpatialPyramidPooling(Block):
    """Parallel dilated convolutions, which see objects and their surroundings at several scales without losing pixels.

    Use it at the end of a segmentation network, on feature maps that were not pooled too small: a rate near the size of
    the map sees padding only. It costs one 3×3 convolution per rate.

        "sum":     y = Σ_r (C_r x + b_r) (+ P x)
        "concat":  y = B [B₁x, B_r x …, (P x)],   B = f∘N∘C

    C_r the 3×3 convolution dilated by r of `rates`, N `normalization`, f `activation`; B without index and B₁ 1×1. P,
    with `image_pooling`, is the same 1×1 convolution (or B₁) of the mean over all places, given to every place.
    `"sum"` with `rates=(1,)` is a 3×3 convolution.

    Args:
        filters: Number of output channels: the classes with `"sum"`, features with `"concat"`.
        rates: Dilation rates, at least one.
        merge: `"sum"` adds linear scores, as in DeepLab v2; `"concat"` joins features with those of a 1×1 convolution
            and projects them, as in v3. Defaults to `"sum"`.
        image_pooling: Whether the mean of the image is one more branch, as in v3. Defaults to `False`.
        normalization: As in `ResidualBlock`; unused with `merge="sum"`. Defaults to `"batch"`.
        activation: A name or a function; unused with `merge="sum"`. Defaults to `"relu"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.

    Example:
        >>> layer = keras_lecture.layers.AtrousSpatialPyramidPooling(5, rates=(1, 2))
        >>> tuple(layer(keras.ops.ones((2, 8, 8, 3))).shape), layer.count_params()
        ((2, 8, 8, 5), 280)

    Reference:
        Chen et al., 2018, arXiv:1606.00915, section 3.2 and figure 7 (deck A shows it); Chen et al., 2017,
        arXiv:1706.05587, section 3.3. The deck has no formula: `"sum"` is the paper it cites, in the form for
        ResNet-101, in which each branch is one convolution. Deviations: kernels start by `Xavier` (`"sum"`) or
        `Kaiming`, not with σ = 0.01. Keras has no such layer.
    """

    def __init__(
        self,
        filters: int,
        *,
        rates: Sequence[int],
        merge: str = "sum",
        image_pooling: bool = False,
        normalization="batch",
        activation="relu",
        data_format: str | None = None,
        **kwargs,
    ):
        owner = "AtrousSpatialPyramidPooling"
        checks.whole(owner, "filters", filters)
        found = whole_numbers(owner, "rates", rates, "[1, ∞)")
        if not found:
            checks.reject(owner, "rates", "one whole number or several", rates)
        checks.one_of(owner, "merge", merge, ("sum", "concat"))
        checks.boolean(owner, "image_pooling", image_pooling)
        super().__init__(normalization=normalization, activation=activation, data_format=data_format, **kwargs)
        self.filters = filters
        self.rates = found
        self.merge = merge
        self.image_pooling = image_pooling

    def _make(self, input_shape):
        places = [self._branch(3, dilation_rate=rate) for rate in self.rates]
        joined = self.merge == "concat"
        self.branches = [self._branch(1), *places] if joined else places
        image = [self._part("GlobalAveragePooling", keepdims=True)] if self.image_pooling else []
        self.image = self._branch(1, before=image) if image else None
        self.projection = self._branch(1) if joined else None
        for branch in filter(None, [*self.branches, self.image]):
            branch.build(input_shape)
        if joined:
            shape = list(input_shape)
            shape[self.axis] = self.filters * (len(self.branches) + self.image_pooling)
            self.projection.build(tuple(shape))

    def call(self, inputs, training=None):
        inputs = floating(inputs, self.compute_dtype)
        outputs = [branch(inputs, training=training) for branch in self.branches]
        if self.image:
            image = self.image(inputs, training=training)
            outputs.append(ops.broadcast_to(image, ops.shape(outputs[0])))
        if not self.projection:
            return sum(outputs)
        return self.projection(ops.concatenate(outputs, self.axis), training=training)

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        shape[self.axis] = self.filters
        return tuple(shape)

    def get_config(self):
        names = ("filters", "rates", "merge", "image_pooling")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _branch(self, size, *, before=(), **options):
        if self.merge == "sum":
            linear = self._convolution(self.filters, size, use_bias=True, initializer=Xavier(), **options)
            return Chain([*before, linear], dtype=self.dtype_policy)
        layers = [*before, self._convolution(self.filters, size, **options), *self._normalized_activation()]
        return Chain(layers, dtype=self.dtype_policy)
