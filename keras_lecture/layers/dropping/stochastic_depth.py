"""Stochastic depth: random dropping of residual branches."""

from typing import Any

from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.inputs import floating
from keras_lecture.layers._base.random_bits import RATES, drop
from keras_lecture.layers._base.seeded import SeededLayer


@register
class StochasticDepth(SeededLayer):
    """Drops a residual branch in training, independently for each sample, so that a deep net trains like a shallow one.

    Use it at the end of the branch of a residual connection, `x + StochasticDepth(0.2)(branch(x))`, in deep nets with
    rates that grow from 0 at the first block. In training it costs one draw per sample and one pass over the output of
    the branch.

        m ~ Bernoulli(1 − rate), one for each sample
        training y = m·x/(1 − rate),  inference y = x

    The expected output in training is the output at inference.
    On images it is `Dropout` with `noise_shape=(None, 1, 1, 1)`.

    Args:
        rate: Fraction of the samples whose branch is dropped, in [0, 0.99999].
        seed: Seed of the random stream. Defaults to `None`, a random seed.

    Example:
        >>> layer = keras_lecture.layers.StochasticDepth(0.5, seed=1)
        >>> y = keras.ops.convert_to_numpy(layer(keras.ops.ones((100, 8)), training=True))
        >>> sorted(set(y.min(axis=1).tolist())), sorted(set(y.max(axis=1).tolist()))
        ([0.0, 2.0], [0.0, 2.0])

    Reference:
        Huang et al., 2016, arXiv:1603.09382, eqs. 2 and 5. Deck B shows the residual net it is used in.
        Deviations: one draw per sample instead of one per batch, and the kept branch is scaled in training instead of
        at inference, as in most later work ("drop path"); the rate is rounded to a multiple of 2⁻¹⁶, in the draw and in
        the scale. Keras has no such layer. The class of this name in TensorFlow
        Addons took `[shortcut, residual]` and the survival probability; here the addition is left to the caller.
    """

    def __init__(self, rate: float, *, seed: int | None = None, **kwargs: Any) -> None:
        checks.number("StochasticDepth", "rate", rate, RATES, "A rate of 1 would drop every branch.")
        super().__init__(seed=seed, **kwargs)
        self.rate = rate
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        pass

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        inputs = floating(inputs, self.compute_dtype)
        if self.rate == 0 or not training:
            return inputs
        one_per_sample = (ops.shape(inputs)[0], *[1] * (len(inputs.shape) - 1))
        return drop(inputs, self.seed_generator.next(), one_per_sample, self.rate, True)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}
