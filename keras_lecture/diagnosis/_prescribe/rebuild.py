"""A model built again from the configs of its layers, with the changes of a plan and the weights that stay."""

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture._core.copies import copy_adapted
from keras_lecture._core.weights import layers
from keras_lecture.diagnosis._prescribe.plan import Plan
from keras_lecture.diagnosis._prescribe.structure import is_graph


def rebuilt(model: keras.Model, plan: Plan) -> tuple[keras.Model, list[str]]:
    """The changed copy of a model, not compiled, and the layers whose weights were not finite."""
    copies = Copies(plan)
    new = copies.of(model)
    _train(copies)
    lost = [old.name for old, copy in copies.pairs if not is_graph(old) and not _carry(old, copy, plan)]
    return new, lost


class Copies:
    """The copy of each layer, made once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.pairs: list[tuple[Any, Any]] = []
        self._made: dict[int, Any] = {}

    def of(self, layer: Any) -> Any:
        """The copy of a layer, an operation or a model."""
        if id(layer) not in self._made:
            position = len(self.pairs)
            copy = self._duplicate(layer)
            self._made[id(layer)] = copy
            if isinstance(layer, keras.layers.Layer):
                # A model comes before its layers.
                self.pairs.insert(position, (layer, copy))
        return self._made[id(layer)]

    def _duplicate(self, layer):
        if isinstance(layer, keras.Sequential):
            return self._sequential(layer)
        if is_graph(layer):
            # `clone_model` would compile its result, from a config that functions of the user do not survive.
            with warnings.catch_warnings():
                # The names of the inputs, on which the given model has already commented.
                warnings.simplefilter("ignore", UserWarning)
                plain = keras.Model(layer.input, layer.output, name=layer.name)
                inputs = keras.tree.map_structure(_input, layer.input)
                functions = {"clone_function": self.of, "call_function": self._call}
                return keras.models.clone_model(plain, inputs, **functions)
        name = layer.name
        if name in self.plan.replaced:
            return self.plan.replaced[name]
        config = {**layer.get_config(), **self.plan.configs.get(name, {})}
        if isinstance(layer, keras.layers.Lambda):
            return _lambda(layer, config)
        return type(layer).from_config(config)

    def _sequential(self, model):
        parts = []
        for layer in model.layers:
            name = layer.name
            parts += self.plan.before.get(name, [])
            parts += [] if name in self.plan.removed else [self.of(layer)]
            parts += self.plan.behind.get(name, [])
        return keras.Sequential([*inputs_of(model), *parts], name=model.name)

    def _call(self, layer, *args, **kwargs):
        name = layer.name
        for new in self.plan.before.get(name, []):
            args = (new(args[0]), *args[1:])
        result = args[0] if name in self.plan.removed else layer(*args, **kwargs)
        for new in self.plan.behind.get(name, []):
            result = new(result)
        return result


def inputs_of(model: keras.Sequential) -> list[Any]:
    """The input of a Sequential model for batches of every size."""
    if not model.built:
        return []
    config = _source(model.inputs[0]).get_config()
    shape = (None, *config["batch_shape"][1:])
    return [keras.layers.InputLayer.from_config({**config, "batch_shape": shape}).output]


def _source(tensor):
    return tensor._keras_history.operation


def _input(tensor):
    """A new input with the name of the old one: `clone_model` would name it after the tensor."""
    return keras.layers.InputLayer.from_config(_source(tensor).get_config()).output


def _lambda(layer, config):
    """Functions go over as they are: Keras does not read its own config of a Python lambda."""
    kept = {"function": layer.function, "mask": layer.mask, "arguments": layer.arguments}
    if "output_shape" in config and callable(config["output_shape"]):
        kept["output_shape"] = config["output_shape"]
    elif isinstance(config.get("output_shape"), dict):
        kept["output_shape"] = None
    return keras.layers.Lambda(**{**config, **kept})


def _train(copies):
    """Freezes what was frozen, models before their layers, and trains again what the plan names."""
    thawed = copies.plan.trainable
    for old, copy in copies.pairs:
        if is_graph(old):
            # Setting it sets all layers inside, which come later in the list.
            copy.trainable = old.trainable or any(layer.name in thawed for layer in layers(old))
            continue
        for part, new in zip(layers(old), layers(copy), strict=False):
            new.trainable = part.trainable or old.name in thawed


def _carry(old, copy, plan):
    """Copies the weights that stay; whether all of them are finite."""
    if old.name in plan.fresh or old.name in plan.replaced or old.name in plan.removed:
        return True
    changed = plan.configs.get(old.name, {})
    pairs = [(old, copy)] if changed else list(zip(layers(old), layers(copy), strict=False))
    values = [[np.asarray(ops.convert_to_numpy(variable)) for variable in part.weights] for part, _ in pairs]
    if not all(np.isfinite(value).all() for group in values for value in group if value.dtype.kind == "f"):
        return False
    for (part, new), group in zip(pairs, values, strict=True):
        by_name = {variable.name: variable for variable in new.weights} if changed else None
        for index, (variable, value) in enumerate(zip(part.weights, group, strict=True)):
            target = by_name.get(variable.name) if changed else new.weights[index]
            if target is not None and tuple(target.shape) == value.shape and not _is_redrawn(variable.name, changed):
                target.assign(value)
        copy_adapted(new, part)
    return True


def _is_redrawn(name, changed):
    stem = name.removesuffix("_kernel") if name.endswith("_kernel") else name
    return any(f"{each}_initializer" in changed for each in (name, stem))
