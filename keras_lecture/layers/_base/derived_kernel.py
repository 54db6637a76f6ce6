"""Wrappers whose layer computes with a kernel that is derived from its own."""

import contextlib

import keras

from keras_lecture._core import checks, weights
from keras_lecture.layers.maxout import MaxoutLayer

LINEAR = (
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
    MaxoutLayer,
)


class KernelWrapper(keras.layers.Wrapper):
    """The base: takes a linear layer, finds its kernels, computes in the layer's precision or gives it its own.

    The kernel stays the wrapped layer's one weight, under its name, in memory and in files; what is derived from it
    lives for the length of a call.
    """

    def __init__(self, layer, **kwargs):
        kinds = "a dense, convolution or Maxout layer"
        checks.instance(type(self).__name__, "layer", layer, LINEAR, kinds, "Wrap the layers of a model one by one.")
        if kwargs.get("dtype") is None:
            # Of a quantized layer ("int8_from_float32"), the policy that it had before: the wrapper is not quantized.
            kwargs["dtype"] = layer.dtype_policy.name.rpartition("_from_")[2]
        super().__init__(layer, activity_regularizer=layer.activity_regularizer, **kwargs)
        for part in weights.layers(layer):
            if part.quantization_mode is None:
                part.dtype_policy = self.dtype_policy
        self.supports_masking = layer.supports_masking

    def build(self, input_shape):
        super().build(input_shape)
        self.input_spec = self.layer.input_spec

    @property
    def kernels(self) -> list:
        """The kernels as they are now: `quantize` puts other variables in their places."""
        found = [weight for weight in weights.weights(self.layer) if weight.role == "kernel"]
        return [weight for weight in found if not weight.attribute.startswith("lora_")]

    def _compute(self, inputs, training=False):
        """The wrapped layer's outputs, without a second one of Keras's layer calls around them."""
        if self.layer.quantization_mode is None:
            return self.layer.call(inputs)
        return self.layer.quantized_call(inputs, training=training)

    def get_config(self):
        config = super().get_config()
        # The wrapped layer's, which its own config holds.
        config.pop("activity_regularizer", None)
        # The wrapper builds its layer; shapes would differ between a new layer (tuples) and a loaded one (lists).
        config["layer"].pop("build_config", None)
        return config

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)


@contextlib.contextmanager
def holding(values):
    """Within, each `(layer, attribute, value)` of `values` is what the layer finds in place of its own.

    Written past the layer's `__setattr__`, which would track a weight; undone also when the call fails.
    """
    # Keras keeps some weights behind a property, with an underscore.
    places = [(vars(layer), name if name in vars(layer) else f"_{name}", value) for layer, name, value in values]
    originals = [attributes[name] for attributes, name, _ in places]
    try:
        for attributes, name, value in places:
            attributes[name] = value
        yield
    finally:
        for (attributes, name, _), original in zip(places, originals, strict=True):
            attributes[name] = original


def in_full_precision(variable):
    """Lets `variable` be read as it is also where layers compute in half precision.

    Keras 3.15 asks for this when a variable is made (`add_weight(autocast=False)`) and has no name for it afterwards.
    """
    variable._autocast = False
