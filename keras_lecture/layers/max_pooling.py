"""Max pooling with explicit padding, in one, two and three dimensions."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.inputs import refuse


@accelerate
def max_pool(
    x: Tensor,
    pool_size: Sequence[int],
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    data_format: str,
) -> Tensor:
    """Maxima of windows of `pool_size`; `padding` is `"same"` or pairs (before, after), filled with −∞.

    One axis after the other, each as the maximum of strided slices. On a CPU, XLA's window reduction takes ten times as
    long.
    """
    first = 1 if data_format == "channels_last" else 2
    if padding == "same":
        padding = [_same(*each) for each in zip(ops.shape(x)[first:], pool_size, strides, strict=False)]
    if any(not isinstance(n, int) or n for pair in padding for n in pair):
        outer = [(0, 0)] * first + list(padding) + [(0, 0)] * (2 - first)
        x = ops.pad(x, outer, constant_values=lowest(keras.backend.standardize_dtype(x.dtype)))
    # The last axis first, so that the first element of a window in row-major order gets the gradient of a tie.
    for axis in reversed(range(len(pool_size))):
        x = _axis_maximum(x, first + axis, pool_size[axis], strides[axis])
    return x


def lowest(dtype: str) -> float:
    """The smallest value of `dtype`: −∞ for floating-point numbers."""
    return np.iinfo(dtype).min if "int" in dtype else -float("inf")


def _axis_maximum(x, axis, size, stride):
    count = (ops.shape(x)[axis] - size) // stride + 1
    largest, index = None, [slice(None)] * len(x.shape)
    for start in range(size):
        index[axis] = slice(start, start + (count - 1) * stride + 1, stride)
        piece = x[tuple(index)]
        # Not `ops.maximum`, which splits the gradient of a tie. The second comparison is true for NaN, which must stay.
        larger = None if largest is None else ops.logical_or(piece > largest, piece != piece)
        largest = piece if larger is None else ops.where(larger, piece, largest)
    return largest


def _same(n, size, stride):
    """The padding before and after that Keras calls `"same"`."""
    total = (-(-n // stride) - 1) * stride + size - n
    # In a graph of TensorFlow the size may be a tensor.
    total = max(total, 0) if isinstance(total, int) else ops.maximum(total, 0)
    return total // 2, total - total // 2


class MaxPooling(keras.layers.Layer):
    """Base of the three public classes; `rank` is the number of pooled axes."""

    rank: int

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str | int | Sequence[int | tuple[int, int]] = "valid",
        data_format: str | None = None,
        *,
        ceil_mode: bool = False,
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        self.pool_size: tuple[int, ...] = self._sizes(owner, "pool_size", pool_size)
        self.strides: tuple[int, ...] = self.pool_size if strides is None else self._sizes(owner, "strides", strides)
        named = padding in ("valid", "same")
        self.padding: str | tuple[tuple[int, int], ...] = padding if named else self._pairs(owner, padding)
        checks.one_of(owner, "data_format", data_format, (None, "channels_first", "channels_last"))
        checks.boolean(owner, "ceil_mode", ceil_mode)
        if ceil_mode and padding == "same":
            checks.reject(owner, "ceil_mode", 'False with padding="same"', True, '"same" rounds up already.')
        super().__init__(**kwargs)
        self.data_format: str = data_format or keras.config.image_data_format()
        self.ceil_mode = ceil_mode
        self.supports_masking = False
        self.input_spec: Any = keras.layers.InputSpec(ndim=self.rank + 2)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.compute_output_shape(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        self._check_sizes(ops.shape(inputs))
        padding = self.padding if self.padding == "same" else self._padded()
        return max_pool(inputs, self.pool_size, self.strides, padding, self.data_format)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        first = 1 if self.data_format == "channels_last" else 2
        sizes = input_shape[first : first + self.rank]
        pooled = tuple(None if n is None else self._pooled(n, axis) for axis, n in enumerate(sizes))
        return (*input_shape[:first], *pooled, *input_shape[first + self.rank :])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "ceil_mode": self.ceil_mode,
        }

    def _check_sizes(self, shape):
        """The checks of `build`, for the sizes that are known only in the call."""
        first = 1 if self.data_format == "channels_last" else 2
        for axis, n in enumerate(shape[first : first + self.rank]):
            if isinstance(n, int):
                self._pooled(n, axis)
            elif n is not None and self.padding != "same":
                room = n + sum(self._padded()[axis]) - self.pool_size[axis]
                rest = room % self.strides[axis] if self.padding != "valid" and not self.ceil_mode else 0
                message = f"{type(self).__name__}: `padding` must be such that windows of {self.pool_size} with "
                message += f"strides of {self.strides} fit the input. Received: padding={self.padding}, {n=}"
                refuse(ops.logical_or(room < 0, rest != 0), message)

    def _padded(self):
        """The padding (before, after) of each axis, with the part that `ceil_mode` adds."""
        pairs = ((0, 0),) * self.rank if self.padding == "valid" else self.padding
        if not self.ceil_mode:
            return pairs
        # Enough for one more window, unless it would start beyond the input: PyTorch's rule.
        return tuple(
            (before, max(after, min(after + stride - 1, size - 1)))
            for (before, after), size, stride in zip(pairs, self.pool_size, self.strides, strict=True)
        )

    def _pooled(self, n, axis):
        """M = (N + padding − K)/stride + 1 for one axis."""
        size, stride = self.pool_size[axis], self.strides[axis]
        if self.padding == "same":
            return -(-n // stride)
        before, after = self._padded()[axis]
        room = n + before + after - size
        owner, formula = type(self).__name__, f"M = ({n} + {before + after} − {size})/{stride} + 1"
        if room < 0:
            checks.reject(owner, "pool_size", f"no larger than the padded input; {formula} < 1", self.pool_size)
        # "valid" drops the remainder, as in Keras; explicit padding means the slide's formula, which has to divide.
        if room % stride and self.padding != "valid" and not self.ceil_mode:
            remedy = f"Pass `ceil_mode=True` for one more window over the remainder, or {self._trimmed(axis, room)}."
            checks.reject(owner, "padding", f"such that {formula} is a whole number", self.padding, remedy)
        return room // stride + 1

    def _trimmed(self, axis, room):
        before, after = self.padding[axis]
        rest = room % self.strides[axis]
        if after < rest:
            return 'padding="valid" to drop it'
        pairs = list(self.padding)
        pairs[axis] = (before, after - rest)
        return f"padding={tuple(pairs)} to drop it"

    def _sizes(self, owner, argument, value) -> tuple:
        values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * self.rank
        if len(values) != self.rank:
            checks.reject(owner, argument, f"a whole number or {self.rank} of them", value)
        for size in values:
            checks.whole(owner, argument, size)
        return values

    def _pairs(self, owner, padding) -> tuple:
        values = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * self.rank
        if len(values) != self.rank or isinstance(padding, str):
            expectation = f'"valid", "same", a whole number, {self.rank} of them, or {self.rank} pairs (before, after)'
            checks.reject(owner, "padding", expectation, padding)
        pairs = tuple(tuple(v) if isinstance(v, (tuple, list)) else (v, v) for v in values)
        for pair, size in zip(pairs, self.pool_size, strict=True):
            for width in pair:
                remedy = "A window must not lie entirely in the padding."
                checks.whole(owner, "padding", width, f"[0, {size - 1}]", remedy)
        return pairs


@register
class MaxPooling2D(MaxPooling):
    """Max pooling of images, with explicit padding.

    Use it to shrink feature maps; windows overlap where `strides` is smaller than `pool_size` (AlexNet: 3 and 2).

        y[i] = max over k < K of x[i·stride + k − padding],   i < M
        M = (N + 2·padding − K)/stride + 1

    K `pool_size`, N and M the input and output size along each axis. The padding is −∞, which is never the maximum; a
    NaN always is. The gradient goes to the maximum alone, on ties to the first. A window of `pool_size=1` changes
    nothing.
    If the division leaves a remainder and `padding` is explicit, the layer raises an error instead of silently dropping
    data.

    Args:
        pool_size: K, one number or one per axis. Defaults to `2`.
        strides: Step from window to window, one number or one per axis. Defaults to `None`, which is `pool_size`.
        padding: `"valid"` (none; a remainder is dropped), `"same"` (as in Keras), one width for every side, one per
            axis, or one pair (before, after) per axis. Defaults to `"valid"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.
        ceil_mode: Whether to add a window over the remainder. Defaults to `False`.

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
class MaxPooling1D(MaxPooling):
    """Max pooling of sequences, with explicit padding: `MaxPooling2D` with one axis.

    Use it to shorten sequences of features. Formula, ties, NaN and remainders are as in `MaxPooling2D`.

    Args:
        pool_size, strides, padding, data_format, ceil_mode: As in `MaxPooling2D`, for one axis.

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
class MaxPooling3D(MaxPooling):
    """Max pooling of volumes or videos, with explicit padding: `MaxPooling2D` with three axes.

    Use it to shrink three-dimensional feature maps. Formula, ties, NaN and remainders are as in `MaxPooling2D`.

    Args:
        pool_size, strides, padding, data_format, ceil_mode: As in `MaxPooling2D`, for three axes.

    Example:
        >>> layer = keras_lecture.layers.MaxPooling3D(3, strides=2, padding=1)
        >>> tuple(layer(keras.ops.ones((1, 5, 5, 5, 2))).shape)
        (1, 3, 3, 3, 2)

    Reference:
        Deck A, worked example of `MaxPooling2D`, along three axes.
        Differences from `keras.layers.MaxPooling3D`: explicit `padding`, `ceil_mode`.
    """

    rank = 3
