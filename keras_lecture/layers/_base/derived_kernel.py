"""Base of wrappers that let a layer compute with a kernel derived from its own."""

import threading
from typing import Any, Self

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


# Held by a call while the wrapped layer has another kernel: threads that call the same layer, as those of a server,
# would compute with each other's kernel, and the last one would leave its own behind.
COMPUTING = threading.RLock()


class KernelWrapper(keras.layers.Wrapper):
    """Wraps a linear layer and finds its kernels; both have the dtype policy of the wrapper, by default the layer's.

    The kernel variable remains the wrapped layer's only weight, with its name, in memory and in files. The derived
    kernel exists only during a call.
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs: Any) -> None:
        kinds = "a dense, convolution or Maxout layer"
        checks.instance(type(self).__name__, "layer", layer, LINEAR, kinds, "Wrap the layers of a model one by one.")
        if kwargs.get("dtype") is None:
            # For a quantized layer ("int8_from_float32") the policy before quantization: the wrapper is not quantized.
            kwargs["dtype"] = layer.dtype_policy.name.rpartition("_from_")[2]
        super().__init__(layer, activity_regularizer=layer.activity_regularizer, **kwargs)
        for part in weights.layers(layer):
            if part.quantization_mode is None:
                part.dtype_policy = self.dtype_policy
        self.supports_masking: bool = layer.supports_masking

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        self.input_spec: Any = self.layer.input_spec

    @property
    def kernels(self) -> list[weights.Weight]:
        """The current kernels: `quantize` replaces the variables."""
        found = [weight for weight in weights.weights(self.layer) if weight.role == "kernel"]
        return [weight for weight in found if not weight.attribute.startswith("lora_")]

    def _compute(self, inputs, training=False):
        """The wrapped layer's outputs, bypassing its `__call__`: that of the wrapper is enough."""
        with COMPUTING:
            if self.layer.quantization_mode is None:
                return self.layer.call(inputs)
            return self.layer.quantized_call(inputs, training=training)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        # It is the wrapped layer's, in whose config it is.
        config.pop("activity_regularizer", None)
        # The wrapper builds its layer; shapes would differ between a new layer (tuples) and a loaded one (lists).
        config["layer"].pop("build_config", None)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        # Keras's wrapper takes the layer out of the caller's config.
        return super().from_config(dict(config), custom_objects)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return self.layer.compute_output_shape(input_shape)


def in_full_precision(variable: keras.Variable) -> None:
    """Turns off autocasting: layers in mixed precision then read `variable` in its own dtype.

    In Keras 3.15 only the creation of a variable has a public argument for this (`add_weight(autocast=False)`).
    """
    variable._autocast = False
