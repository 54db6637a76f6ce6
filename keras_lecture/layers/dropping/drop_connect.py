"""DropConnect: connections, not nodes, that are left out at random."""

import math

import keras
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.saving import register
from keras_lecture.layers._base.derived_kernel import KernelWrapper, holding
from keras_lecture.layers._base.random_bits import drop
from keras_lecture.layers._base.seeded import SeededLayer
from keras_lecture.layers.maxout import Maxout

PER_SAMPLE = (keras.layers.Dense, Maxout)


@register
class DropConnect(SeededLayer, KernelWrapper):
    """Sets a random share of a layer's connections to zero in training: entries of the kernel, not units.

    Use it in place of dropout around dense layers that overfit. Per batch it costs one hash per entry of the kernel;
    per sample, as in the paper, one for each entry and sample, and a product of matrices for each sample.

        m ~ Bernoulli(1 − rate), one for each entry of w
        training y = f(x, m⊙w/(1 − rate)),  inference y = f(x, w)

    f the wrapped `layer`, w its kernel. Biases stay.
    The expected output in training is the output at inference, exactly so before the activation, by its mean.
    `model.quantize` quantizes the wrapped layer; to int8 and int4 it is for inference from then on. With LoRA w is the
    sum of the kernel and the learned product.

    Args:
        layer: A `Dense`, `EinsumDense`, convolution of any kind, `Maxout` or `MaxoutConv2D`.
        rate: Share of connections that are dropped, in [0, 1).
        per: `"batch"`: all samples of a batch lose the same connections. `"sample"`: each sample its own, for `Dense`
            and `Maxout`, which then need memory for one kernel per sample. Defaults to `"batch"`.
        seed: Start of the random stream. Defaults to `None`, a random start.

    Example:
        >>> dense = keras.layers.Dense(1000, kernel_initializer="ones")
        >>> layer = keras_lecture.layers.DropConnect(dense, rate=0.5, seed=1)
        >>> sorted(set(keras.ops.convert_to_numpy(layer(keras.ops.ones((1, 1)), training=True)).ravel().tolist()))
        [0.0, 2.0]

    Reference:
        Wan et al., 2013, ICML, section 3 and algorithm 1. Deck E. Deviations: biases are kept; inference takes the mean
        of the kernel instead of samples from a normal distribution with the mean and variance of what the mask gives;
        the kernel is scaled in training instead. Keras has no such layer.
    """

    def __init__(self, layer, *, rate: float, per: str = "batch", seed: int | None = None, **kwargs):
        checks.number("DropConnect", "rate", rate, "[0, 1)", "A rate of 1 would drop every connection.")
        checks.one_of("DropConnect", "per", per, ("batch", "sample"))
        super().__init__(layer=layer, seed=seed, **kwargs)
        if per == "sample" and not isinstance(layer, PER_SAMPLE):
            remedy = "Every sample needs a kernel of its own, which dense layers and Maxout alone can compute with."
            checks.reject("DropConnect", "per", f'"batch" for {type(layer).__name__}', per, remedy)
        self.rate, self.per = rate, per

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return self._compute(inputs, training)
        if self.per == "batch":
            with holding(self._dropped()):
                return self._compute(inputs, training)
        # Sample by sample a product of matrices: (places, inputs) by (inputs, units).
        shape = ops.shape(inputs)
        places = math.prod(shape[1:-1]) if all(isinstance(n, int) for n in shape) else -1
        with holding(self._dropped(shape[0])):
            outputs = self._compute(ops.reshape(inputs, (shape[0], places, shape[-1])), training)
        return ops.reshape(outputs, (*shape[:-1], outputs.shape[-1]))

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "per": self.per}

    def _dropped(self, *samples):
        """The kernels with what this call leaves of them, for each of the `samples`."""
        found = []
        for kernel in self.kernels:
            layer, mode = kernel.layer, kernel.layer.quantization_mode
            if mode not in (None, "float8"):
                remedy = (
                    f"The kernel of `{layer.name}` is quantized ({mode}) and learns no more: put the layer itself, "
                )
                remedy += "`layer.layer`, in the wrapper's place."
                checks.reject("DropConnect", "training", "False after `quantize`", True, remedy)
            shape = (*samples, *kernel.variable.shape)
            # With LoRA the attribute is the sum of the kernel and what is learned beside it.
            w = ops.broadcast_to(ops.convert_to_tensor(getattr(layer, kernel.attribute)), shape)
            dropped = drop(w, self.seed_generator.next(), shape, self.rate, True)
            found.append((layer, kernel.attribute, dropped))
            if getattr(layer, "lora_enabled", False):
                found.append((layer, "lora_enabled", False))
        return found
