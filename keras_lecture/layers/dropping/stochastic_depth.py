"""Stochastic depth: residual branches that are left out at random."""

from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture.layers._base.inputs import floating
from keras_lecture.layers._base.random_bits import drop
from keras_lecture.layers._base.seeded import SeededLayer


@register
class StochasticDepth(SeededLayer):
    """Leaves out a residual branch in training, for each sample by itself, so that a deep net trains as a shallow one.

    Use it last on the branch of a residual connection, `x + StochasticDepth(0.2)(branch(x))`, in deep nets with rates
    that grow from 0 at the first block. It costs one draw per sample and a pass over the branch in training.

        m ~ Bernoulli(1 − rate), one for each sample
        training y = m·x/(1 − rate),  inference y = x

    The expected output in training is the output at inference.
    On images it is `Dropout` with `noise_shape=(None, 1, 1, 1)`.

    Args:
        rate: Share of samples whose branch is left out, in [0, 1).
        seed: Start of the random stream. Defaults to `None`, a random start.

    Example:
        >>> layer = keras_lecture.layers.StochasticDepth(0.5, seed=1)
        >>> y = keras.ops.convert_to_numpy(layer(keras.ops.ones((100, 8)), training=True))
        >>> sorted(set(y.min(axis=1).tolist())), sorted(set(y.max(axis=1).tolist()))
        ([0.0, 2.0], [0.0, 2.0])

    Reference:
        Huang et al., 2016, arXiv:1603.09382, eqs. 2 and 5. Deck B draws the residual net that it is for. Deviations:
        one draw per sample instead of one per batch, and the surviving branch is scaled in training instead of at
        inference, as in most later work ("drop path"). Keras has no such layer. TensorFlow Addons' class of this name
        took `[shortcut, residual]` and the probability to survive; here the addition stays yours.
    """

    def __init__(self, rate: float, *, seed: int | None = None, **kwargs):
        checks.number("StochasticDepth", "rate", rate, "[0, 1)", "A rate of 1 would leave out every branch.")
        super().__init__(seed=seed, **kwargs)
        self.rate = rate
        self.supports_masking = True

    def build(self, input_shape):
        pass

    def call(self, inputs, training=False):
        inputs = floating(inputs, self.compute_dtype)
        if self.rate == 0 or not training:
            return inputs
        one_per_sample = (ops.shape(inputs)[0], *[1] * (len(inputs.shape) - 1))
        return drop(inputs, self.seed_generator.next(), one_per_sample, self.rate, True)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}
