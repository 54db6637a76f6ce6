"""Max pooling with explicit padding, in one, two and three dimensions."""

from typing import Any

import keras
from keras import ops

from keras_lecture import checks
from keras_lecture.backend import accelerate
from keras_lecture.saving import register

Tensor = Any


@accelerate
def max_pool(x: Tensor, pool_size: tuple, strides: tuple, padding, data_format: str) -> Tensor:
    """Maxima of windows of `pool_size`; `padding` is `"same"` or pairs (before, after), filled with −∞."""
    if padding == "same":
        return ops.max_pool(x, pool_size, strides, "same", data_format)
    if any(map(any, padding)):
        outer = [(0, 0), *padding, (0, 0)] if data_format == "channels_last" else [(0, 0), (0, 0), *padding]
        x = ops.pad(x, outer, constant_values=-float("inf"))
    return ops.max_pool(x, pool_size, strides, "valid", data_format)


class MaxPooling(keras.Layer):
    """What the three public classes share; `rank` is the number of pooled axes."""

    rank = None

    def __init__(
        self, pool_size=2, strides=None, padding="valid", data_format=None, *, ceil_mode: bool = False, **kwargs
    ):
        owner = type(self).__name__
        self.pool_size = self._sizes(owner, "pool_size", pool_size)
        self.strides = self.pool_size if strides is None else self._sizes(owner, "strides", strides)
        self.padding = padding if padding in ("valid", "same") else self._pairs(owner, padding)
        checks.one_of(owner, "data_format", data_format, (None, "channels_first", "channels_last"))
        checks.boolean(owner, "ceil_mode", ceil_mode)
        if ceil_mode and padding == "same":
            checks.reject(owner, "ceil_mode", 'False with padding="same"', True, '"same" rounds up already.')
        super().__init__(**kwargs)
        self.data_format = data_format or keras.config.image_data_format()
        self.ceil_mode = ceil_mode
        self.supports_masking = False
        self.input_spec = keras.layers.InputSpec(ndim=self.rank + 2)

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def call(self, inputs):
        padding = self.padding if self.padding == "same" else self._placed()
        return max_pool(inputs, self.pool_size, self.strides, padding, self.data_format)

    def compute_output_shape(self, input_shape):
        first = 1 if self.data_format == "channels_last" else 2
        sizes = input_shape[first : first + self.rank]
        pooled = tuple(None if n is None else self._pooled(n, axis) for axis, n in enumerate(sizes))
        return (*input_shape[:first], *pooled, *input_shape[first + self.rank :])

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "ceil_mode": self.ceil_mode,
        }

    def _placed(self):
        """The pairs that are really put around the input."""
        pairs = ((0, 0),) * self.rank if self.padding == "valid" else self.padding
        if not self.ceil_mode:
            return pairs
        # Enough for one more window, but never for a window that would lie beyond the input: PyTorch's rule.
        return tuple(
            (before, max(after, min(after + stride - 1, size - 1)))
            for (before, after), size, stride in zip(pairs, self.pool_size, self.strides, strict=True)
        )

    def _pooled(self, n, axis):
        """M = (N + padding − K)/stride + 1 for one axis."""
        size, stride = self.pool_size[axis], self.strides[axis]
        if self.padding == "same":
            return -(-n // stride)
        before, after = self._placed()[axis]
        room = n + before + after - size
        owner, formula = type(self).__name__, f"M = ({n} + {before + after} − {size})/{stride} + 1"
        if room < 0:
            checks.reject(owner, "pool_size", f"no larger than the padded input; {formula} < 1", self.pool_size)
        # The names keep Keras's meaning, which leaves the rest of the input out; numbers mean the slide's formula.
        if room % stride and self.padding != "valid" and not self.ceil_mode:
            remedy = f"Pass `ceil_mode=True` for a further window over the rest, or {self._trimmed(axis, room)}."
            checks.reject(owner, "padding", f"such that {formula} is a whole number", self.padding, remedy)
        return room // stride + 1

    def _trimmed(self, axis, room):
        before, after = self.padding[axis]
        rest = room % self.strides[axis]
        if after < rest:
            return 'padding="valid" to leave it out'
        pairs = list(self.padding)
        pairs[axis] = (before, after - rest)
        return f"padding={tuple(pairs)} to leave it out"

    def _sizes(self, owner, argument, value):
        values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * self.rank
        if len(values) != self.rank:
            checks.reject(owner, argument, f"a whole number or {self.rank} of them", value)
        for size in values:
            checks.whole(owner, argument, size)
        return values

    def _pairs(self, owner, padding):
        values = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * self.rank
        if len(values) != self.rank or isinstance(padding, str):
            expectation = f'"valid", "same", a whole number, {self.rank} of them, or {self.rank} pairs (before, after)'
            checks.reject(owner, "padding", expectation, padding)
        pairs = tuple(tuple(v) if isinstance(v, (tuple, list)) else (v, v) for v in values)
        for pair, size in zip(pairs, self.pool_size, strict=True):
            for places in pair:
                remedy = "A window must not lie in the padding alone."
                checks.whole(owner, "padding", places, f"[0, {size - 1}]", remedy)
        return pairs


@register
class MaxPooling1D(MaxPooling):
    """Maxima over windows of a sequence, with explicit padding.

    Use it to shorten sequences of features; windows overlap where `strides` is smaller than `pool_size`.

        y[i] = max over k < K of x[i·stride + k − padding],   i < M
        M = (N + 2·padding − K)/stride + 1

    K `pool_size`, N and M the sizes before and after along each axis. Padded places hold −∞ and never win. The gradient
    goes to the active input alone, on ties to the first. A window of `pool_size=1` changes nothing.
    Where the division leaves a rest and `padding` is a number, the layer says so instead of dropping data in silence.

    Args:
        pool_size: K, one number or one per axis. Defaults to `2`.
        strides: Step from window to window, one number or one per axis. Defaults to `None`, which is `pool_size`.
        padding: `"valid"` (none; what no window reaches is left out), `"same"` (as Keras), a number of places on
            every side, one number per axis, or one pair (before, after) per axis. Defaults to `"valid"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.
        ceil_mode: Adds a window over the rest when the division leaves one. Defaults to `False`.

    Example:
        >>> layer = keras_lecture.layers.MaxPooling1D(3, strides=1, padding=1)
        >>> tuple(layer(keras.ops.ones((2, 5, 4))).shape)
        (2, 5, 4)

    Reference:
        Deck A, worked example of `MaxPooling2D`, along one axis.
        Differences from `keras.layers.MaxPooling1D`: explicit `padding`, `ceil_mode`.
    """

    rank = 1


@register
class MaxPooling2D(MaxPooling):
    """Maxima over windows of an image, with explicit padding.

    Use it to shrink feature maps; windows overlap where `strides` is smaller than `pool_size` (AlexNet: 3 and 2).

        y[i] = max over k < K of x[i·stride + k − padding],   i < M
        M = (N + 2·padding − K)/stride + 1

    K `pool_size`, N and M the sizes before and after along each axis. Padded places hold −∞ and never win. The gradient
    goes to the active input alone, on ties to the first. A window of `pool_size=1` changes nothing.
    Where the division leaves a rest and `padding` is a number, the layer says so instead of dropping data in silence.

    Args:
        pool_size: K, one number or one per axis. Defaults to `2`.
        strides: Step from window to window, one number or one per axis. Defaults to `None`, which is `pool_size`.
        padding: `"valid"` (none; what no window reaches is left out), `"same"` (as Keras), a number of places on
            every side, one number per axis, or one pair (before, after) per axis. Defaults to `"valid"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.
        ceil_mode: Adds a window over the rest when the division leaves one. Defaults to `False`.

    Example:
        >>> layer = keras_lecture.layers.MaxPooling2D(2, strides=1)
        >>> tuple(layer(keras.ops.ones((2, 5, 5, 3))).shape)
        (2, 4, 4, 3)

    Reference:
        Deck A, worked example 5 × 5 → 4 × 4; decks B, C.
        Differences from `keras.layers.MaxPooling2D`: explicit `padding`, `ceil_mode`.
    """

    rank = 2


@register
class MaxPooling3D(MaxPooling):
    """Maxima over windows of a volume or a video, with explicit padding.

    Use it to shrink three-dimensional feature maps; windows overlap where `strides` is smaller than `pool_size`.

        y[i] = max over k < K of x[i·stride + k − padding],   i < M
        M = (N + 2·padding − K)/stride + 1

    K `pool_size`, N and M the sizes before and after along each axis. Padded places hold −∞ and never win. The gradient
    goes to the active input alone, on ties to the first. A window of `pool_size=1` changes nothing.
    Where the division leaves a rest and `padding` is a number, the layer says so instead of dropping data in silence.

    Args:
        pool_size: K, one number or one per axis. Defaults to `2`.
        strides: Step from window to window, one number or one per axis. Defaults to `None`, which is `pool_size`.
        padding: `"valid"` (none; what no window reaches is left out), `"same"` (as Keras), a number of places on
            every side, one number per axis, or one pair (before, after) per axis. Defaults to `"valid"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.
        ceil_mode: Adds a window over the rest when the division leaves one. Defaults to `False`.

    Example:
        >>> layer = keras_lecture.layers.MaxPooling3D(3, strides=2, padding=1)
        >>> tuple(layer(keras.ops.ones((1, 5, 5, 5, 2))).shape)
        (1, 3, 3, 3, 2)

    Reference:
        Deck A, worked example of `MaxPooling2D`, along three axes.
        Differences from `keras.layers.MaxPooling3D`: explicit `padding`, `ceil_mode`.
    """

    rank = 3
