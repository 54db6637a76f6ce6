"""Reusing a trained network: a copy with new scores, most of it frozen."""

import keras

from keras_lecture._core import checks
from keras_lecture._core.assignment import assign_copy
from keras_lecture.models._parts import scoring

SCORES = ("linear", "sigmoid", "softmax")
CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
# What may follow the layer of the scores.
WITHOUT_WEIGHTS = (
    keras.layers.Activation,
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
    keras.layers.Reshape,
    keras.layers.Softmax,
)


def fine_tune(model, classes: int, *, trainable="last"):
    """A copy of a trained network with a new layer of scores, of which only the last layers learn.

    Use it where there is little data of one's own: what a network has learned of many images serves other ones. Train
    the scores first, then go on with more layers and a smaller learning rate: set their `trainable` and compile again.

        y = W·h(x) + b

    h the network up to the input of its last layer of scores, W and b new: `Xavier` and zeros. The old layer of scores
    is a dense layer or a 1×1 convolution, linear or with softmax or sigmoid, that nothing but pooling, flattening and
    activation follows. A network that ends elsewhere keeps all of its layers; of images the mean over the places
    comes before the scores then. `model` is left as it is.

    Frozen layers keep their weights, and frozen batch normalization normalizes by its moving statistics in training as
    well, and keeps them; dropout goes on everywhere. The copy is not compiled.

    Args:
        model: A built functional or Sequential model with one output, such as those of `keras.applications`.
        classes: Number of scores.
        trainable: `"last"`, the new scores alone; a whole number, so many of the last layers that have weights, the
            scores among them, where a block or a model inside the model counts as one; or `"all"`. Defaults to
            `"last"`.

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
    copy = keras.models.clone_model(model)
    for new, old in zip(copy.variables, model.variables, strict=True):
        assign_copy(new, old)
    head, rest = _head(copy)
    if head is None:
        x, layer = _pooled(copy.outputs[0]), keras.layers.Dense(classes, **scoring())
    else:
        x, layer = head.input, _anew(head, classes)
    if "scores" not in {other.name for other in copy.layers if other is not head}:
        layer.name = "scores"
    y = layer(x)
    for after in rest:
        y = after(y)
    # `input` keeps names and nesting; a Sequential model has none.
    inputs = copy.inputs[0] if isinstance(copy, keras.Sequential) else copy.input
    tuned = keras.Model(inputs, y, name=f"{model.name}_tuned")
    _freeze(tuned, trainable)
    return tuned


def _check(model, classes, trainable):
    owner = "fine_tune"
    checks.instance(owner, "model", model, keras.Model, "a functional or Sequential Keras model")
    # A subclassed model, and one that is not built, has no outputs.
    if len(getattr(model, "outputs", None) or ()) != 1:
        remedy = "Of a subclassed model, freeze layers by `layer.trainable = False` and give it new scores by yourself."
        checks.reject(owner, "model", "a built functional or Sequential model with one output", model.name, remedy)
    checks.whole(owner, "classes", classes)
    if trainable not in ("last", "all"):
        checks.whole(owner, "trainable", trainable, "[1, ∞)", 'Or "last", the new scores alone, or "all".')


def _head(model):
    """The layer of the scores, or None, and new layers for what comes after it."""
    layer, rest = _before(model.outputs[0]), []
    while isinstance(layer, WITHOUT_WEIGHTS) and _reads_scores(layer):
        rest.insert(0, layer)
        layer = _before(layer.input)
    if isinstance(layer, keras.Model) and len(layer.outputs) == 1 and _head(layer)[0] is not None:
        remedy = f"Fine-tune the model `{layer.name}` inside it, which has scores of its own."
        checks.reject("fine_tune", "model", "one that does not end in another model", model.name, remedy)
    if not _is_head(layer):
        return None, []
    kept = [after for after in rest if not isinstance(after, keras.layers.Activation | keras.layers.Softmax)]
    return layer, [_copied(after) for after in kept]


def _before(tensor):
    """What gives `tensor`; Keras has no public name for it that also knows a model inside a model."""
    return tensor._keras_history.operation


def _reads_scores(layer) -> bool:
    return not isinstance(layer, keras.layers.Activation) or _linear(layer)


def _is_head(layer) -> bool:
    if isinstance(layer, CONVOLUTIONS):
        return set(layer.kernel_size) == {1} and _linear(layer)
    return isinstance(layer, keras.layers.Dense) and _linear(layer)


def _linear(layer) -> bool:
    return getattr(layer.activation, "__name__", "") in SCORES


def _anew(head, classes: int):
    """The layer of the scores for other classes, linear, at its start."""
    size = "units" if isinstance(head, keras.layers.Dense) else "filters"
    config = {**head.get_config(), size: classes, "activation": "linear", "bias_initializer": "zeros", "name": None}
    return type(head).from_config({**config, **scoring()})


def _copied(layer):
    """A layer of its own for the new model; of a shape with the number of old classes, what it does."""
    if isinstance(layer, keras.layers.Reshape):
        return keras.layers.Flatten(name="flat")
    return type(layer).from_config(layer.get_config())


def _pooled(x):
    """The mean over the places of a sequence, an image or a volume."""
    if len(x.shape) == 2:
        return x
    layer = getattr(keras.layers, f"GlobalAveragePooling{len(x.shape) - 2}D")
    return layer()(x)


def _freeze(model, trainable):
    layers = [layer for layer in model.layers if layer.weights]
    count = {"last": 1, "all": len(layers)}.get(trainable, trainable)
    if count > len(layers):
        checks.reject("fine_tune", "trainable", f"at most {len(layers)}, the layers with weights", trainable)
    for place, layer in enumerate(reversed(layers), 1):
        layer.trainable = place <= count
