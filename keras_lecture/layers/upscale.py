"""Upsampling of images by a transposed convolution that starts as bilinear interpolation."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.connections import whole_numbers
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.initializers import Bilinear, Xavier
from keras_lecture.layers._base.inputs import floating

# The arguments of `keras.layers.Conv2DTranspose` that follow from `factor`.
_FIXED = ("kernel_size", "strides", "padding", "output_padding", "dilation_rate", "kernel_initializer")


@register
class Mixture(Bilinear):
    """Bilinear interpolation of each channel, or of random mixtures of the channels if their number changes."""

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
        *space, outputs, inputs = shape
        if inputs in (1, outputs):
            return super().__call__(shape, dtype)
        pixel = super().__call__((*space, 1, 1), dtype)
        return pixel * Xavier(input_axes=(1,), output_axes=(0,))((outputs, inputs), dtype)


@register
class Upscale2D(keras.layers.Conv2DTranspose):
    """Upsamples images by a transposed convolution (deconvolution) that starts as exact bilinear interpolation.

    Use it where a network returns to the resolution of its input, in segmentation and generation: it starts as plain
    upsampling and learns the rest. It costs K²·channels·filters multiplications per input pixel.

        y[o] = Σ_i w[o + ⌊s/2⌋ − s·i]·x̃[i],   i = −1 … N,   K = 2s − (s mod 2)   on each axis

    s `factor`, w the kernel of size K, x̃ the input of N pixels with its edge pixels repeated once on each side.
    Output pixel o is at coordinate (o + ½)/s − ½ of the input: the borders of both images coincide. At the start it is
    `keras.layers.UpSampling2D(factor, interpolation="bilinear")`, edges included.

    Args:
        factor: Ratio of the output's height and width to the input's, one whole number or two. Defaults to `2`.
        filters: Number of output channels. If it differs from the input's, each filter starts as the interpolation of a
            random mixture of the input channels (by `Xavier`), or of the input channel if there is one only. Defaults
            to `None`, the number of input channels.
        use_bias: Whether there is a bias. Defaults to `False`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.
        **kwargs: `activation`, `bias_initializer`, regularizers and constraints as in `keras.layers.Conv2DTranspose`;
            `trainable=False` keeps the interpolation; `name`, `dtype`.

    Example:
        >>> layer = keras_lecture.layers.Upscale2D((1, 2))
        >>> y = layer(keras.ops.convert_to_tensor([[[[1.0], [3.0]]]]))
        >>> keras.ops.convert_to_numpy(y)[0, 0, :, 0].tolist()
        [1.0, 1.5, 2.5, 3.0]

    Reference:
        Long et al., 2015, arXiv:1411.4038, section 3.3; deck B. Deviation: the edges are repeated; their Caffe layer
        takes zeros beyond the image. Differences from `keras.layers.Conv2DTranspose`: the initial kernel, and a kernel
        size that follows from the factor.
    """

    def __init__(
        self,
        factor: int | Sequence[int] = 2,
        *,
        filters: int | None = None,
        use_bias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        factors = whole_numbers("Upscale2D", "factor", factor, "[1, ∞)") or []
        if len(factors) not in (1, 2):
            checks.reject("Upscale2D", "factor", "a whole number or 2 of them", factor)
        if filters is not None:
            checks.whole("Upscale2D", "filters", filters)
        checks.boolean("Upscale2D", "use_bias", use_bias)
        checks.one_of("Upscale2D", "data_format", data_format, (None, "channels_first", "channels_last"))
        for fixed in _FIXED:
            if fixed in kwargs:
                checks.reject("Upscale2D", fixed, "left out", kwargs[fixed], "It follows from `factor`.", TypeError)
        strides = tuple(factors * 2)[:2]
        super().__init__(
            filters,
            tuple(2 * s - s % 2 for s in strides),
            strides,
            use_bias=use_bias,
            data_format=data_format,
            kernel_initializer=Mixture(strides),
            **kwargs,
        )
        self._given_filters = filters

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.filters: int = self._given_filters or input_shape[-1 if self.data_format == "channels_last" else 1]
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        first, inputs = self._first, floating(inputs, self.compute_dtype)
        for axis in (first, first + 1):
            # Not `ops.pad`, which fails for an empty batch on PyTorch.
            edges = [[slice(None)] * axis + [slice(*ends)] for ends in ((1,), (-1, None))]
            inputs = ops.concatenate([inputs[tuple(edges[0])], inputs, inputs[tuple(edges[1])]], axis)
        outputs = super().call(inputs)
        # A repeated pixel adds s output pixels, and the kernel extends ⌊s/2⌋ further.
        cut = [slice(s + s // 2, -(s + s // 2)) for s in self.strides]
        return outputs[(slice(None),) * first + tuple(cut)]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        shape, first = list(input_shape), self._first
        for axis, s in enumerate(self.strides, first):
            shape[axis] = None if shape[axis] is None else s * shape[axis]
        shape[-1 if first == 1 else 1] = self._given_filters or shape[-1 if first == 1 else 1]
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        config = {name: value for name, value in super().get_config().items() if name not in _FIXED}
        return {**config, "factor": self.strides, "filters": self._given_filters}

    @property
    def _first(self):
        """The first spatial axis."""
        return 1 if self.data_format == "channels_last" else 2
