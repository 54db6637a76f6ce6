"""Maxout: the maximum of several linear pieces, dense and convolutional."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import keras
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.copies import with_seed
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.activations import maxout
from keras_lecture.layers._base.inputs import floating

# Options that both layers pass on to the linear layer and read back from its config.
_OPTIONS = ("use_bias", "kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint")
# Each piece is drawn by itself: a config must not ask for a million of them.
_PIECES = "[1, 256]"


@register
class PieceInitializer(keras.initializers.Initializer):
    """Draws each piece of a kernel separately, with the fan of one piece.

    Drawn together, the pieces would count as additional outputs, and all weights would start too small.
    """

    def __init__(self, initializer: Any, pieces: int) -> None:
        checks.whole("PieceInitializer", "pieces", pieces, _PIECES)
        self.initializer: Any = keras.initializers.get(initializer)
        self.pieces = pieces

    def __call__(self, shape: Sequence[int], dtype: str | None = None, **kwargs: Any) -> Tensor:
        one = (*shape[:-1], shape[-1] // self.pieces)
        # A seeded initializer draws the same values on every call, but pieces must differ.
        pieces = [with_seed(self.initializer, lambda seed, k=k: seed + k) for k in range(self.pieces)]
        return ops.concatenate([piece(one, dtype=dtype, **kwargs) for piece in pieces], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {"initializer": keras.initializers.serialize(self.initializer), "pieces": self.pieces}


class MaxoutLayer(keras.layers.Layer):
    """Base of dense and convolutional maxout: one linear layer with the outputs of all pieces, then the maximum."""

    def __init__(
        self,
        kind: type[keras.layers.Layer],
        outputs: int,
        pieces: int,
        initializers: dict[str, Any],
        options: dict[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pieces = int(pieces)
        self._initializers = {name: keras.initializers.get(value) for name, value in initializers.items()}
        self.linear: keras.layers.Layer = kind(
            int(outputs) * self.pieces,
            kernel_initializer=PieceInitializer(self._initializers["kernel_initializer"], pieces),
            bias_initializer=self._initializers["bias_initializer"],
            dtype=kwargs.get("dtype"),
            name="linear",
            **options,
        )
        self._axis = 1 if getattr(self.linear, "data_format", None) == "channels_first" else -1
        self.supports_masking: bool = self.linear.supports_masking

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.linear.build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        return maxout(self.linear(floating(inputs, self.compute_dtype)), self.pieces, self._axis)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        shape = list(self.linear.compute_output_shape(input_shape))
        shape[self._axis] //= self.pieces
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        linear = self.linear.get_config()
        return {
            **super().get_config(),
            "pieces": self.pieces,
            **{name: keras.initializers.serialize(value) for name, value in self._initializers.items()},
            **{name: linear[name] for name in _OPTIONS},
            **({"linear": _changes(linear)} if self.linear.quantization_mode or linear.get("lora_rank") else {}),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        # A copy: the caller's config stays as it is.
        arguments = dict(config)
        changes = arguments.pop("linear", None)
        layer = super().from_config(arguments)
        if changes is not None:
            layer.linear = type(layer.linear).from_config({**layer.linear.get_config(), **changes})
        return layer


def _changes(linear: dict) -> dict:
    """The entries of the linear layer's config that `quantize` and `enable_lora` change."""
    names = ("dtype", "quantization_config", "lora_rank", "lora_alpha")
    return {name: linear[name] for name in names if name in linear}


