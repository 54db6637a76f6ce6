"""Weight normalization: kernels that are learned as a length and a direction."""

import keras
from keras import ops

from keras_lecture._core import checks, weights
from keras_lecture._core.assignment import assign_copy, assign_when
from keras_lecture._core.connections import from_weight
from keras_lecture._core.saving import register
from keras_lecture.layers._base.derived_kernel import KernelWrapper, replaced, in_full_precision
from keras_lecture.layers.normalization._data_start import standardizing
from keras_lecture.layers.normalization._length_direction import LengthDirection


@register
class WeightNormalization(KernelWrapper):
    """Learns the kernel of a layer as a length and a direction for each unit, and starts from the data.

    Use it around dense and convolution layers where batch normalization does not fit: small batches, recurrent and
    generative nets, higher derivatives. It costs a pass over the kernel, and one number per unit.

        w = g·v/‖v‖
        first training batch, t = vᵀx/‖v‖:  g = 1/σ[t],  b = −μ[t]/σ[t]

    w the kernel of `layer` and b its bias, ‖v‖ over the inputs of a unit, μ and σ over batch and places. v is the
    layer's own kernel variable, g = `scale` + `scale_start`, and b gets `bias_start` added.
    Before the first training batch, and with `data_init=False`, the wrapped layer computes what it computed alone.
    Regularizer and constraint of the kernel are those of w. `model.quantize` leaves the layer as it is, with a warning,
    and `enable_lora` is refused: `remove()` it first.

    Args:
        layer: A `Dense`, `EinsumDense`, convolution of any kind, `Maxout` or `MaxoutConv2D`.
        data_init: Whether the first training batch sets g and b, so that every unit starts with mean 0 and variance 1
            before the activation; not in a frozen layer, and not from a batch that is empty or has NaN: the next one
            does. Masked places count as the others. Defaults to `True`.

    Example:
        >>> layer = keras_lecture.layers.WeightNormalization(keras.layers.Dense(3))
        >>> x = np.random.default_rng(0).normal(5.0, 2.0, size=(100, 8))
        >>> y = keras.ops.convert_to_numpy(keras.ops.stop_gradient(layer(x, training=True)))
        >>> abs(round(float(y.mean()), 3)), round(float(y.std()), 3)
        (0.0, 1.0)

    Reference:
        Salimans and Kingma, 2016, arXiv:1602.07868, eqs. 2, 5 and 6. Deck B. Deviations: a unit that does not vary in
        the first batch keeps its g. The start is kept beside the learned `scale` and bias in weights that are not
        trained, because a compiled step of JAX can write no others; g and b move under any gradient method exactly as
        if they were one number. Of a separable convolution both kernels are normalized, and the pointwise one starts
        from the data. Keras has no such layer; TensorFlow Addons' class of this name took its start from the first
        call of any kind.
    """

    def __init__(self, layer, *, data_init: bool = True, **kwargs):
        checks.boolean("WeightNormalization", "data_init", data_init)
        super().__init__(layer, **kwargs)
        for part in weights.layers(layer):
            _keep_plain(part)
        constraints = ("kernel_constraint", "depthwise_constraint", "pointwise_constraint")
        if data_init and any(getattr(getattr(layer, "linear", layer), name, None) for name in constraints):
            remedy = "On JAX a constraint, which is applied by the optimizer, cannot read the start."
            checks.reject("WeightNormalization", "data_init", "False where the kernel has a constraint", True, remedy)
        self.data_init = data_init
        self.scale_start = self.bias_start = self.initialized = None

    def build(self, input_shape):
        super().build(input_shape)
        *first, last = self.kernels
        self._derived = [self._with_scale(kernel, "depthwise_scale") for kernel in first]
        # The kernel that makes the outputs comes last, and with it the layer that holds it: Maxout has one inside.
        self._derived.append(self._with_scale(last, "scale"))
        self._linear = last.layer
        if self.data_init:
            self.scale_start = self._derived[-1].start = self._fixed("scale_start", (self._derived[-1].units,))
            self.initialized = self._fixed("initialized", ())
            if self._linear.bias is not None:
                in_full_precision(self._linear.bias)
                self.bias_start = self._fixed("bias_start", self._linear.bias.shape)

    def call(self, inputs, training=False):
        if training and self.trainable and self.data_init:
            self._start(inputs)
        with replaced(self._weights()):
            return self.layer.call(inputs)

    def remove(self) -> keras.Layer:
        """The plain layer with kernel w and bias b, built, which computes the same. The wrapper stays as it is.

        `keras.models.clone_model(model, clone_function=…)` puts it in the wrapper's place.
        """
        if not self.built:
            checks.reject("WeightNormalization.remove", "self", "built", self.name, "Call the layer on a batch first.")
        plain = type(self.layer).from_config(self.layer.get_config())
        plain.build_from_config(self.layer.get_build_config())
        values = {id(kernel.v): kernel() for kernel in self._derived} | {id(self._linear.bias): self._bias()}
        for new, old in zip(plain.variables, self.layer.variables, strict=True):
            assign_copy(new, values.get(id(old), old))
        return plain

    def get_config(self):
        return {**super().get_config(), "data_init": self.data_init}

    def _with_scale(self, weight, name):
        in_full_precision(weight.variable)
        kernel = LengthDirection(weight, from_weight(weight).incoming)
        kernel.scale = self.add_weight(name=name, shape=(kernel.units,), initializer=kernel.lengths, autocast=False)
        setattr(self, name, kernel.scale)
        return kernel

    def _fixed(self, name, shape):
        return self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False, autocast=False)

    def _bias(self):
        bias = self._linear.bias
        return bias if self.bias_start is None else ops.add(bias, self.bias_start)

    def _weights(self):
        """What the wrapped layers hold during a call."""
        found = [(kernel.weight.layer, kernel.weight.attribute, kernel()) for kernel in self._derived]
        if self.bias_start is not None:
            found.append((self._linear, "bias", self._bias()))
        return [(layer, name, ops.cast(value, self.compute_dtype)) for layer, name, value in found]

    def _start(self, inputs):
        """In the first training call the start comes from the batch; afterwards it stays."""
        variables = [v for v in (self.initialized, self.scale_start, self.bias_start) if v is not None]
        assign_when(self.initialized.value == 0, variables, lambda: self._measured(ops.stop_gradient(inputs)))

    def _measured(self, inputs):
        bare = [*self._weights(), (self._linear, "activation", None)]
        if self._linear.bias is not None:
            bare.append((self._linear, "bias", ops.zeros(self._linear.bias.shape, self.compute_dtype)))
        with replaced(bare):
            factors, shift = standardizing(self._linear, self._linear.call(inputs))
        g = self._derived[-1].g
        found = [ops.ones(()), g * factors - self.scale]
        if shift is not None:
            found.append(shift - self._linear.bias)
        # An empty batch, or one with NaN, tells nothing: the next one is asked.
        usable = ops.all(ops.stack([ops.all(ops.isfinite(value)) for value in found]))
        variables = (self.initialized, self.scale_start, self.bias_start)
        return [
            ops.where(usable, ops.stop_gradient(ops.cast(value, v.dtype)), v.value)
            for value, v in zip(found, variables, strict=False)
        ]


def _keep_plain(layer):
    """Refuses what would quantize v, or add to it, in place of w; Keras's `model.quantize` makes a warning of it."""
    remedy = "The kernel is derived from it; put the layer that `remove()` gives in the wrapper's place first."
    owner = f"WeightNormalization({layer.name})"
    if layer.quantization_mode is not None:
        checks.reject(owner, "layer", "a layer that is not quantized", layer.dtype_policy.name, remedy)
    if getattr(layer, "lora_rank", None):
        checks.reject(owner, "layer", "a layer without LoRA", layer.lora_rank, remedy)

    def quantize(mode=None, **_):
        checks.reject(owner, "mode", "None: this layer is not quantized", mode, remedy, NotImplementedError)

    def enable_lora(rank, *_, **__):
        checks.reject(owner, "rank", "None: this layer takes no LoRA", rank, remedy)

    layer.quantize = quantize
    if hasattr(layer, "enable_lora"):
        layer.enable_lora = enable_lora
