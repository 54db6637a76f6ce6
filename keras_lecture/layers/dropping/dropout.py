"""Dropout, inverted or as on the slides."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.inputs import floating
from keras_lecture.layers._base.random_bits import RATES, drawn_rate, drop
from keras_lecture.layers._base.seeded import SeededLayer


@register
class Dropout(SeededLayer):
    """Sets a random fraction of the values to zero in training, so that units cannot rely on each other.

    Use it between dense layers, or after convolutions with a small rate. It costs one hash per value in training.

        m ~ Bernoulli(1 − rate)
        "train": training y = m·x/(1 − rate),  inference y = x
        "test":  training y = m·x,             inference y = (1 − rate)·x

    The expected output in training is the output at inference, with both scalings.
    `scaling="train"` has the distribution of `keras.layers.Dropout`, from another random stream.

    Args:
        rate: Fraction of the values that is dropped, in [0, 0.99999].
        noise_shape: Shape of the mask, broadcast against the input; a `None` entry stands for the input's size.
            `(None, 1, 1, None)` drops whole channels of an image. Defaults to `None`, one draw per value.
        seed: Seed of the random stream. Defaults to `None`, a random seed.
        scaling: `"train"` (inverted dropout) or `"test"` (the slides). Defaults to `"train"`.

    Example:
        >>> layer = keras_lecture.layers.Dropout(0.5, seed=1)
        >>> y = layer(keras.ops.ones((4, 1000)), training=True)
        >>> sorted(set(keras.ops.convert_to_numpy(y).ravel().tolist()))
        [0.0, 2.0]

    Reference:
        Srivastava et al., 2014, JMLR 15:1929. Decks B, D, E. Deviation: the probability is rounded to a multiple of
        2⁻¹⁶, both in the mask and in the scale. Differences from `keras.layers.Dropout`: `scaling`; the random stream
        is the same on every backend and is saved with the model, so that training continues after loading as if it had
        not stopped; `rate=1` is an error; in `keras.RematScope` the mask is kept, where Keras draws another one for
        the gradient.
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        *,
        scaling: str = "train",
        **kwargs: Any,
    ) -> None:
        checks.number("Dropout", "rate", rate, RATES, "A rate of 1 would drop everything.")
        if noise_shape is not None:
            expectation = "a shape, such as (None, 1, 1, None), or None"
            checks.instance("Dropout", "noise_shape", noise_shape, Sequence, expectation)
        for size in noise_shape or ():
            if size is not None:
                checks.whole("Dropout", "noise_shape", size, "[1, ∞)")
        checks.one_of("Dropout", "scaling", scaling, ("train", "test"))
        super().__init__(seed=seed, **kwargs)
        self.rate = rate
        self.noise_shape: tuple[int | None, ...] | None = None if noise_shape is None else tuple(noise_shape)
        self.scaling = scaling
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if self.noise_shape is not None and len(self.noise_shape) != len(input_shape):
            checks.reject("Dropout", "noise_shape", f"a shape of {len(input_shape)} axes", self.noise_shape)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        inputs = floating(inputs, self.compute_dtype)
        if self.rate == 0:
            return inputs
        if not training:
            return inputs if self.scaling == "train" else inputs * (1 - drawn_rate(self.rate))
        shape = ops.shape(inputs)
        if self.noise_shape is not None:
            shape = tuple(size if given is None else given for size, given in zip(shape, self.noise_shape, strict=True))
        return drop(inputs, self.seed_generator.next(), shape, self.rate, self.scaling == "train")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        own = {"rate": self.rate, "noise_shape": self.noise_shape, "scaling": self.scaling}
        return {**super().get_config(), **own}
