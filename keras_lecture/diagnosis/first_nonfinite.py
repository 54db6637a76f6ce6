"""The first layer, loss or gradient of a training step that is not finite."""

import contextlib
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_lecture import _backend
from keras_lecture._core import checks
from keras_lecture._core.listing import listed
from keras_lecture._core.objective import build_for, loss_on
from keras_lecture._core.types import Tensor
from keras_lecture._core.weights import layers
from keras_lecture.diagnosis._facts.calls import intercepted


class NonFinite(NamedTuple):
    """The first non-finite quantity of a training step: its kind, its name, and a sentence about it."""

    kind: str
    where: str
    message: str


def first_nonfinite(
    model: keras.Model,
    x: Tensor,
    y: Tensor | None = None,
    sample_weight: Tensor | None = None,
    *,
    training: bool = True,
) -> NonFinite | None:
    """Finds the origin of the infinities or NaN in a training step of a compiled model; `None` if there are none.

    Use it on a batch whose loss is not finite. It runs one forward pass and one gradient, operation by operation, and
    checks the output of every layer: slow, and meant for one batch.

        weights → inputs → outputs of the layers, in their order → loss → gradients, from the loss backward

    The first of these that is not finite is the `kind`: `"weight"`, `"input"`, `"activation"`, `"target"` (targets or
    sample weights make the loss non-finite), `"loss"`, `"gradient"`. A non-finite input is reported only if it makes
    the output of a layer non-finite: a layer may replace it. No weight, metric or statistic of the model changes.

    Args:
        model: A built and compiled Keras model.
        x, y, sample_weight: One batch, as for `model.train_on_batch`.
        training: Whether the model runs in training mode. The dropout masks are those of the model's next step, except
            on PyTorch. Defaults to `True`.

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
        although its output is; the reported weight is then the last one before that layer.
    """
    checks.instance("first_nonfinite", "model", model, keras.Model, "a Keras model")
    checks.boolean("first_nonfinite", "training", training)
    if not (model.built and model.compiled):
        checks.reject("first_nonfinite", "model", "built and compiled", model.name, "Call `model.compile(…)` before.")
    bad = [weight.path for weight in model.weights if not _finite(weight)]
    if bad:
        return NonFinite("weight", bad[0], f"{listed(bad)} {_is(bad)} not finite before the batch is seen")
    batch = keras.tree.map_structure(lambda a: None if a is None else ops.convert_to_tensor(a), (x, y, sample_weight))
    build_for(model, batch)
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
            return NonFinite("input", bad[0], f"{listed(bad)} {_is(bad)} not finite in the data of the batch")
        message = f"the input of {layer.name!r} is not finite, although the outputs of all earlier layers are"
        return NonFinite("activation", layer.name, message)
    return None


def _in_loss(value, y, sample_weight):
    if _finite(value):
        return None
    bad = _names_of_bad(y, "y") + _names_of_bad(sample_weight, "sample_weight")
    if bad:
        return NonFinite("target", bad[0], f"{listed(bad)} {_is(bad)} not finite in the data of the batch")
    return NonFinite("loss", "loss", "the loss is not finite, while the outputs and the targets are")


def _in_gradients(model, calls, gradients):
    bad = [v for v, g in zip(model.trainable_variables, gradients, strict=True) if g is not None and not _finite(g)]
    if not bad:
        return None
    order = {id(v): position for position, (layer, _, _) in enumerate(calls) for v in _own(layer)}
    last = max(bad, key=lambda v: order.get(id(v), -1))
    message = f"the gradient of {last.path} is not finite, while the loss is: the first of {len(bad)} in backward order"
    return NonFinite("gradient", last.path, message)


def _own(layer):
    """The weights of a layer without sublayers."""
    is_leaf = isinstance(layer, keras.layers.Layer) and len(layers(layer)) == 1
    return layer.trainable_variables if is_leaf else ()


@contextlib.contextmanager
def _recorded(model):
    """A list of `(layer, inputs are finite, outputs are finite)` in the order in which the calls return.

    A container comes after the layers inside it. The operations of functional models are recorded, too.
    """
    calls, found = [], {}
    for layer in layers(model):
        found |= {id(each): each for each in (layer, *getattr(layer, "operations", ()))}

    def see(owner, inputs, outputs):
        # Tensors traced in a loop, as in a recurrent cell, have no values; those of the layer around it do.
        with contextlib.suppress(TypeError, NotImplementedError):
            calls.append((owner, _all_finite(inputs), _all_finite(outputs)))
        return outputs

    with intercepted(model, list(found.values()), see):
        yield calls


def _all_finite(structure):
    return all(_finite(leaf) for leaf in keras.tree.flatten(structure) if ops.is_tensor(leaf))


def _finite(tensor):
    array = ops.convert_to_numpy(ops.stop_gradient(ops.convert_to_tensor(tensor)))
    return array.dtype.kind in "iubSOU" or bool(np.isfinite(array.astype("float64")).all())


def _names_of_bad(structure, name):
    """The names of the non-finite leaves: `x`, or `x[0]` and `x['name']` in a structure."""
    if structure is None:
        return []
    if isinstance(structure, dict):
        return [bad for key, part in structure.items() for bad in _names_of_bad(part, f"{name}[{key!r}]")]
    if isinstance(structure, list | tuple):
        return [bad for key, part in enumerate(structure) for bad in _names_of_bad(part, f"{name}[{key}]")]
    return [] if _finite(structure) else [name]


def _is(names):
    return "is" if len(names) == 1 else "are"
