"""Changes of single layers and of their place: data scaling, dropout, normalization, regularization, freezing."""

import re
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture.diagnosis._facts.initializers import looks_untouched
from keras_lecture.diagnosis._prescribe.plan import Plan
from keras_lecture.diagnosis._prescribe.structure import RESHAPING, Refusal, has_kernel, is_graph
from keras_lecture.diagnosis._rules.rule import Finding
from keras_lecture.layers import ZeroCenter

_L1, _L2, _RATE, _MOMENTUM = 1e-5, 1e-4, 0.25, 0.9


def scaled_input(plan: Plan, finding: Finding) -> str:
    """Mean 0 and variance 1 of each feature, in front of the layer."""
    if plan.x is None:
        raise Refusal("The layer that scales needs the training data: pass `x`.")
    layer = _first_reader(plan, plan.structure.find(finding.layer))
    if any(isinstance(new, ZeroCenter) for new in plan.before.get(layer.name, [])):
        return "Mean 0 and variance 1, by the layer that is already planned."
    data, text = _data_of(plan, layer)
    data = np.asarray(ops.convert_to_numpy(data) if ops.is_tensor(data) else data)
    if data.dtype.kind not in "biuf" or not np.isfinite(data).all():
        raise Refusal("`x` must be finite numbers.")
    # A second axis of unknown size, as of sequences, leaves the statistics of the last one.
    new = ZeroCenter(unit_variance=True, name=plan.name(f"{layer.name}_scaling"))
    new.adapt(data)
    plan.put("before", layer, [new])
    plan.adapted[new.name] = text
    trained = int(ops.convert_to_numpy(plan.structure.model.optimizer.iterations)) > 0
    again = " The weights were trained without it: train again." if trained else ""
    return f"ZeroCenter in front of {layer.name} gives each feature mean 0 and variance 1.{again}"


def _first_reader(plan, layer):
    """The layer that reads the input of the model and only hands it on to `layer`, in any nested model."""
    while True:
        sources = plan.structure.before(layer)
        if len(sources) != 1:
            raise Refusal(f"{layer.name} reads several tensors.")
        if sources[0] is None:
            owner = plan.structure.owner(layer)
            if owner is plan.structure.model:
                return layer
            layer = owner
        elif isinstance(sources[0], RESHAPING):
            layer = sources[0]
        else:
            raise Refusal(f"{layer.name} reads {sources[0].name}, not the data: scale in front of it.")


def _data_of(plan, layer):
    """The part of `x` that a layer reads, and its code."""
    model, x = plan.structure.model, plan.x
    if isinstance(model, keras.Sequential) or len(model.inputs) == 1:
        leaves = keras.tree.flatten(x) if isinstance(x, dict | list | tuple) else [x]
        if len(leaves) != 1:
            raise Refusal("`x` must be one array, as the model has one input.")
        key = next(iter(x)) if isinstance(x, dict) else 0
        return leaves[0], "x" if leaves[0] is x else f"x[{key!r}]"
    name = _input_name(model, layer)
    given = model.input
    if isinstance(given, dict) and isinstance(x, dict):
        key: Any = next(key for key, tensor in given.items() if tensor.name == name)
        return x[key], f'x["{key}"]'
    if isinstance(x, dict) and name in x:
        return x[name], f'x["{name}"]'
    index = [tensor.name for tensor in model.inputs].index(name)
    if isinstance(x, list | tuple) and len(x) == len(model.inputs):
        return x[index], f"x[{index}]"
    raise Refusal("`x` does not have the form of the model's inputs.")


def _input_name(model, layer):
    return next(
        tensor.name
        for nodes in model._nodes_by_depth.values()
        for node in nodes
        if node.operation is layer
        for tensor in node.input_tensors
    )


def in_front_of_head(plan: Plan, finding: Finding) -> str:
    """A layer behind the last kernel, moved in front of it."""
    structure = plan.structure
    layer = structure.find(finding.layer)
    head = structure.head(structure.before(layer)[0] if len(structure.before(layer)) == 1 else layer)
    if isinstance(layer, keras.layers.BatchNormalization):
        # Statistics of the outputs have no meaning in front of the last layer.
        config = {**layer.get_config(), "name": plan.name(f"{head.name}_{layer.name}")}
    else:
        config = {**layer.get_config(), "name": plan.name(f"{layer.name}_moved")}
    _remove(plan, layer)
    plan.put("before", head, [type(layer).from_config(config)])
    return f"It stands in front of {head.name}, the last layer with weights."


def _remove(plan, layer):
    structure = plan.structure
    if structure.calls(layer) > 1 or len(structure.before(layer)) != 1:
        raise Refusal(f"{layer.name} is shared, or joins several tensors.")
    if len(structure.ends()) > 1 and any(end is layer for end in structure.ends()):
        raise Refusal(f"{layer.name} gives one of several outputs its name.")
    plan.removed.add(layer.name)


