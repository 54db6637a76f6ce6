"""The calls of a model's layers during a pass, intercepted one layer at a time."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import ops

from keras_lecture._core.replacement import replaced
from keras_lecture._core.weights import layers

# Layers that call their sublayers inside a loop of the framework, whose tensors exist only there.
_LOOPS = (keras.layers.RNN, keras.layers.TimeDistributed)


def leaves(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers without sublayers, and those that call their sublayers in a loop, without the model's inputs."""
    inside = {id(part) for layer in layers(model) if isinstance(layer, _LOOPS) for part in layers(layer)[1:]}
    return [
        layer
        for layer in layers(model)
        if id(layer) not in inside
        and not isinstance(layer, keras.layers.InputLayer)
        and (isinstance(layer, _LOOPS) or len(layers(layer)) == 1)
    ]


def outer(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers that the model itself holds, for a model whose inner layers cannot be intercepted."""
    return [layer for layer in getattr(model, "layers", ()) if not isinstance(layer, keras.layers.InputLayer)]


@contextlib.contextmanager
def intercepted(model: keras.Model, watched: list[Any], see: Callable[..., Any]) -> Iterator[None]:
    """Inside the block each call of a watched layer returns `see(layer, inputs, outputs)`."""

    def call(layer, plain, *args, **kwargs):
        return see(layer, (args, kwargs), plain(*args, **kwargs))

    chosen = [layer for layer in watched if "call" not in vars(layer)]
    changes = [(layer, "call", functools.partial(call, layer, layer.call)) for layer in chosen]
    with computing_once(model), replaced(changes):
        yield


@contextlib.contextmanager
def computing_once(model: keras.Model) -> Iterator[None]:
    """Inside the block no layer is set up to compute its signals again in the backward pass, which saves memory.

    It would do so outside of the block, and inside a transformation of the framework. The numbers are the same.
    """
    changes: list[tuple[Any, str, Any]] = []
    for layer in layers(model):
        # By `keras.RematScope`, and by our own layers.
        changes.append((layer, "rematerialized_call", lambda plain, *args, **kwargs: plain))
        if getattr(layer, "memory_efficient", False):
            changes.append((layer, "memory_efficient", False))
    with replaced(changes):
        yield


def tensors(structure: Any) -> list[Any]:
    """The tensors in a nested structure."""
    return [leaf for leaf in keras.tree.flatten(structure) if ops.is_tensor(leaf)]


def is_float(tensor: Any) -> bool:
    """Whether a tensor has a float type."""
    return keras.backend.is_float_dtype(keras.backend.standardize_dtype(tensor.dtype))


def activation(layer: keras.layers.Layer) -> str | None:
    """The name of a layer's activation; `None` if the layer has none."""
    own = getattr(layer, "activation", None)
    if isinstance(own, keras.layers.Layer):
        return activation(own) or _snake(own)
    if callable(own):
        return getattr(own, "__name__", type(own).__name__)
    if hasattr(layer, "activation"):
        return "linear"
    return _snake(layer) if type(layer).__name__ in _ACTIVATION_LAYERS else None


_ACTIVATION_LAYERS = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "PReLU": "prelu", "ELU": "elu", "Softmax": "softmax"}


def _snake(layer):
    return _ACTIVATION_LAYERS.get(type(layer).__name__, type(layer).__name__.lower())


def channel_axis(layer: keras.layers.Layer, rank: int) -> int:
    """The axis of a layer's output that numbers its units."""
    if isinstance(layer, keras.layers.Dense):
        return rank - 1
    kind = getattr(layer, "data_format", None) or (keras.config.image_data_format() if rank > 3 else None)
    return 1 if kind == "channels_first" and rank > 2 else rank - 1


def values(model: keras.Model) -> list[list[Any]]:
    """The values of the trainable, the non-trainable and the metric variables, for a pure pass."""
    groups = model.trainable_variables, model.non_trainable_variables, model.metrics_variables
    return [[ops.convert_to_tensor(v) for v in group] for group in groups]
