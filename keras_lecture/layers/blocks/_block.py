"""The base class of blocks of convolutions, and chains of layers."""

import inspect
from collections.abc import Callable
from typing import Any

import keras

from keras_lecture._core import checks
from keras_lecture._core.saving import plain
from keras_lecture._core.types import Tensor
from keras_lecture._core.weights import attachments, reattach
from keras_lecture.initializers import Kaiming
from keras_lecture.layers._base.seeded import DrawnOnce
from keras_lecture.layers.normalization.batch_normalization import BatchNormalization
from keras_lecture.layers.normalization.group_normalization import GroupNormalization, InstanceNormalization
from keras_lecture.layers.normalization.layer_normalization import LayerNormalization

NORMALIZATIONS = {
    "batch": BatchNormalization,
    "group": GroupNormalization,
    "instance": InstanceNormalization,
    "layer": LayerNormalization,
}


class Chain(DrawnOnce):
    """A sequence of layers, the identity if empty. It is part of a block, which rebuilds it on loading."""

    def __init__(self, layers: list[keras.layers.Layer], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layers: list[keras.layers.Layer] = list(layers)
        self._takes_training = ["training" in inspect.signature(layer.call).parameters for layer in layers]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        for layer in self.layers:
            layer.build(input_shape)
            input_shape = layer.compute_output_shape(input_shape)

    # Passed on by hand: Keras's context is gone where `keras.RematScope` computes a call again for its gradient.
    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        for layer, takes_it in zip(self.layers, self._takes_training, strict=True):
            inputs = layer(inputs, training=training) if takes_it else layer(inputs)
        return inputs

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape


class Block(DrawnOnce):
    """A layer made of convolutions, normalizations and activations, for sequences, images and volumes."""

    def __init__(
        self,
        *,
        normalization: str | dict[str, Any] | keras.layers.Layer | None,
        activation: str | Callable[[Tensor], Tensor],
        data_format: str | None,
        attached: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        normalization = configured(owner, normalization)
        function = keras.activations.get(activation)
        checks.one_of(owner, "data_format", data_format, (None, "channels_first", "channels_last"))
        super().__init__(**kwargs)
        self.normalization: str | dict[str, Any] | None = normalization
        self.activation: Callable[[Tensor], Tensor] = function
        # Only from a config: regularizers and constraints that `penalize` and `constrain` set on the parts' weights.
        self._attached = attached
        self.data_format: str = data_format or keras.config.image_data_format()

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "normalization": plain(self.normalization),
            "activation": keras.activations.serialize(self.activation),
            "data_format": self.data_format,
        }
        attached = attachments(self) if self.built else self._attached
        return {**config, "attached": attached} if attached else config

    @property
    def axis(self) -> int:
        """The axis of the channels."""
        return -1 if self.data_format == "channels_last" else 1

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if len(input_shape) not in (3, 4, 5):
            expectation = "sequences, images or volumes: 3, 4 or 5 axes with the batch and the channels"
            checks.reject(type(self).__name__, "inputs", expectation, tuple(input_shape))
        self.rank: int = len(input_shape) - 2
        self._make(input_shape)
        if self._attached:
            reattach(self, self._attached)
        # Keras passes `trainable` on to the parts when it is set. The parts of a block that is loaded frozen are made
        # later, and on TensorFlow assigning an unchanged value does nothing.
        if not self.trainable:
            self.trainable = True
            self.trainable = False

    def _part(self, kind, *args, **options):
        """A Keras layer of this kind for the number of dimensions of the input."""
        cls = getattr(keras.layers, f"{kind}{self.rank}D")
        return cls(*args, **options, data_format=self.data_format, dtype=self.dtype_policy)

    def _convolution(self, filters, size, strides=1, *, use_bias=None, initializer=None, **options):
        """A convolution with padding `"same"`; by default it has a bias only if the block has no normalization."""
        return self._part(
            "Conv",
            filters,
            size,
            strides,
            padding="same",
            use_bias=self.normalization is None if use_bias is None else use_bias,
            kernel_initializer=initializer or Kaiming(),
            **options,
        )

    def _normalized_activation(self):
        """The activation in a list, after a new normalization if the block has one."""
        activation = keras.layers.Activation(self.activation, dtype=self.dtype_policy)
        if self.normalization is None:
            return [activation]
        return [normalization_layer(self.normalization, axis=self.axis, dtype=self.dtype_policy), activation]


def normalization_layer(normalization: str | dict[str, Any], **options: Any) -> keras.layers.Layer:
    """A new layer of this name, or a copy from this configuration, which has an axis of its own."""
    if normalization == "group":
        # Not the default of 32 groups, which does not fit narrow nets.
        options["groups"] = None
    if isinstance(normalization, str):
        return NORMALIZATIONS[normalization](**options)
    given = keras.saving.deserialize_keras_object(normalization)
    return type(given).from_config({**given.get_config(), "name": None, "dtype": options["dtype"]})


def configured(owner, normalization):
    """A name, None, or the configuration of the layer that is copied for every use in the block."""
    if isinstance(normalization, keras.Layer):
        # As an attribute, the layer itself would become a part of the block.
        config = keras.saving.serialize_keras_object(normalization)
        try:
            keras.saving.deserialize_keras_object(config)
        except (TypeError, ValueError):
            remedy = "Put `@keras.saving.register_keras_serializable()` before its class."
            checks.reject(owner, "normalization", "a layer that Keras can copy by its config", normalization, remedy)
        return config
    if not isinstance(normalization, dict):
        checks.one_of(owner, "normalization", normalization, (None, *NORMALIZATIONS), "Or pass a layer to be copied.")
    return normalization
