"""Where in a model infinities and NaN begin."""

import contextlib
import functools
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_lecture import _backend
from keras_lecture._core import checks
from keras_lecture._core.objective import loss_on
from keras_lecture._core.weights import layers


class NonFinite(NamedTuple):
    """What is not finite first (`kind`), where, and in a sentence."""

    kind: str
    where: str
    message: str


def first_nonfinite(model, x, y=None, sample_weight=None, *, training: bool = True) -> NonFinite | None:
    """The first place where a training step of a compiled model meets an infinity or NaN; `None` if there is none.

    Use it on a batch whose loss is not finite. It runs one forward pass and one gradient, operation by operation, and
    looks at the output of every layer: slow, and meant for one batch.

        weights → inputs → outputs of the layers, in their order → loss → gradients, from the loss backward

    The first of these that is not finite is the `kind`: `"weight"`, `"input"`, `"activation"`, `"target"` (targets or
    sample weights make the loss so), `"loss"`, `"gradient"`. An input counts where a layer's output is not finite
    because of it: a layer may be there to replace it. No weight, metric or statistic of the model changes.

    Args:
        model: A built and compiled Keras model.
        x, y, sample_weight: One batch, as for `model.train_on_batch`.
        training: Whether the model runs as in training. The masks of dropout are those of the next step on this model,
            on PyTorch others. Defaults to `True`.

    Returns:
        A `NonFinite`: `kind`, `where` (the name of a layer or input, the path of a weight) and `message`; or `None`.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name="line")])
        >>> model.add(keras.layers.Lambda(keras.ops.log, name="log"))
        >>> model.compile("sgd", "mse")
        >>> found = keras_lecture.diagnosis.first_nonfinite(model, np.zeros((4, 1)), np.ones((4, 1)))
        >>> found.kind, found.where
        ('activation', 'log')

    Reference:
        Deck A ("exploding" in the tuning table). The gradient of a layer that computes √x or a norm is not finite at 0
        though its output is; backward from the loss, the first weight to see it lies in front of that layer.
    """
    checks.instance("first_nonfinite", "model", model, keras.Model, "a Keras model")
    checks.boolean("first_nonfinite", "training", training)
    if not (model.built and model.compiled):
        checks.reject("first_nonfinite", "model", "built and compiled", model.name, "Call `model.compile(…)` before.")
    bad = [weight.path for weight in model.weights if not _finite(weight)]
    if bad:
        return NonFinite("weight", bad[0], f"{_listed(bad)} {_is(bad)} not finite before the batch is seen")
    batch = keras.tree.map_structure(lambda a: None if a is None else ops.convert_to_tensor(a), (x, y, sample_weight))
    others = [variable.value for variable in model.non_trainable_variables]
    loss, weights = loss_on(model, batch, others, training=training), [v.value for v in model.trainable_variables]
    with _recorded(model) as calls:
        value, _ = loss(weights)
    return (
        _in_outputs(calls, batch[0])
        or _in_loss(value, *batch[1:])
        or _in_gradients(model, calls, _backend.value_and_grad(loss)(weights)[1])
    )


def _in_outputs(calls, x):
    for layer, inputs, outputs in calls:
        if outputs:
            continue
        if inputs:
            message = f"the output of {layer.name!r} is not finite, while what goes into it is"
            return NonFinite("activation", layer.name, message)
        bad = _names_of_bad(x, "x")
        if bad:
            return NonFinite("input", bad[0], f"{_listed(bad)} {_is(bad)} not finite in the data of the batch")
        message = f"what goes into {layer.name!r} is not finite, though the outputs of all layers before are"
        return NonFinite("activation", layer.name, message)
    return None


def _in_loss(value, y, sample_weight):
    if _finite(value):
        return None
    bad = _names_of_bad(y, "y") + _names_of_bad(sample_weight, "sample_weight")
    if bad:
        return NonFinite("target", bad[0], f"{_listed(bad)} {_is(bad)} not finite in the data of the batch")
    return NonFinite("loss", "loss", "the loss is not finite, while the outputs and the targets are")


def _in_gradients(model, calls, gradients):
    bad = [v for v, g in zip(model.trainable_variables, gradients, strict=True) if g is not None and not _finite(g)]
    if not bad:
        return None
    order = {id(v): place for place, (layer, _, _) in enumerate(calls) for v in _own(layer)}
    last = max(bad, key=lambda v: order.get(id(v), -1))
    message = f"the gradient of {last.path} is not finite, while the loss is: backward from it, the first of {len(bad)}"
    return NonFinite("gradient", last.path, message)


def _own(layer):
    """The weights of a layer that has no layers in it."""
    alone = isinstance(layer, keras.layers.Layer) and len(layers(layer)) == 1
    return layer.trainable_variables if alone else ()


@contextlib.contextmanager
def _recorded(model):
    """A list of the calls, in the order of their ends: what was called, were inputs finite, were outputs.

    Innermost first, so that a container comes after what is in it; functional models also call plain operations.
    """
    calls, found = [], {}
    for layer in layers(model):
        found |= {id(each): each for each in (layer, *getattr(layer, "operations", ()))}

    def call(owner, plain, *args, **kwargs):
        outputs = plain(*args, **kwargs)
        # What is traced in a loop, as the cell of a recurrent layer is, has no values; the layer around it has.
        with contextlib.suppress(TypeError, NotImplementedError):
            calls.append((owner, _all_finite((args, kwargs)), _all_finite(outputs)))
        return outputs

    wrapped = [each for each in found.values() if "call" not in vars(each)]
    for each in wrapped:
        object.__setattr__(each, "call", functools.partial(call, each, each.call))
    try:
        yield calls
    finally:
        for each in wrapped:
            object.__delattr__(each, "call")


def _all_finite(structure):
    return all(_finite(leaf) for leaf in keras.tree.flatten(structure) if ops.is_tensor(leaf))


def _finite(tensor):
    array = ops.convert_to_numpy(ops.stop_gradient(ops.convert_to_tensor(tensor)))
    return array.dtype.kind in "iubSOU" or bool(np.isfinite(array.astype("float64")).all())


def _names_of_bad(structure, name):
    """`x`, or `x[0]` and `x['name']` of a structure."""
    if structure is None:
        return []
    if isinstance(structure, dict):
        return [bad for key, part in structure.items() for bad in _names_of_bad(part, f"{name}[{key!r}]")]
    if isinstance(structure, list | tuple):
        return [bad for key, part in enumerate(structure) for bad in _names_of_bad(part, f"{name}[{key}]")]
    return [] if _finite(structure) else [name]


def _listed(names):
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _is(names):
    return "is" if len(names) == 1 else "are"
