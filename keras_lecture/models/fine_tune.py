"""Fine-tuning: a partly frozen copy of a trained network with a new score layer."""

import keras

from keras_lecture._core import checks
from keras_lecture._core.copies import copied_model
from keras_lecture._core.types import Tensor
from keras_lecture.models._parts import scoring

SCORE_ACTIVATIONS = ("linear", "sigmoid", "softmax")
CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
# Layers that may follow the score layer.
WITHOUT_WEIGHTS = (
    keras.layers.Activation,
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
    keras.layers.Reshape,
    keras.layers.Softmax,
)

# Layers without a data format whose outputs have it.
CHANNELS_LAST = (
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Embedding,
    keras.layers.MultiHeadAttention,
    keras.layers.RNN,
)
# Layers and operations that change where the axes are.
MOVING = ("Permute", "Reshape", "Transpose", "Moveaxis", "Swapaxes", "ExpandDims", "Squeeze")


def fine_tune(model: keras.Model, classes: int, *, trainable: str | int = "last") -> keras.Model:
    """Copies a trained network with a new score layer and freezes all but the last layers.

    Use it when you have little data: features learned from many images transfer to other ones. Train the score layer
    first, then more layers with a smaller learning rate: set their `trainable` and compile again.

        y = W·h(x) + b

    h the network up to the input of its score layer, W and b new: `Xavier` and zeros. The old score layer is a dense
    layer or a 1×1 convolution, linear or with softmax or sigmoid, followed by nothing but pooling, flattening and
    activation. A network that ends otherwise keeps all of its layers; an output with spatial axes then gets global
    average pooling before the scores. `model` does not change.

    Frozen layers keep their weights; frozen batch normalization uses and keeps its moving statistics in training, too;
    dropout stays active everywhere. The copy is not compiled.

    Args:
        model: A built functional or Sequential model with one output, such as those of `keras.applications`.
        classes: Number of scores.
        trainable: `"last"`, the score layer alone; a number of layers with weights, counted from the end, where the
            score layer, a block or a nested model counts as one; or `"all"`. Defaults to `"last"`.

    Returns:
        A functional `keras.Model` from the inputs of `model` to scores (for `SoftmaxCrossEntropy`).

    Example:
        >>> model = keras_lecture.models.mlp((8,), 10, units=(16, 16))
        >>> tuned = keras_lecture.models.fine_tune(model, 3, trainable=2)
        >>> [layer.name for layer in tuned.layers if layer.trainable and layer.weights]
        ['hidden_2', 'scores']

    Reference:
        Yosinski et al., 2014, arXiv:1411.1792; deck B, "a few layers or the whole network". Keras has no such function.
    """
    _check(model, classes, trainable)
    copy = copied_model(model)
    head, rest = _head(copy)
    if head is None:
        x, layer = _pooled(copy.outputs[0]), keras.layers.Dense(classes, **scoring())
    else:
        x, layer = head.input, _reset(head, classes)
    if "scores" not in {other.name for other in copy.layers if other is not head}:
        layer.name = "scores"
    y = layer(x)
    for after in rest:
        y = after(y)
    # `input` keeps the names and the nesting of the inputs, which a Sequential model does not have.
    inputs = copy.inputs[0] if isinstance(copy, keras.Sequential) else copy.input
    tuned = keras.Model(inputs, y, name=f"{model.name}_tuned")
    _freeze(tuned, trainable)
    return tuned


def _check(model, classes, trainable):
    owner = "fine_tune"
    checks.instance(owner, "model", model, keras.Model, "a functional or Sequential Keras model")
    # A subclassed model, and one that is not built, has no outputs.
    if len(getattr(model, "outputs", None) or ()) != 1:
        remedy = "In a subclassed model, set `layer.trainable = False` and replace the score layer yourself."
        checks.reject(owner, "model", "a built functional or Sequential model with one output", model.name, remedy)
    checks.whole(owner, "classes", classes)
    if trainable not in ("last", "all"):
        checks.whole(owner, "trainable", trainable, "[1, ∞)", 'Or "last", the score layer alone, or "all".')


def _head(model):
    """The score layer, or None, and copies of the layers after it."""
    layer, rest = _before(model.outputs[0]), []
    while isinstance(layer, WITHOUT_WEIGHTS) and _may_follow_scores(layer):
        rest.insert(0, layer)
        layer = _before(layer.input)
    if isinstance(layer, keras.Model) and len(layer.outputs) == 1 and _head(layer)[0] is not None:
        remedy = f"Fine-tune the model `{layer.name}` inside it, which has its own score layer."
        checks.reject("fine_tune", "model", "one that does not end in another model", model.name, remedy)
    if not _is_head(layer):
        return None, []
    kept = [after for after in rest if not isinstance(after, keras.layers.Activation | keras.layers.Softmax)]
    return layer, [_copied(after) for after in kept]


def _before(tensor):
    """The layer that outputs `tensor`; no public name of Keras includes nested models."""
    return tensor._keras_history.operation


def _may_follow_scores(layer) -> bool:
    return not isinstance(layer, keras.layers.Activation) or _has_score_activation(layer)


def _is_head(layer) -> bool:
    if isinstance(layer, CONVOLUTIONS):
        return set(layer.kernel_size) == {1} and _has_score_activation(layer)
    return isinstance(layer, keras.layers.Dense) and _has_score_activation(layer)


def _has_score_activation(layer) -> bool:
    return getattr(layer.activation, "__name__", "") in SCORE_ACTIVATIONS


def _reset(head, classes: int):
    """A new linear score layer of the same kind."""
    size = "units" if isinstance(head, keras.layers.Dense) else "filters"
    config = {**head.get_config(), size: classes, "activation": "linear", "bias_initializer": "zeros", "name": None}
    return type(head).from_config({**config, **scoring()})


def _copied(layer):
    """A new layer with the same config; `Flatten` for a `Reshape`, whose shape contains the old number of classes."""
    if isinstance(layer, keras.layers.Reshape):
        return keras.layers.Flatten(name="flat")
    return type(layer).from_config(layer.get_config())


def _pooled(x: Tensor) -> Tensor:
    """Global average pooling of a sequence, an image or a volume."""
    if len(x.shape) == 2:
        return x
    layer = getattr(keras.layers, f"GlobalAveragePooling{len(x.shape) - 2}D")
    return layer(data_format=_format_of(x))(x)


def _format_of(tensor):
    """The data format of the last layer before `tensor` that has one, or `None` if no such layer decides."""
    layer = _before(tensor)
    while not hasattr(layer, "data_format"):
        if isinstance(layer, CHANNELS_LAST):
            return "channels_last"
        if isinstance(layer, keras.Model):
            return _format_of(layer.outputs[0])
        if isinstance(layer, keras.layers.InputLayer) or type(layer).__name__ in MOVING:
            return None
        layer = _before(keras.tree.flatten(layer.input)[0])
    return layer.data_format


def _freeze(model, trainable):
    layers = [layer for layer in model.layers if layer.weights]
    count = {"last": 1, "all": len(layers)}.get(trainable, trainable)
    if count > len(layers):
        checks.reject("fine_tune", "trainable", f"at most {len(layers)}, the layers with weights", trainable)
    for i, layer in enumerate(reversed(layers), 1):
        layer.trainable = i <= count