@register
class Maxout(MaxoutLayer):
    """A dense layer whose units are the maximum of several linear functions: the activation is learned.

    Use it in place of a dense layer with ReLU, best together with dropout. It costs as much as `pieces` dense layers.

        y_j = max_k (w_jkᵀx + b_jk),   k = 1 … pieces

    j one of `units`. `pieces=1` is `keras.layers.Dense`.

    Args:
        units: Number of outputs.
        pieces: Linear functions per output, at most 256. Defaults to `2`.
        use_bias: Whether there are biases b. Defaults to `True`.
        kernel_initializer: Initializer of each piece, with the fan of one piece. Defaults to `"glorot_uniform"`.
        bias_initializer: Initializer of the biases. Defaults to `"zeros"`.
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
        kernel_initializer: str | Callable[..., Tensor] = "glorot_uniform",
        bias_initializer: str | Callable[..., Tensor] = "zeros",
        use_bias: bool = True,
        kernel_regularizer: str | Callable[..., Tensor] | None = None,
        bias_regularizer: str | Callable[..., Tensor] | None = None,
        kernel_constraint: str | Callable[..., Tensor] | None = None,
        bias_constraint: str | Callable[..., Tensor] | None = None,
        **kwargs: Any,
    ) -> None:
        checks.whole("Maxout", "units", units)
        checks.whole("Maxout", "pieces", pieces, _PIECES)
        checks.boolean("Maxout", "use_bias", use_bias)
        initializers = {"kernel_initializer": kernel_initializer, "bias_initializer": bias_initializer}
        options = {
            "use_bias": use_bias,
            "kernel_regularizer": kernel_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "bias_constraint": bias_constraint,
        }
        super().__init__(keras.layers.Dense, units, pieces, initializers, options, **kwargs)
        self.units = units

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@register
class MaxoutConv2D(MaxoutLayer):
    """A convolution whose filters are the maximum of several convolutions: maxout for images.

    Use it in place of a convolution with ReLU. It costs as much as `pieces` convolutions.

        y_j = max_k (w_jk ∗ x + b_jk),   k = 1 … pieces

    j one of `filters`. `pieces=1` is `keras.layers.Conv2D`.

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the kernel, one number or two.
        pieces: Convolutions per output channel, at most 256. Defaults to `2`.
        strides: As in `keras.layers.Conv2D`. Defaults to `1`.
        padding: `"valid"` or `"same"`. Defaults to `"valid"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.
        dilation_rate: As in `keras.layers.Conv2D`. Defaults to `1`.
        kernel_initializer: Initializer of each piece, with the fan of one piece. Defaults to `"glorot_uniform"`.
        bias_initializer: Initializer of the biases. Defaults to `"zeros"`.
        **kwargs: `use_bias`, regularizers and constraints as in `keras.layers.Conv2D`; `name`, `dtype`.

    Example:
        >>> tuple(keras_lecture.layers.MaxoutConv2D(4, 3, padding="same")(keras.ops.ones((2, 8, 8, 3))).shape)
        (2, 8, 8, 4)

    Reference:
        Goodfellow et al., 2013, arXiv:1302.4389, section 2. Decks A, C, D. Deviation: none. Keras has no such layer.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        *,
        pieces: int = 2,
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        kernel_initializer: str | Callable[..., Tensor] = "glorot_uniform",
        bias_initializer: str | Callable[..., Tensor] = "zeros",
        **kwargs: Any,
    ) -> None:
        checks.whole("MaxoutConv2D", "filters", filters)
        checks.whole("MaxoutConv2D", "pieces", pieces, _PIECES)
        checks.one_of("MaxoutConv2D", "padding", padding, ("valid", "same"))
        checks.one_of("MaxoutConv2D", "data_format", data_format, (None, "channels_first", "channels_last"))
        initializers = {"kernel_initializer": kernel_initializer, "bias_initializer": bias_initializer}
        options = {
            "kernel_size": kernel_size,
            "strides": strides,
            "padding": padding,
            "data_format": data_format,
            "dilation_rate": dilation_rate,
            **{name: kwargs.pop(name) for name in _OPTIONS if name in kwargs},
        }
        super().__init__(keras.layers.Conv2D, filters, pieces, initializers, options, **kwargs)
        self.filters = filters

    def get_config(self) -> dict[str, Any]:
        linear = self.linear.get_config()
        names = ("kernel_size", "strides", "padding", "data_format", "dilation_rate")
        return {**super().get_config(), "filters": self.filters, **{name: linear[name] for name in names}}
