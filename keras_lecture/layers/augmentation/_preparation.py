"""Base classes of layers that prepare images, in a model or in a data pipeline."""

import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_lecture._core import checks
from keras_lecture._core.types import Tensor
from keras_lecture.layers._base.seeded import SeededLayer

# The base class of Keras's own layers that run in `tf.data` on every backend. It has no public name in Keras 3.15; only
# this file uses its `backend`, `convert_weight` and `_get_seed_generator`, which were written for layers like ours.
(DataLayer,) = keras.layers.Rescaling.__bases__
# Keras has no public names for its records of the running calls either.
_layer, _data_layer = inspect.getmodule(keras.Layer), inspect.getmodule(DataLayer)


class Preparation(DataLayer):
    """A layer that runs in a model and, on every backend, in a `tf.data` pipeline; it computes only with `self.ops`.

    The tensors of such a pipeline are TensorFlow's, whatever the Keras backend.
    """

    @property
    def compute_dtype(self) -> str:
        """At least float32, so that Keras does not round the inputs: 1000.25 and 1001 are one number in bfloat16."""
        return keras.backend.result_type(super().compute_dtype, "float32")

    @property
    def output_dtype(self) -> str:
        """The type of the policy's computations, which the layers after this one expect."""
        return super().compute_dtype

    def compute_output_spec(self, inputs: Tensor, **kwargs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.output_dtype)

    def __call__(self, inputs: Tensor, **kwargs: Any) -> Tensor:
        inputs = self._one_tensor(inputs)
        # Keras builds only from tensors of its own backend; for tensors of a pipeline it would skip the build.
        if not self.built:
            self.build(tuple(inputs.shape))
        return super().__call__(inputs, **kwargs)

    @property
    def ops(self) -> Any:
        """The operations of `keras.ops`, for the framework of the tensors of the current call."""
        return keras.ops if self.backend.name == keras.backend.backend() else _Operations(self.backend)

    def _one_tensor(self, inputs):
        """`inputs` unchanged, or as an array if they are a list or a number."""
        if hasattr(inputs, "shape") and not isinstance(inputs, np.ndarray):
            return inputs
        try:
            # A tuple is a pair of inputs and targets, or another structure.
            array = np.asarray(None if isinstance(inputs, tuple) else inputs)
        except ValueError:
            # Rows of unequal length.
            array = np.asarray(None)
        if array.dtype.kind not in "biuf":
            received = inputs.dtype if isinstance(inputs, np.ndarray) else type(inputs)
            checks.reject(type(self).__name__, "inputs", "one array of numbers", received, error=TypeError)
        return array

    def widen(self, x: Tensor) -> Tensor:
        """`x` in the type of the computation."""
        return self.ops.cast(x, self.compute_dtype)

    def value(self, statistic: keras.Variable) -> Tensor:
        """The value of a weight set by `adapt`, in the precision of the computation."""
        if not statistic.known:
            remedy = "Call `adapt(training_data)` first, or pass it to the constructor."
            checks.reject(type(self).__name__, statistic.name, "known before the layer is called", None, remedy)
        return self.widen(self.convert_weight(statistic))


