"""A model that computes in float64 for a while, and the types of its outputs."""

import contextlib
from collections.abc import Iterator

import keras
from keras import ops

from keras_lecture import _backend
from keras_lecture._core.replacement import replaced
from keras_lecture._core.weights import layers
from keras_lecture.diagnosis._facts.calls import intercepted


@contextlib.contextmanager
def in_double(model: keras.Model) -> Iterator[None]:
    """Keras and every layer, loss and declared input of `model` compute in float64; restored after the block.

    Only the declared types change, not the variables' values: give the model its values in a `StatelessScope`. A
    quantized layer keeps its types.
    """
    every, policy = layers(model), keras.DTypePolicy("float64")
    variables = [*model.variables, *model.metrics_variables]
    inputs = [each for layer in every for each in keras.tree.flatten(getattr(layer, "inputs", None) or [])]
    tensors = [t for t in inputs if isinstance(t, keras.KerasTensor)]
    plain = [layer for layer in every if not getattr(layer.dtype_policy, "quantization_mode", None)]
    changes = [(layer, "dtype_policy", policy) for layer in plain]
    # A `Sequential` casts its argument to the type of its input layer, a functional model to that of its input tensor.
    tensors += [layer for layer in every if isinstance(layer, keras.layers.InputLayer)]
    changes += [(each, "dtype", "float64") for each in [*variables, *tensors] if is_float(each.dtype)]
    with _backend.double_precision(), replaced(changes), _losses_in_double():
        yield


@contextlib.contextmanager
def _losses_in_double():
    """Losses cast their arguments to their `dtype`; they may lie anywhere, so the class changes."""
    original = keras.losses.Loss.dtype
    keras.losses.Loss.dtype = property(lambda loss: "float64")
    try:
        yield
    finally:
        keras.losses.Loss.dtype = original


def is_float(dtype) -> bool:
    """Whether it is a floating-point type, of 8 bits too."""
    return "float" in keras.backend.standardize_dtype(dtype)


class Calls:
    """The layers of a model in the order in which their calls return, and the types of their outputs."""

    def __init__(self, model: keras.Model) -> None:
        self.layers: dict[int, keras.layers.Layer] = {}
        self.types: dict[int, set[str]] = {}
        self._model = model

    def recorded(self) -> contextlib.AbstractContextManager[None]:
        """Records the calls in this block; of several calls of one layer, the last one counts."""
        inner = [layer for layer in layers(self._model) if layer is not self._model]
        return intercepted(self._model, inner, self._see)

    def _see(self, layer, inputs, outputs):
        self.layers.pop(id(layer), None)
        self.layers[id(layer)] = layer
        for leaf in keras.tree.flatten(outputs):
            if ops.is_tensor(leaf) and is_float(leaf.dtype):
                found = self.types.setdefault(id(layer), set())
                found.add(keras.backend.standardize_dtype(leaf.dtype))
        return outputs
