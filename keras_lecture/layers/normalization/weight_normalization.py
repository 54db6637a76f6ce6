"""Weight normalization: kernels parametrized by length and direction."""

import functools
from typing import Any

import keras
from keras import ops

from keras_lecture._core import checks, weights
from keras_lecture._core.assignment import assign_copy, assign_when
from keras_lecture._core.connections import from_weight
from keras_lecture._core.replacement import replaced
from keras_lecture._core.saving import register
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.derived_kernel import COMPUTING, KernelWrapper, in_full_precision
from keras_lecture.layers._base.inputs import floating
from keras_lecture.layers.normalization._data_start import standardizing
from keras_lecture.layers.normalization._length_direction import LengthDirection


@register
class WeightNormalization(KernelWrapper):
    """Learns the kernel of a layer as a length and a direction for each unit, with data-dependent initialization.

    Use it around dense and convolution layers where batch normalization does not fit: small batches, recurrent and
    generative nets, higher derivatives. It costs one pass over the kernel, and one number per unit.

        w = g·v/‖v‖
        first training batch, t = vᵀx/‖v‖:  g = 1/σ[t],  b = −μ[t]/σ[t]

    w the kernel of `layer` and b its bias, ‖v‖ over the inputs of a unit, μ and σ over the batch and all positions. The
    layer's own kernel variable is v, g = `scale` + `scale_start`, and `bias_start` is added to the layer's bias.
    Before the first training batch, and with `data_init=False`, the outputs are those of the wrapped layer alone;
    `initializers.initialize` starts again from there. Values that are assigned to the wrapped layer's own kernel later
    change the direction alone: assign them before wrapping, or to the wrapper.
    The regularizer and the constraint of the kernel apply to w. `model.quantize` leaves the layer as it is, with a
    warning, and `enable_lora` raises an error: put the layer that `remove()` returns in its place first.

    Args:
        layer: A `Dense`, `EinsumDense`, convolution of any kind, `Maxout` or `MaxoutConv2D`.
        data_init: Whether the first training batch sets g and b, so that every unit starts with mean 0 and variance 1
            before the activation. A frozen layer is not initialized; an empty batch, or one with NaN, is skipped, and
            the next one is used. Masked positions are included. Defaults to `True`.

    Example:
        >>> layer = keras_lecture.layers.WeightNormalization(keras.layers.Dense(3))
        >>> x = np.random.default_rng(0).normal(5.0, 2.0, size=(100, 8))
        >>> y = keras.ops.convert_to_numpy(keras.ops.stop_gradient(layer(x, training=True)))
        >>> abs(round(float(y.mean()), 3)), round(float(y.std()), 3)
        (0.0, 1.0)

    Reference:
        Salimans and Kingma, 2016, arXiv:1602.07868, eqs. 2, 5 and 6. Deck B. Deviations: a unit that is constant
        on the first batch keeps its g. The initial values are stored beside the learned `scale` and bias in
        non-trainable weights, because a compiled step of JAX can write no others; under any gradient method g and b
        move exactly as if each were one number. In a separable convolution both kernels are normalized, and the
        pointwise one is initialized from the data. Keras has no such layer; TensorFlow Addons' class of this name was
        initialized by the first call of any kind.
    """

    def __init__(self, layer: keras.layers.Layer, *, data_init: bool = True, **kwargs: Any) -> None:
        checks.boolean("WeightNormalization", "data_init", data_init)
        super().__init__(layer, **kwargs)
        for part in weights.layers(layer):
            _keep_plain(part)
        constraints = ("kernel_constraint", "depthwise_constraint", "pointwise_constraint")
        if data_init and any(getattr(getattr(layer, "linear", layer), name, None) for name in constraints):
            remedy = "On JAX a constraint, which is applied by the optimizer, cannot read the initial values."
            checks.reject("WeightNormalization", "data_init", "False where the kernel has a constraint", True, remedy)
        self.data_init = data_init
        self.scale_start: Any = None
        self.bias_start: Any = None
        self.initialized: Any = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        *first, last = self.kernels
        self._derived = [self._with_scale(kernel, "depthwise_scale") for kernel in first]
        # The kernel that computes the outputs is the last; the layer that has it may be inside `layer`, as in Maxout.
        self._derived.append(self._with_scale(last, "scale"))
        self._linear = last.layer
        if self.data_init:
            for kernel in self._derived:
                kernel.starts_from_data = True
            self.scale_start = self._derived[-1].start = self._fixed("scale_start", (self._derived[-1].units,))
            self.initialized = self._fixed("initialized", ())
            if self._linear.bias is not None:
                in_full_precision(self._linear.bias)
                self.bias_start = self._fixed("bias_start", self._linear.bias.shape)
                self._linear.bias.redrawn = functools.partial(_reset, self.bias_start)

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        inputs = floating(inputs, self.compute_dtype)
        if self.data_init and self.trainable and training:
            self._start(inputs)
        with COMPUTING, replaced(self._weights()):
            return self.layer.call(inputs)

    def remove(self) -> keras.layers.Layer:
        """Returns a plain built layer with kernel w and bias b that computes the same. The wrapper is unchanged.

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

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_init": self.data_init}

    def _with_scale(self, weight, name):
        in_full_precision(weight.variable)
        kernel = LengthDirection(weight, from_weight(weight).incoming)
        kernel.scale = self.add_weight(name=name, shape=(kernel.units,), initializer=kernel.lengths, autocast=False)
        weight.variable.redrawn = functools.partial(self._start_again, kernel)
        setattr(self, name, kernel.scale)
        return kernel

    def _fixed(self, name, shape):
        return self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False, autocast=False)

    def _bias(self):
        bias = self._linear.bias
        return bias if self.bias_start is None else ops.add(bias, self.bias_start)

    def _weights(self):
        """`(layer, attribute, value)` of the kernels and biases that are replaced during a call."""
        found = [(kernel.weight.layer, kernel.weight.attribute, kernel()) for kernel in self._derived]
        if self.bias_start is not None:
            found.append((self._linear, "bias", self._bias()))
        return [(layer, name, ops.cast(value, self.compute_dtype)) for layer, name, value in found]

    def _start_again(self, kernel):
        """After new values of v the outputs are those of the wrapped layer alone, until the next training batch."""
        assign_copy(kernel.scale, kernel.lengths())
        if kernel is self._derived[-1]:
            _reset(self.initialized, self.scale_start, self.bias_start)

    def _start(self, inputs):
        """Sets the initial values in the first training call."""
        variables = [v for v in (self.initialized, self.scale_start, self.bias_start) if v is not None]
        assign_when(self.initialized.value == 0, variables, lambda: self._measured(ops.stop_gradient(inputs)))

    def _measured(self, inputs):
        with COMPUTING:
            return self._start_values(inputs)

    def _start_values(self, inputs):
        bare = [*self._weights(), (self._linear, "activation", None)]
        if self._linear.bias is not None:
            bare.append((self._linear, "bias", ops.zeros(self._linear.bias.shape, self.compute_dtype)))
        with replaced(bare):
            factors, shift = standardizing(self._linear, self._linear.call(inputs))
        # In the precision of the moments: the variables of a layer in half precision have that of the layer.
        g, scale = (ops.cast(value, factors.dtype) for value in (self._derived[-1].g, self.scale))
        found = [ops.ones(()), g * factors - scale]
        if shift is not None:
            found.append(shift - ops.cast(self._linear.bias, shift.dtype))
        # Neither an empty batch nor one with NaN is usable: the next one is tried.
        usable = ops.all(ops.stack([ops.all(ops.isfinite(value)) for value in found]))
        variables = (self.initialized, self.scale_start, self.bias_start)
        return [
            ops.where(usable, ops.stop_gradient(ops.cast(value, v.dtype)), v.value)
            for value, v in zip(found, variables, strict=False)
        ]


def _reset(*variables):
    for variable in variables:
        if variable is not None:
            variable.assign(ops.zeros(variable.shape, variable.dtype))


def _keep_plain(layer):
    """Rejects quantization and LoRA, which would act on v instead of w; `model.quantize` only warns of the error."""
    remedy = "The kernel is derived from it; put the layer that `remove()` returns in the wrapper's place first."
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