def redundant_bias(plan: Plan, finding: Finding) -> str:
    """No bias in front of batch normalization."""
    layer = plan.structure.find(finding.layer)
    if "use_bias" not in layer.get_config():
        raise Refusal(f"{layer.name} has no argument `use_bias`.")
    plan.set(layer, use_bias=False)
    return "use_bias=False: the batch normalization has a shift of its own."


def layer_normalization(plan: Plan, finding: Finding) -> str:
    """Layer normalization in place of batch normalization."""
    found = [layer for layer in plan.structure.every if isinstance(layer, keras.layers.BatchNormalization)]
    if not found:
        raise Refusal("The batch normalization is inside of another layer.")
    for layer in found:
        config = {"name": layer.name, "dtype": layer.dtype_policy.name, "axis": layer.axis}
        plan.replaced[plan.structure.only(layer).name] = keras.layers.LayerNormalization(**config)
    return "Layer normalization, which does not look at other samples, in place of batch normalization."


def faster_statistics(plan: Plan, finding: Finding) -> str:
    """Moving statistics that follow faster."""
    found = [
        layer
        for layer in plan.structure.every
        if isinstance(layer, keras.layers.BatchNormalization) and layer.momentum > _MOMENTUM
    ]
    if not found:
        raise Refusal(f"No batch normalization has a momentum above {_MOMENTUM}.")
    for layer in found:
        plan.set(layer, momentum=_MOMENTUM)
    return f"Momentum {_MOMENTUM} in {', '.join(layer.name for layer in found[:4])}."


def less_regularization(plan: Plan, finding: Finding) -> str:
    """Smaller penalties and dropout rates, whichever the finding names."""
    of_dropout = [key for key in finding.evidence if key in ("dropout", "loss with dropout")]
    of_penalty = [key for key in finding.evidence if key.startswith(("penalty", "norm"))]
    names = []
    for layer in plan.structure.every:
        if is_graph(layer):
            continue
        config, entries = layer.get_config(), {}
        if of_penalty:
            entries = {
                key: _weaker(value)
                for key, value in config.items()
                if key.rpartition("_")[2] == "regularizer" and value
            }
        for key in ("rate", "dropout", "recurrent_dropout"):
            if of_dropout and isinstance(config.get(key), float) and config[key] > 0.5:
                entries[key] = _RATE
        if entries:
            plan.set(layer, **entries)
            names.append(layer.name)
    if of_penalty and (getattr(plan.structure.model.optimizer, "weight_decay", None) or 0) > _L2:
        plan.optimizer["weight_decay"] = _L2
        names.append("the optimizer")
    if not names:
        raise Refusal("No layer has a penalty or a dropout rate that its config shows.")
    return f"Penalties of at most L2({_L2:g}) or L1({_L1:g}), dropout of {_RATE:g}, in {', '.join(names[:4])}."


def _weaker(config):
    """A regularizer with factors of at most `_L1` and `_L2`."""
    if config["class_name"] not in ("L1", "L2", "L1L2"):
        return config
    limits = {"l1": _L1, "l2": _L2}
    return {**config, "config": {key: min(value, limits[key]) for key, value in config["config"].items()}}


def trainable(plan: Plan, finding: Finding) -> str:
    """Frozen layers that look as their initializer drew them train again; all of them if nothing trains."""
    structure = plan.structure
    nothing = not structure.model.trainable_variables
    frozen = [layer for layer in structure.every if layer.weights and not is_graph(layer) and not layer.trainable]
    raw = [layer for layer in frozen if nothing or _is_raw(layer)]
    # Gains and shifts next to these kernels, which say nothing about their past.
    owners = [structure.owner(layer) for layer in raw]
    raw += [layer for layer in frozen if not has_kernel(layer) and structure.owner(layer) in owners]
    names = list(dict.fromkeys(structure.only(layer).name for layer in raw))
    if not names:
        raise Refusal("The frozen layers look trained: nothing says that they must not be frozen.")
    plan.trainable |= set(names)
    return f"{', '.join(names[:4])}{' …' if len(names) > 4 else ''}: trainable."


def _is_raw(layer):
    if not has_kernel(layer):
        return False
    kernels = [each for each in layer.weights if len(each.shape) > 1]
    seen = [looks_untouched(layer, each.name, np.asarray(ops.convert_to_numpy(each), "float64")) for each in kernels]
    return False not in seen


def more_tokens(plan: Plan, finding: Finding) -> str:
    """One row of the embedding for each token number."""
    largest = re.match(r"-?\d+ to (\d+) ", finding.evidence.get("token numbers", ""))
    negative = finding.evidence.get("token numbers", "").startswith("-")
    if largest is None or negative:
        raise Refusal("The data must be converted, not the model.")
    plan.set(plan.structure.find(finding.layer), input_dim=int(largest[1]) + 1)
    return f"{int(largest[1]) + 1} rows, one for each token number."
