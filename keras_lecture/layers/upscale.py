"""Enlarging an image by a transposed convolution that starts as interpolation."""

from collections.abc import Sequence

import keras
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.connections import whole_numbers
from keras_lecture._core.saving import register
from keras_lecture.initializers import Bilinear, Xavier
from keras_lecture.layers._base.inputs import floating


@register
class Mixture(Bilinear):
    """The kernel that interpolates each channel, or a random mixture of the channels where there are others outside."""

    def __call__(self, shape, dtype=None):
        *space, outputs, inputs = shape
        if inputs in (1, outputs):
            return super().__call__(shape, dtype)
        pixel = super().__call__((*space, 1, 1), dtype)
        return pixel * Xavier(input_axes=(1,), output_axes=(0,))((outputs, inputs), dtype)


@register
class Upscale2D(keras.layers.Conv2DTranspose):
    """Enlarges images by a transposed convolution (deconvolution) that starts as exact bilinear interpolation.

    Use it where a network returns to the resolution of its input, in segmentation and generation: it starts as plain
    upsampling and learns the rest. It costs K²·channels·filters multiplications per pixel of the input.

        y[o] = Σ_i w[o + ⌊s/2⌋ − s·i]·x̃[i],   i = −1 … N,   K = 2s − (s mod 2)   on each axis

    s `factor`, w the kernel of size K, x̃ the input of N pixels with the outermost ones repeated once on either side.
    Output o lies at (o + ½)/s − ½ in the input: the borders of both images coincide. At the start it is
    `keras.layers.UpSampling2D(factor, interpolation="bilinear")`, edges included.

    Args:
        factor: How many times higher and wider the output is, a whole number or two. Defaults to `2`.
        filters: Number of output channels. Other than the input's, each starts as the interpolation of a random mixture
            of the channels (by `Xavier`); of a single channel, as its interpolation. Defaults to `None`, the input's.
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
        Long et al., 2015, arXiv:1411.4038, section 3.3; deck B. Deviation: the edges are repeated, where their Caffe
        layer lets the image fade into zeros. Differences from `keras.layers.Conv2DTranspose`: the start, and a kernel
        that follows from the factor.
    """

    def __init__(
        self,
        factor: int | Sequence[int] = 2,
        *,
        filters: int | None = None,
        use_bias: bool = False,
        data_format: str | None = None,
        **kwargs,
    ):
        factors = whole_numbers("Upscale2D", "factor", factor, "[1, ∞)") or []
        if len(factors) not in (1, 2):
            checks.reject("Upscale2D", "factor", "a whole number or 2 of them", factor)
        if filters is not None:
            checks.whole("Upscale2D", "filters", filters)
        checks.boolean("Upscale2D", "use_bias", use_bias)
        checks.one_of("Upscale2D", "data_format", data_format, (None, "channels_first", "channels_last"))
        for fixed in ("kernel_size", "strides", "padding", "output_padding", "dilation_rate", "kernel_initializer"):
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

    def build(self, input_shape):
        self.filters = self._given_filters or input_shape[-1 if self.data_format == "channels_last" else 1]
        super().build(input_shape)

    def call(self, inputs):
        first, inputs = self._first, floating(inputs, self.compute_dtype)
        for axis in (first, first + 1):
            # Not `ops.pad`, which PyTorch has not for an empty batch.
            edges = [[slice(None)] * axis + [slice(*ends)] for ends in ((1,), (-1, None))]
            inputs = ops.concatenate([inputs[tuple(edges[0])], inputs, inputs[tuple(edges[1])]], axis)
        outputs = super().call(inputs)
        # A repeated pixel adds s places, and the kernel reaches ⌊s/2⌋ further.
        cut = [slice(s + s // 2, -(s + s // 2)) for s in self.strides]
        return outputs[(slice(None),) * first + tuple(cut)]

    def compute_output_shape(self, input_shape):
        shape, first = list(input_shape), self._first
        for axis, s in enumerate(self.strides, first):
            shape[axis] = None if shape[axis] is None else s * shape[axis]
        shape[-1 if first == 1 else 1] = self._given_filters or shape[-1 if first == 1 else 1]
        return tuple(shape)

    def get_config(self):
        config = super().get_config()
        for fixed in ("kernel_size", "strides", "padding", "output_padding", "dilation_rate", "kernel_initializer"):
            del config[fixed]
        return {**config, "factor": self.strides, "filters": self._given_filters}

    @property
    def _first(self):
        """The first of the two axes of the image."""
        return 1 if self.data_format == "channels_last" else 2
