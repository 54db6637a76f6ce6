"""Facts about a model before its first step: the loss on a few samples, chance, and the input of the first layers.

loss, error, regularization, accuracy     in inference mode, see `Evaluation`
chance          {"loss", "accuracy"} of the best constant output without regularization, or `None`
first_inputs    for each of the first layers with a kernel: what it receives, by feature
outputs         smallest, largest, whether rows sum to one, …: written into `model["outputs"]`
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture import _backend
from keras_lecture._core.weights import weights as weights_of
from keras_lecture.diagnosis._facts import calls
from keras_lecture.diagnosis._facts.evaluation import Evaluation, chance, is_constant
from keras_lecture.diagnosis._facts.reasons import reason

Batch = tuple[Any, Any, Any]


def start_facts(model: keras.Model, batch: Batch, evaluation: Evaluation | None = None) -> dict[str, Any]:
    """The facts of a built and compiled model on a batch of tensors `(x, y, sample_weight)`."""
    evaluation = evaluation or Evaluation(model)
    facts: dict[str, Any] = {"loss": None, "chance": None, "outputs": [], "unseen": []}
    try:
        found = evaluation(batch)
        predictions = found.pop("predictions")
        facts |= found
        facts["outputs"] = [_of_output(np.asarray(leaf)) for leaf in keras.tree.flatten(predictions)]
        facts["chance"] = chance(evaluation, batch, predictions)
    except Exception as error:
        facts["unseen"].append(reason("the loss before the first step", error))
    try:
        facts |= _received(model, batch)
    except Exception as error:
        facts["unseen"].append(reason("the inputs of the first layers", error))
    return facts


def _of_output(output):
    with np.errstate(all="ignore"):
        rows = output.astype("float64")
        sums = rows.sum(axis=-1) if rows.ndim > 1 else rows
        return {
            "smallest": float(rows.min()),
            "largest": float(rows.max()),
            "non_negative": bool(rows.min() >= 0.0),
            "sums_to_one": bool(rows.shape[-1] > 1 and rows.min() >= 0.0 and np.all(np.abs(sums - 1.0) < 1e-2)),
            "constant": is_constant(output),
        }


def _received(model, batch):
    """The inputs of embeddings, and of the layers with a kernel that receive no output of another such layer."""
    kernels = {id(weight.layer) for weight in weights_of(model) if weight.role == "kernel"}
    found, derived, raw = [], {}, {}

    def see(layer, inputs, outputs):
        received = [tensor for tensor in calls.tensors(inputs) if tensor.shape]
        is_layer = isinstance(layer, keras.layers.Layer)
        has_kernel = is_layer and any(id(part) in kernels for part in calls.layers(layer))
        from_kernel = any(id(tensor) in derived for tensor in received)
        # Values of unknown origin are inputs only as long as no layer with a kernel was called.
        is_raw = not derived or any(id(tensor) in raw for tensor in received)
        is_first = has_kernel and is_raw and not from_kernel and all(layer is not other for other, _ in found)
        fitting = [t for t in received if calls.is_float(t) or isinstance(layer, keras.layers.Embedding)]
        if is_first and fitting:
            found.append((layer, fitting[0]))
        if has_kernel or from_kernel:
            derived.update({id(tensor): tensor for tensor in calls.tensors(outputs)})
        elif is_raw:
            raw.update({id(tensor): tensor for tensor in calls.tensors(outputs)})
        return outputs

    watched = [*calls.leaves(model), *getattr(model, "operations", ())]
    watched = list({id(each): each for each in watched if not isinstance(each, keras.layers.InputLayer)}.values())
    # A nested model is a layer that calls others: its parts are watched, it is not.
    watched = [each for each in watched if not isinstance(each, keras.Model)]
    named = []

    def run(weights, others, x):
        found.clear(), derived.clear(), named.clear(), raw.clear()
        raw.update({id(tensor): tensor for tensor in calls.tensors(x)})
        groups = model.trainable_variables, model.non_trainable_variables
        with _backend.scope(groups, (weights, others)), calls.intercepted(model, watched, see):
            model(x, training=False)
        named.extend(layer for layer, _ in found)
        derived.clear(), raw.clear()
        return [tensor for _, tensor in found]

    weights, others, _ = calls.values(model)
    inputs = map(ops.convert_to_numpy, _backend.compile(run)(weights, others, batch[0]))
    pairs = list(zip(named, inputs, strict=True))
    tokens = [pair for pair in pairs if isinstance(pair[0], keras.layers.Embedding)]
    return {
        "first_inputs": [_of_input(*pair) for pair in pairs if not isinstance(pair[0], keras.layers.Embedding)],
        "embeddings": [_of_tokens(*pair) for pair in tokens],
    }


def _of_tokens(layer, array):
    return {
        "layer": layer.name,
        "rows": int(layer.input_dim),
        "units": int(layer.output_dim),
        "smallest": float(array.min()),
        "largest": float(array.max()),
    }


def _of_input(layer, array):
    axis = calls.channel_axis(layer, array.ndim)
    rows = np.moveaxis(array.astype("float64"), axis, -1).reshape(-1, array.shape[axis] if array.ndim > 1 else 1)
    with np.errstate(all="ignore"):
        means, stds = rows.mean(axis=0), rows.std(axis=0)
        varied = stds > 0
        return {
            "layer": layer.name,
            "class": type(layer).__name__,
            "rms": float(np.sqrt(np.mean(rows**2))),
            "mean": float(rows.mean()),
            "std": float(rows.std()),
            "largest": float(np.abs(rows).max()),
            "features": int(rows.shape[1]),
            "feature_std_smallest": float(stds[varied].min()) if varied.any() else 0.0,
            "feature_std_largest": float(stds.max()),
            "offset": float(np.median(np.abs(means[varied]) / stds[varied])) if varied.any() else None,
        }
