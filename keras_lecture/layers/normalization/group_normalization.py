"""Normalization of each sample over groups of channels, or over single channels."""

from typing import Any

import keras
from keras import ops

from keras_lecture._backend import accelerate
from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.inputs import at_least_float32, floating, refuse
from keras_lecture.layers.normalization.layer_normalization import standardize


@accelerate
def group_normalize(x: Tensor, gamma: Tensor, beta: Tensor, groups: int, axis: int, epsilon: float) -> Tensor:
    """`x` with mean 0 and variance 1 over each group of channels and all positions of a sample, times γ plus β."""
    shape, axis = list(ops.shape(x)), axis % len(x.shape)
    channels = x.shape[axis]
    # A group of one channel needs no axis for its members: XLA reduces twice as fast without. If there are no positions
    # either, one axis must remain to reduce over: PyTorch takes an empty list of axes for all axes.
    members = [] if groups == channels and len(shape) > 2 else [channels // groups]
    split = ops.reshape(at_least_float32(x), [*shape[:axis], groups, *members, *shape[axis + 1 :]])
    axes = [i for i in range(1, len(split.shape)) if i != axis]
    per_channel = [1] * len(split.shape)
    per_channel[axis : axis + 1 + len(members)] = groups, *members
    y = standardize(split, axes, gamma, beta, per_channel, epsilon)
    return ops.cast(ops.reshape(y, shape), x.dtype)


@register
class GroupNormalization(keras.layers.GroupNormalization):
    """Normalizes groups of channels of each sample: an alternative to batch normalization for any batch size.

    Use it where batches are small or differ between training and inference. It costs as much as batch normalization in
    training, and the same at inference, where it still computes moments.

        y = γ·(x − μ_G)/√(σ²_G + ε) + β

    μ_G, σ²_G over all positions and the channels/groups channels of a group, in one sample; ε `epsilon`; γ, β learned
    per channel. `groups=1` normalizes a whole sample; `groups=-1` is `InstanceNormalization`.

    Args:
        groups: Number of groups; it divides the number of channels. `-1` is one group per channel, `None` the largest
            number up to 32 that divides the channels into groups of two or more. Defaults to `32`.
        axis: The axis of the channels; `1` for channels-first data. Defaults to `-1`.
        epsilon: ε > 0. Defaults to `1e-3`.
        **kwargs: As in `keras.layers.GroupNormalization`: `center`, `scale`, initializers, regularizers, constraints.

    Example:
        >>> layer = keras_lecture.layers.GroupNormalization(2)
        >>> [round(v, 2) for v in keras.ops.convert_to_numpy(layer(np.array([[1.0, 3.0, 5.0, 5.0]])))[0].tolist()]
        [-1.0, 1.0, 0.0, 0.0]

    Reference:
        Wu and He, 2018, arXiv:1803.08494, eqs. 1–7. Deck B. Deviation: none. Differences from
        `keras.layers.GroupNormalization`: the configuration keeps `groups=-1` after building, and channels-first data
        of any rank works with `axis=1`.
    """

    def __init__(self, groups: int | None = 32, axis: int = -1, epsilon: float = 1e-3, **kwargs: Any) -> None:
        owner = type(self).__name__
        if groups not in (-1, None):
            checks.whole(owner, "groups", groups, "[1, ∞)", "-1 gives one group per channel.")
        checks.whole(owner, "axis", axis, "(-∞, ∞)")
        if axis == 0:
            checks.reject(owner, "axis", "an axis other than the batch, 0", axis)
        checks.number(owner, "epsilon", epsilon, "(0, ∞)")
        super().__init__(groups=1 if groups is None else groups, axis=axis, epsilon=epsilon, **kwargs)
        self._given_groups = groups

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[self.axis]
        if channels is not None and self._given_groups is None:
            self.groups: int = next(n for n in range(max(min(32, channels // 2), 1), 0, -1) if channels % n == 0)
        if channels is not None and self.groups != -1 and channels % self.groups:
            checks.reject(type(self).__name__, "groups", f"a divisor of the {channels} channels", self.groups)
        super().build(input_shape)
        self._check_size(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        self._check_size(ops.shape(inputs))
        inputs = floating(inputs, self.compute_dtype)
        outputs = group_normalize(inputs, self.gamma, self.beta, self.groups, self.axis, self.epsilon)
        return ops.cast(outputs, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self._given_groups}

    def _check_size(self, shape):
        """Rejects groups of one value, which is its own mean: the output would not depend on the input."""
        axis = self.axis % len(shape)
        sizes = [n for i, n in enumerate(shape) if i not in (0, axis)]
        if shape[axis] != self.groups or any(isinstance(n, int) and n != 1 for n in sizes):
            return
        owner, expectation = type(self).__name__, "more than one value in each group of a sample"
        remedy = "The output would be `beta`, whatever the input is."
        unknown = [n for n in sizes if not isinstance(n, int)]
        if not unknown:
            checks.reject(owner, "inputs", expectation, tuple(shape), remedy)
        elif None not in unknown:
            refuse(ops.prod(ops.stack(unknown)) == 1, f"{owner}: `inputs` must be {expectation}. {remedy}")


@register
class InstanceNormalization(GroupNormalization):
    """Normalizes each channel of each sample separately.

    Use it where the contrast of a single image should not matter (style transfer, image-to-image models). It costs as
    much as batch normalization in training, and the same at inference.

        y = γ·(x − μ)/√(σ² + ε) + β

    μ, σ² over all positions of one channel of one sample; ε `epsilon`; γ, β learned per channel.
    It is `GroupNormalization` with as many groups as channels (not with one group, which mixes the channels).
    Outputs of dense layers and feature maps of size 1 × 1 are rejected: the result would be β.

    Args:
        axis: The axis of the channels; `1` for channels-first data. Defaults to `-1`.
        epsilon: ε > 0. Defaults to `1e-3`.
        **kwargs: As in `keras.layers.GroupNormalization`: `center`, `scale`, initializers, regularizers, constraints.

    Example:
        >>> layer = keras_lecture.layers.InstanceNormalization()
        >>> [round(v, 2) for v in keras.ops.convert_to_numpy(layer(np.array([[[1.0], [3.0]]]))).ravel().tolist()]
        [-1.0, 1.0]

    Reference:
        Ulyanov et al., 2016, arXiv:1607.08022, eq. 3. Deck B. Deviation: none. Keras has no class of this name;
        `keras.layers.GroupNormalization(groups=-1)` computes the same.
    """

    def __init__(self, axis: int = -1, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(groups=-1, axis=axis, epsilon=epsilon, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["groups"]
        return config
