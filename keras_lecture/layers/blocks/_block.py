"""What blocks of convolutions share: parts that fit the input's dimensions, and how they run one after the other."""

import keras

from keras_lecture._core import checks
from keras_lecture._core.weights import attachments, reattach
from keras_lecture.initializers import Kaiming
from keras_lecture.layers.normalization.batch_normalization import BatchNormalization
from keras_lecture.layers.normalization.group_normalization import GroupNormalization, InstanceNormalization
from keras_lecture.layers.normalization.layer_normalization import LayerNormalization

NORMALIZATIONS = {
    "batch": BatchNormalization,
    "group": GroupNormalization,
    "instance": InstanceNormalization,
    "layer": LayerNormalization,
}


class Chain(keras.Layer):
    """Layers one after the other; none are the identity. Lives inside a block, which makes it anew on loading."""

    def __init__(self, layers, **kwargs):
        super().__init__(**kwargs)
        self.layers = list(layers)

    def build(self, input_shape):
        for layer in self.layers:
            layer.build(input_shape)
            input_shape = layer.compute_output_shape(input_shape)

    # `training` is taken for the layers inside, to which Keras hands it on.
    def call(self, inputs, training=None):
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs

    def compute_output_shape(self, input_shape):
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape


class Block(keras.Layer):
    """A layer made of convolutions, normalizations and activations, for sequences, images and volumes alike."""

    def __init__(self, *, normalization, activation, data_format, attached=None, **kwargs):
        owner = type(self).__name__
        normalization = configured(owner, normalization)
        activation = keras.activations.get(activation)
        checks.one_of(owner, "data_format", data_format, (None, "channels_first", "channels_last"))
        super().__init__(**kwargs)
        self.normalization = normalization
        self.activation = activation
        # From a config alone: what `penalize` and `constrain` had given to the weights of the parts.
        self._attached = attached
        self.data_format = data_format or keras.config.image_data_format()

    def get_config(self):
        config = {
            **super().get_config(),
            "normalization": self.normalization,
            "activation": keras.activations.serialize(self.activation),
            "data_format": self.data_format,
        }
        attached = attachments(self) if self.built else self._attached
        return {**config, "attached": attached} if attached else config

    @property
    def axis(self) -> int:
        """The axis of the channels."""
        return -1 if self.data_format == "channels_last" else 1

    def build(self, input_shape):
        if len(input_shape) not in (3, 4, 5):
            expectation = "sequences, images or volumes: 3, 4 or 5 axes with the batch and the channels"
            checks.reject(type(self).__name__, "inputs", expectation, tuple(input_shape))
        self.rank = len(input_shape) - 2
        self._make(input_shape)
        if self._attached:
            reattach(self, self._attached)
        # Keras hands `trainable` on when it is set. The parts of a block that is loaded frozen are made after that, and
        # on TensorFlow an attribute that is given the value it has is not set at all.
        if not self.trainable:
            self.trainable = True
            self.trainable = False

    def _part(self, kind, *args, **options):
        """Keras's layer of this kind for the dimensions of the input."""
        cls = getattr(keras.layers, f"{kind}{self.rank}D")
        return cls(*args, **options, data_format=self.data_format, dtype=self.dtype_policy)

    def _convolution(self, filters, size, strides=1, *, use_bias=None, initializer=None, **options):
        """A convolution that keeps the size of the image but for strides; without bias beside normalizations."""
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

    def _normalized_activation(self) -> list:
        """A new normalization, if there is any, and the activation."""
        activation = keras.layers.Activation(self.activation, dtype=self.dtype_policy)
        if self.normalization is None:
            return [activation]
        return [normalization_layer(self.normalization, axis=self.axis, dtype=self.dtype_policy), activation]


def normalization_layer(normalization, **options) -> keras.Layer:
    """A new layer of this name or configuration, which holds the axis already."""
    if normalization == "group":
        # The user gave no number of groups: 32 of them do not fit narrow nets.
        options["groups"] = None
    if isinstance(normalization, str):
        return NORMALIZATIONS[normalization](**options)
    given = keras.saving.deserialize_keras_object(normalization)
    return type(given).from_config({**given.get_config(), "name": None, "dtype": options["dtype"]})


def configured(owner, normalization):
    """A name, None, or the configuration of a layer, of which every place in the block gets a copy."""
    if isinstance(normalization, keras.Layer):
        # The layer itself, kept as an attribute, would count as a part of the block.
        return keras.saving.serialize_keras_object(normalization)
    if not isinstance(normalization, dict):
        checks.one_of(owner, "normalization", normalization, (None, *NORMALIZATIONS), "Or pass a layer to be copied.")
    return normalization
