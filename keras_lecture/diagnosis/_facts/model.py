"""Facts about a model as it was built and compiled: its layers in call order, weights, outputs, losses, optimizer.

The fields are those of `record["model"]`:

    name, kind, parameters, trainable_parameters, custom_train_step, custom_compute_loss
    shared_paths paths of trainable weights whose gradients PyTorch's `zero_grad` does not reset
    optimizer    class, learning_rate, schedule, momentum, clips
    losses       output, class, family, from_logits, label_smoothing: see `_facts/losses.py`
    layers       name, class, activation, shape, units, trainable, use_bias, rate, calls, sources, is_output, penalties,
                 weights
    outputs      name, shape, layer, activation; after `start_facts` also smallest, largest, sums_to_one, constant
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture import _backend
from keras_lecture._core.weights import layers, role
from keras_lecture._training.chain import innermost
from keras_lecture.diagnosis._facts import calls, variables
from keras_lecture.diagnosis._facts.initializers import looks_untouched
from keras_lecture.diagnosis._facts.losses import compiled_losses
from keras_lecture.diagnosis._facts.reasons import reason


def model_facts(model: keras.Model, batch: tuple[Any, Any, Any]) -> dict[str, Any]:
    """The facts of a built and compiled model; `batch` gives the shapes of a forward pass."""
    found, outputs, unseen = _traced(model, batch[0])
    return {
        "name": model.name,
        "kind": _kind(model),
        "parameters": int(model.count_params()),
        "trainable_parameters": int(sum(math.prod(v.shape) for v in model.trainable_variables)),
        "custom_train_step": variables.has_custom_train_step(model),
        "custom_compute_loss": variables.has_custom_loss(model),
        "shared_paths": variables.shared_paths(model),
        "optimizer": _optimizer(model.optimizer),
        "losses": compiled_losses(model),
        "layers": [_layer(call) for call in found],
        "outputs": outputs,
        "unseen": unseen,
    }


def _kind(model):
    if isinstance(model, keras.Sequential):
        return "sequential"
    return "functional" if getattr(model, "inputs", None) else "subclassed"


def _optimizer(optimizer):
    core = innermost(optimizer)
    rate = getattr(core, "_learning_rate", None)
    is_schedule = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
    try:
        value = float(ops.convert_to_numpy(core.learning_rate))
    except (AttributeError, TypeError, ValueError, NotImplementedError):
        value = None
    clips = any(getattr(core, name, None) for name in ("clipnorm", "clipvalue", "global_clipnorm"))
    return {
        "class": type(core).__name__,
        "learning_rate": value,
        "schedule": is_schedule,
        "momentum": getattr(core, "momentum", None) if isinstance(getattr(core, "momentum", None), float) else None,
        "clips": bool(clips),
        "accumulates": getattr(core, "gradient_accumulation_steps", None),
    }


class _Call:
    """The first call of a layer: what it received and returned."""

    def __init__(self, layer, sources, shape):
        self.layer, self.sources, self.shape = layer, sources, shape
        self.count, self.is_output = 1, False


def _traced(model, x):
    """The calls of the leaf layers in order, the outputs of the model, and why they could not be seen."""
    found, outputs = {}, []
    operations = [each for layer in layers(model) for each in getattr(layer, "operations", ())]
    operations = [each for each in operations if not isinstance(each, keras.layers.Layer)]
    operations = list({id(each): each for each in operations}.values())

    def run(weights, others, x):
        found.clear(), outputs.clear()
        # The names of the layers behind each tensor, which must stay alive so that its identity is unique.
        origin = {id(tensor): ({""}, tensor) for tensor in calls.tensors(x)}

        def see(layer, inputs, result):
            sources = set()
            for tensor in calls.tensors(inputs):
                sources |= origin[id(tensor)][0] if id(tensor) in origin else {None}
            own = sources
            if isinstance(layer, keras.layers.Layer):
                own = {layer.name}
                if id(layer) in found:
                    found[id(layer)].count += 1
                else:
                    signal = next(iter(calls.tensors(result)), None)
                    shape = [] if signal is None else [_size(size) for size in tuple(signal.shape)[1:]]
                    found[id(layer)] = _Call(layer, sorted(name for name in sources if name is not None), shape)
            origin.update({id(tensor): (own, tensor) for tensor in calls.tensors(result)})
            return result

        groups = model.trainable_variables, model.non_trainable_variables
        watched = [*calls.leaves(model), *operations]
        with _backend.scope(groups, (weights, others)), calls.intercepted(model, watched, see):
            result = model(x, training=False)
        names = list(getattr(model, "output_names", None) or ())
        if isinstance(result, dict):
            keys = {id(tensor): str(key) for key, tensor in result.items()}
            names = [keys.get(id(tensor), f"output_{index}") for index, tensor in enumerate(calls.tensors(result))]
        for index, tensor in enumerate(calls.tensors(result)):
            own = sorted(name for name in origin.get(id(tensor), ({None},))[0] if name is not None)
            last = next((call for call in found.values() if call.layer.name in own), None)
            if last is not None:
                last.is_output = True
            outputs.append(
                {
                    "name": names[index] if index < len(names) else f"output_{index}",
                    "shape": [_size(size) for size in tuple(tensor.shape)[1:]],
                    "layer": own[0] if own else None,
                    "activation": None if last is None else calls.activation(last.layer),
                }
            )

    weights, others, _ = calls.values(model)
    try:
        _backend.trace(run, weights, others, x)
    except Exception as error:
        found.clear()
        return [], outputs, [reason("the layers of the model", error)]
    return list(found.values()), outputs, []


def _size(size):
    return None if size is None else int(size)


def _layer(call):
    layer = call.layer
    rank = len(call.shape) + 1
    rate = getattr(layer, "rate", None)
    return {
        "name": layer.name,
        "class": type(layer).__name__,
        "activation": calls.activation(layer),
        "shape": call.shape,
        "units": call.shape[calls.channel_axis(layer, rank) - 1] if call.shape else None,
        "trainable": bool(layer.trainable),
        "use_bias": getattr(layer, "use_bias", None),
        "rate": float(rate) if isinstance(rate, int | float) else None,
        "calls": call.count,
        "sources": call.sources,
        "is_output": call.is_output,
        "samples_batch_statistics": isinstance(layer, keras.layers.BatchNormalization) and bool(layer.trainable),
        "penalties": _penalties(layer),
        "weights": [_weight(layer, variable) for variable in layer.weights],
    }


def _penalties(layer):
    """`[{"on": "kernel" or "activity", …, "class": "L2", "factors": {"l2": 0.01}}]` of the regularizers of a layer."""
    found = [(name, value) for name, value in vars(layer).items() if name.endswith("regularizer") and value is not None]
    return [
        {
            "on": name.strip("_").removesuffix("regularizer").strip("_"),
            "class": getattr(value, "__name__", type(value).__name__),
            "factors": _factors(value),
        }
        for name, value in found
    ]


def _factors(regularizer):
    config = getattr(regularizer, "get_config", dict)
    try:
        return {name: float(value) for name, value in config().items() if isinstance(value, int | float)}
    except NotImplementedError:
        return {}


def _weight(layer, variable):
    values = np.asarray(ops.convert_to_numpy(variable)).astype("float64")
    trainable = any(variable is each for each in layer.trainable_variables)
    name = variable.name
    # Also the mean and deviation of an adapted layer, which its class never trains.
    untrained = any(variable is each for each in getattr(layer, "_non_trainable_variables", ()))
    is_statistic = untrained or name.startswith("moving_") or variable.dtype in ("int32", "uint32", "int64", "bool")
    kind = "statistic" if is_statistic else role(name, variable.shape)
    columns = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else None
    with np.errstate(all="ignore"):
        return {
            "path": variable.path,
            "name": name,
            "role": kind,
            "shape": [int(size) for size in variable.shape],
            "trainable": trainable,
            "size": int(values.size),
            "rms": float(np.sqrt(np.mean(values**2))) if values.size else 0.0,
            "mean": float(values.mean()) if values.size else 0.0,
            "largest": float(np.abs(values).max(initial=0.0)),
            "constant": bool(values.size > 1 and np.all(values == values.flat[0])),
            "equal_units": bool(
                kind == "kernel" and columns is not None and columns.shape[1] > 1 and np.all(columns == columns[:, :1])
            ),
            "untouched": looks_untouched(layer, name, values),
        }