class ImageLayer(Preparation):
    """A layer for images: a batch (images, height, width, channels), or one image without the first axis.

    With `data_format="channels_first"` the channels come before the height.
    """

    def __init__(self, *, data_format: str | None = None, **kwargs: Any) -> None:
        checks.one_of(type(self).__name__, "data_format", data_format, (None, "channels_first", "channels_last"))
        super().__init__(**kwargs)
        self.data_format: str = data_format or keras.config.image_data_format()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if len(input_shape) not in (3, 4):
            checks.reject(type(self).__name__, "inputs", "an image or a batch of images", tuple(input_shape))

    def on_images(self, formula: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """Applies `formula`, written for a batch of channels-last images, to `inputs` in the layer's format."""
        ops, first, single = self.ops, self.data_format == "channels_first", len(inputs.shape) == 3
        images = ops.expand_dims(inputs, 0) if single else inputs
        outputs = formula(ops.moveaxis(images, 1, -1) if first else images)
        outputs = ops.moveaxis(outputs, -1, -3) if first else outputs
        return outputs[0] if single else outputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class Augmentation(SeededLayer, Preparation):
    """A random change of each sample, in training only; subclasses define `augment(x, key)` and optionally `rest(x)`.

    `fit` augments, `evaluate` and `predict` do not. A call without `training` augments, as Keras's augmentations do,
    or is an error if it may be a prediction; docs/training_or_not.md has the table.

    The random stream is that of `SeededLayer`. With a backend other than TensorFlow, a data pipeline uses a second
    stream of the same seed, which is not saved with the model.
    """

    def __call__(self, inputs: Tensor, **kwargs: Any) -> Tensor:
        context = _layer.global_state.get_global_attribute("current_call_ctx")
        told = None if context is None else context.get_value("training")
        if not isinstance(inputs, keras.KerasTensor):
            if "training" not in kwargs and told is None:
                self._check_default(context)
                kwargs["training"] = True
            kwargs["training"] = bool(kwargs.get("training", told))
        try:
            return super().__call__(inputs, **kwargs)
        finally:
            # Keras 3.15 would pass this layer's `training` on to the layers after it.
            if context is not None:
                context.set_value("training", told)

    @property
    def generator(self) -> keras.random.SeedGenerator:
        """The random stream, under the name that Keras's base class looks for."""
        return self.seed_generator

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = self.widen(inputs)
        # A symbolic call only infers shapes, which are the same for both, and on JAX has no sizes to draw for.
        training = training and not _layer.in_symbolic_scope()
        y = self.augment(x, self._get_seed_generator(self.backend.name).next()) if training else self.rest(x)
        return self.ops.cast(y, self.output_dtype)

    def rest(self, x: Tensor) -> Tensor:
        return x

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def _check_default(self, context):
        """Raises an error if a call without `training` may be a prediction."""
        if _layer.in_symbolic_scope():
            return
        # Keras's `stateless_call`, which JAX uses to train and to predict, does not pass `training` on to the layers.
        unknown = _layer.backend.in_stateless_scope()
        model = None if context is None else context.entry_layer
        if isinstance(model, keras.Model):
            mute = "training" not in inspect.signature(model.call).parameters
            exported = _data_layer.backend_utils.in_tf_graph() and model.trainable_variables
            unknown = unknown or mute or exported
        if unknown:
            remedy = (
                "Give `call` of the model the argument `training=None` and write `layer(x, training=training)` in it; "
                "to call the model directly, write `model(x, training=False)`."
            )
            checks.reject(type(self).__name__, "training", "given, because this call may be a prediction", None, remedy)


class ImageAugmentation(Augmentation, ImageLayer):
    """A random change of each image."""


def sides(shape, data_format) -> tuple:
    """Height and width from the shape of images, `None` where unknown."""
    return tuple(shape[-2:] if data_format == "channels_first" else shape[-3:-1])


def resized(shape, data_format, height, width) -> tuple:
    """The shape of images with another height and width."""
    if data_format == "channels_first":
        return (*shape[:-2], height, width)
    return (*shape[:-3], height, width, shape[-1])


def pick(images, rows, columns, ops):
    """`images[i, rows[i], columns[i]]` of channels-last images; the indices broadcast to (images, height, width)."""
    count, height, width, channels = ops.shape(images)
    start = ops.reshape(ops.arange(count, dtype="int32") * (height * width), (-1, 1, 1))
    index = start + rows * width + columns
    if 0 in index.shape:
        # Keras 3.15 loses axes on JAX if the index tensor is empty.
        return ops.zeros((*index.shape, channels), images.dtype)
    return ops.take(ops.reshape(images, (-1, channels)), index, axis=0)


class _Operations:
    """The part of `keras.ops` that these layers use, from Keras's implementation for another backend."""

    def __init__(self, backend):
        self._parts = (backend.core, backend.numpy)

    def __getattr__(self, name):
        first, second = self._parts
        return getattr(first if hasattr(first, name) else second, name)
