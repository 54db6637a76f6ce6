"""DropConnect: dropout of connections instead of units."""

import math
from typing import Any

import keras
from keras import ops

from keras_lecture._core import checks
from keras_lecture._core.replacement import replaced
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.derived_kernel import COMPUTING, KernelWrapper
from keras_lecture.layers._base.inputs import floating
from keras_lecture.layers._base.random_bits import RATES, drop
from keras_lecture.layers._base.seeded import SeededLayer
from keras_lecture.layers.maxout import Maxout

PER_SAMPLE = (keras.layers.Dense, Maxout)


@register
class DropConnect(SeededLayer, KernelWrapper):
    """Sets a random fraction of the entries of a layer's kernel to zero in training.

    Use it instead of dropout, around dense layers that overfit. Per batch it costs one hash per entry of the kernel;
    per sample, as in the paper, one hash per entry and sample, and one matrix product per sample.

        m ~ Bernoulli(1 − rate), one for each entry of w
        training y = f(x, m⊙w/(1 − rate)),  inference y = f(x, w)

    f the wrapped `layer`, w its kernel. Biases are kept.
    The expected output in training is the output at inference, exactly so before the activation.
    `model.quantize` quantizes the wrapped layer; after int8 or int4 it can only be used for inference. With LoRA, w is
    the sum of the kernel and the learned product.

    Args:
        layer: A `Dense`, `EinsumDense`, convolution of any kind, `Maxout` or `MaxoutConv2D`.
        rate: Fraction of the connections that is dropped, in [0, 0.99999].
        per: `"batch"` for one mask per batch, or `"sample"` for one mask per sample, for `Dense` and `Maxout` only,
            which needs memory for one kernel per sample. Defaults to `"batch"`.
        seed: Seed of the random stream. Defaults to `None`, a random seed.

    Example:
        >>> dense = keras.layers.Dense(1000, kernel_initializer="ones")
        >>> layer = keras_lecture.layers.DropConnect(dense, rate=0.5, seed=1)
        >>> sorted(set(keras.ops.convert_to_numpy(layer(keras.ops.ones((1, 1)), training=True)).ravel().tolist()))
        [0.0, 2.0]

    Reference:
        Wan et al., 2013, ICML, section 3 and algorithm 1. Deck E. Deviations: biases are kept; inference uses the mean
        kernel instead of samples from a normal distribution with the mean and variance of the masked pre-activations;
        the kernel is scaled in training instead of at inference; the rate is rounded to a multiple of 2⁻¹⁶, in the mask
        and in the scale. Keras has no such layer.
    """

    def __init__(
        self, layer: keras.layers.Layer, *, rate: float, per: str = "batch", seed: int | None = None, **kwargs: Any
    ) -> None:
        checks.number("DropConnect", "rate", rate, RATES, "A rate of 1 would drop every connection.")
        checks.one_of("DropConnect", "per", per, ("batch", "sample"))
        super().__init__(layer=layer, seed=seed, **kwargs)
        if per == "sample" and not isinstance(layer, PER_SAMPLE):
            remedy = "Only dense layers and Maxout can use a separate kernel for each sample."
            checks.reject("DropConnect", "per", f'"batch" for {type(layer).__name__}', per, remedy)
        self.rate = rate
        self.per = per

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        inputs = floating(inputs, self.compute_dtype)
        if not training or self.rate == 0:
            return self._compute(inputs, training)
        if self.per == "batch":
            with COMPUTING, replaced(self._dropped()):
                return self._compute(inputs, training)
        # One matrix product per sample: (positions, inputs) by (inputs, units).
        shape = ops.shape(inputs)
        positions = math.prod(shape[1:-1]) if all(isinstance(n, int) for n in shape) else -1
        with COMPUTING, replaced(self._dropped(shape[0])):
            outputs = self._compute(ops.reshape(inputs, (shape[0], positions, shape[-1])), training)
        return ops.reshape(outputs, (*shape[:-1], outputs.shape[-1]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "per": self.per}

    def _dropped(self, *samples):
        """`(layer, attribute, masked kernel)` for `replaced`, with one mask per sample if their number is given."""
        found = []
        for kernel in self.kernels:
            layer, mode = kernel.layer, kernel.layer.quantization_mode
            if mode not in (None, "float8"):
                remedy = f"The kernel of `{layer.name}` is quantized ({mode}) and cannot be trained: use the layer "
                remedy += "itself, `layer.layer`, instead of the wrapper."
                checks.reject("DropConnect", "training", "False after `quantize`", True, remedy)
            shape = (*samples, *kernel.variable.shape)
            # With LoRA the attribute is the sum of the kernel and the learned product.
            w = ops.broadcast_to(ops.convert_to_tensor(getattr(layer, kernel.attribute)), shape)
            dropped = drop(w, self.seed_generator.next(), shape, self.rate, True)
            found.append((layer, kernel.attribute, dropped))
            if getattr(layer, "lora_enabled", False):
                found.append((layer, "lora_enabled", False))
        return found
