"""Maxout: the largest of several linear pieces, dense and convolutional."""

import keras
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture.activations import maxout


@register
class PieceInitializer(keras.initializers.Initializer):
    """An initializer that draws each piece by itself, with the fan of one piece.

    Drawn in one go, the pieces would count as so many more outputs, and every weight would start too small.
    """

    def __init__(self, initializer, pieces):
        self.initializer, self.pieces = keras.initializers.get(initializer), pieces

    def __call__(self, shape, dtype=None, **kwargs):
        one = (*shape[:-1], shape[-1] // self.pieces)
        draws = [self._piece(k)(one, dtype=dtype, **kwargs) for k in range(self.pieces)]
        return ops.concatenate(draws, axis=-1)

    def get_config(self):
        return {"initializer": keras.initializers.serialize(self.initializer), "pieces": self.pieces}

    def _piece(self, k):
        """A seeded initializer draws the same values on every call, but pieces must differ."""
        if k == 0 or not isinstance(self.initializer, keras.initializers.Initializer):
            return self.initializer
        config = self.initializer.get_config()
        if isinstance(config.get("seed"), int):
            config["seed"] += k
        return type(self.initializer).from_config(config)


class MaxoutLayer(keras.Layer):
    """What dense and convolutional maxout share: one linear layer of `pieces` blocks, then the maximum."""

    def __init__(self, linear, pieces, axis, initializers, **kwargs):
        super().__init__(**kwargs)
        self.linear = linear
        self.pieces = pieces
        self._axis = axis
        self._initializers = initializers
        self.supports_masking = True

    def build(self, input_shape):
        self.linear.build(input_shape)

    def call(self, inputs):
        return maxout(self.linear(inputs), self.pieces, self._axis)

    def compute_output_shape(self, input_shape):
        shape = list(self.linear.compute_output_shape(input_shape))
        shape[self._axis] //= self.pieces
        return tuple(shape)

    def get_config(self):
        linear = self.linear.get_config()
        names = ("use_bias", "kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint")
        return {
            **super().get_config(),
            "pieces": self.pieces,
            **{name: keras.initializers.serialize(value) for name, value in self._initializers.items()},
            **{name: linear[name] for name in names},
            **({"linear": _afterwards(linear)} if self.linear.quantization_mode or linear.get("lora_rank") else {}),
        }

    @classmethod
    def from_config(cls, config):
        afterwards = config.pop("linear", None)
        layer = super().from_config(config)
        if afterwards is not None:
            layer.linear = type(layer.linear).from_config({**layer.linear.get_config(), **afterwards})
        return layer


def _afterwards(linear: dict) -> dict:
    """What `quantize` and `enable_lora` have made of a linear layer, of its configuration."""
    names = ("dtype", "quantization_config", "lora_rank", "lora_alpha")
    return {name: linear[name] for name in names if name in linear}


@register
class Maxout(MaxoutLayer):
    """A dense layer whose units are the maximum of several linear functions: the activation is learned.

    Use it in place of a dense layer with ReLU, best together with dropout. It costs `pieces` dense layers.

        y_j = max_k (w_jkᵀx + b_jk),   k = 1 … pieces

    j one of `units`. `pieces=1` is `keras.layers.Dense`.

    Args:
        units: Number of outputs.
        pieces: Linear functions per output. Defaults to `2`.
        use_bias: Whether there are biases b. Defaults to `True`.
        kernel_initializer: Start of each piece, with the fan of one piece. Defaults to `"glorot_uniform"`.
        bias_initializer: Start of the biases. Defaults to `"zeros"`.
        kernel_regularizer: As in `keras.layers.Dense`. Defaults to `None`.
        bias_regularizer: As in `keras.layers.Dense`. Defaults to `None`.
        kernel_constraint: As in `keras.layers.Dense`. Defaults to `None`.
        bias_constraint: As in `keras.layers.Dense`. Defaults to `None`.

    Example:
        >>> tuple(keras_lecture.layers.Maxout(4, pieces=3)(keras.ops.ones((2, 5))).shape)
        (2, 4)

    Reference:
        Goodfellow et al., 2013, arXiv:1302.4389, eqs. 1 and 2. Decks A, C, D. Deviation: none. Keras has no such layer.
        TensorFlow Addons' `Maxout` had no weights; that one is `keras_lecture.activations.maxout`.
    """

    def __init__(
        self,
        units: int,
        *,
        pieces: int = 2,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        use_bias: bool = True,
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        checks.whole("Maxout", "units", units)
        checks.whole("Maxout", "pieces", pieces)
        initializers = _found(kernel_initializer, bias_initializer)
        linear = keras.layers.Dense(
            units * pieces,
            use_bias=use_bias,
            kernel_initializer=PieceInitializer(initializers["kernel_initializer"], pieces),
            bias_initializer=initializers["bias_initializer"],
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            dtype=kwargs.get("dtype"),
            name="linear",
        )
        super().__init__(linear, pieces, -1, initializers, **kwargs)
        self.units = units

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@register
class MaxoutConv2D(MaxoutLayer):
    """A convolution whose filters are the maximum of several: maxout for images.

    Use it in place of a convolution with ReLU. It costs `pieces` convolutions.

        y_j = max_k (w_jk ∗ x + b_jk),   k = 1 … pieces

    j one of `filters`. `pieces=1` is `keras.layers.Conv2D`.

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the kernel, one number or two.
        pieces: Convolutions per output channel. Defaults to `2`.
        strides: As in `keras.layers.Conv2D`. Defaults to `1`.
        padding: `"valid"` or `"same"`. Defaults to `"valid"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.
        dilation_rate: As in `keras.layers.Conv2D`. Defaults to `1`.
        kernel_initializer: Start of each piece, with the fan of one piece. Defaults to `"glorot_uniform"`.
        bias_initializer: Start of the biases. Defaults to `"zeros"`.
        **kwargs: `use_bias`, regularizers and constraints as in `keras.layers.Conv2D`; `name`, `dtype`.

    Example:
        >>> tuple(keras_lecture.layers.MaxoutConv2D(4, 3, padding="same")(keras.ops.ones((2, 8, 8, 3))).shape)
        (2, 8, 8, 4)

    Reference:
        Goodfellow et al., 2013, arXiv:1302.4389, section 2. Decks A, C, D. Deviation: none. Keras has no such layer.
    """

    _OF_CONV = ("use_bias", "kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint")

    def __init__(
        self,
        filters: int,
        kernel_size,
        *,
        pieces: int = 2,
        strides=1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate=1,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        checks.whole("MaxoutConv2D", "filters", filters)
        checks.whole("MaxoutConv2D", "pieces", pieces)
        checks.one_of("MaxoutConv2D", "padding", padding, ("valid", "same"))
        checks.one_of("MaxoutConv2D", "data_format", data_format, (None, "channels_first", "channels_last"))
        initializers = _found(kernel_initializer, bias_initializer)
        linear = keras.layers.Conv2D(
            filters * pieces,
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            kernel_initializer=PieceInitializer(initializers["kernel_initializer"], pieces),
            bias_initializer=initializers["bias_initializer"],
            **{name: kwargs.pop(name) for name in self._OF_CONV if name in kwargs},
            dtype=kwargs.get("dtype"),
            name="linear",
        )
        super().__init__(linear, pieces, -1 if linear.data_format == "channels_last" else 1, initializers, **kwargs)
        self.filters = filters

    def get_config(self):
        linear = self.linear.get_config()
        names = ("kernel_size", "strides", "padding", "data_format", "dilation_rate")
        return {**super().get_config(), "filters": self.filters, **{name: linear[name] for name in names}}


def _found(kernel_initializer, bias_initializer):
    return {
        "kernel_initializer": keras.initializers.get(kernel_initializer),
        "bias_initializer": keras.initializers.get(bias_initializer),
    }
