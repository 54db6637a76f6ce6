"""Dead units brought back: new incoming weights, outgoing weights of zero, so that the model's outputs stay."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture._core.weights import layers
from keras_lecture.callbacks._doctor.refusal import Refused
from keras_lecture.callbacks._doctor.state import slots
from keras_lecture.diagnosis._facts.calls import channel_axis, intercepted
from keras_lecture.diagnosis._record.record import Record
from keras_lecture.diagnosis._rules.harm import consumers
from keras_lecture.diagnosis._rules.measures import layers_by_name

_KERNELS = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
# Layers that leave units apart and turn zeros into zeros.
_PASSING = ("Activation", "ReLU", "Dropout", "SpatialDropout", "Pooling", "Flatten", "GaussianNoise")


def revive(model: keras.Model, record: Record, name: str, x: Any) -> tuple[int, int]:
    """Revives the dead units of the layer `name`, judged on the inputs `x`; the numbers of dead and of all units.

    w ~ N(0, 2/n) with the sign that makes the unit react to some of the samples, b = 0; the outgoing weights and the
    optimizer's slots of all these entries become 0.
    """
    by_name = {layer.name: layer for layer in layers(model)}
    facts = {layer["name"]: layer for layer in record["model"]["layers"]}
    owner = _owner(by_name, facts, name)
    dead = _at_rest(model, by_name[name], x)
    if not dead.any():
        raise Refused(f"no unit of {name} is at rest on all of the samples now")
    behind = _outgoing(record, by_name, name, len(dead))
    if behind is None:
        raise Refused(
            f"the weights behind {name} cannot be told apart by its units, and its outputs would be disturbed"
        )
    kernel = np.array(ops.convert_to_numpy(owner.kernel))
    fan_in = math.prod(kernel.shape[:-1])
    drawn = np.random.default_rng(0).normal(0, math.sqrt(2 / fan_in), (*kernel.shape[:-1], int(dead.sum())))
    kernel[..., dead] = drawn
    owner.kernel.assign(kernel)
    _reset(model, owner.kernel, (..., dead))
    if owner.use_bias:
        bias = np.array(ops.convert_to_numpy(owner.bias))
        bias[dead] = 0
        owner.bias.assign(bias)
        _reset(model, owner.bias, (dead,))
    for variable, rows in behind:
        weight = np.array(ops.convert_to_numpy(variable))
        index = (..., np.resize(dead, weight.shape[-2]) if rows == "last" else np.repeat(dead, rows), slice(None))
        weight[index] = 0
        variable.assign(weight)
        _reset(model, variable, index)
    still = dead & _at_rest(model, by_name[name], x)
    kernel[..., still] *= -1
    owner.kernel.assign(kernel)
    return int(dead.sum()), len(dead)


def _owner(by_name, facts, name):
    """The layer with the kernel of the units: the layer itself, or the one right before an activation layer."""
    layer = by_name.get(name)
    while layer is not None and not isinstance(layer, _KERNELS):
        sources = facts.get(layer.name, {}).get("sources") or []
        is_activation = isinstance(layer, keras.layers.Activation | keras.layers.ReLU)
        layer = by_name.get(sources[0]) if is_activation and len(sources) == 1 else None
    if layer is None or type(layer) not in _KERNELS or getattr(layer, "groups", 1) != 1:
        raise Refused(f"the units of {name} are not those of one dense or convolution layer")
    if facts.get(layer.name, {}).get("calls", 1) > 1:
        raise Refused(f"{layer.name} is called several times")
    if not layer.trainable or getattr(layer, "lora_enabled", False):
        raise Refused(f"{layer.name} is frozen")
    return layer


def _at_rest(model, layer, x):
    """For each unit of `layer`, whether its output is at most 0 for all of `x`."""
    seen = []

    def see(layer, inputs, outputs):
        seen.append(np.array(ops.convert_to_numpy(outputs)))
        return outputs

    with intercepted(model, [layer], see):
        model(x, training=False)
    axis = channel_axis(layer, seen[0].ndim)
    return np.moveaxis(seen[0], axis, -1).reshape(-1, seen[0].shape[axis]).max(axis=0) <= 0


def _outgoing(record, by_name, name, units):
    """The kernels that read the units, with the order of their rows; `None` if one of the readers is of another kind.

    Rows are in the order of the units, repeated as a whole (`"last"`) or one by one, by this number of positions.
    """
    found, behind = [], consumers(record)
    rank = 1 + len(layers_by_name(record)[name]["shape"])
    axis = channel_axis(by_name[name], rank)
    queue = [(each, None) for each in behind.get(name, ())]
    if not queue:
        return None
    while queue:
        facts, order = queue.pop()
        layer = by_name.get(facts["name"])
        if type(layer) in _KERNELS and getattr(layer, "groups", 1) == 1 and facts["calls"] == 1:
            rows = layer.kernel.shape[-2]
            if rows % units or (rows != units and order is None) or not layer.trainable:
                return None
            found.append((layer.kernel, rows // units if order == "first" else "last"))
        elif any(word in facts["class"] for word in _PASSING) and behind.get(facts["name"]):
            if facts["class"] == "Flatten":
                order = _flat_order(layer, axis, rank)
                if order is None:
                    return None
            queue += [(each, order) for each in behind[facts["name"]]]
        else:
            return None
    return found


def _flat_order(flatten, axis, rank):
    """`"first"` or `"last"`: the place of the units' axis among the flattened axes; `None` if it is between others."""
    if rank > 2 and flatten.data_format == "channels_first":
        # The axis 1 becomes the last one.
        axis = rank - 1 if axis == 1 else axis - 1
    return {rank - 1: "last", 1: "first"}.get(axis)


def _reset(model, variable, index):
    """Sets entries of the optimizer's slots of `variable` to 0."""
    for slot in slots(model.optimizer, variable):
        value = np.array(ops.convert_to_numpy(slot))
        value[index] = 0
        slot.assign(value)
