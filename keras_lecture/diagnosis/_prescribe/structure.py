"""The layers of a Sequential or functional model with the layers before and behind them, at any depth of nesting."""

from typing import Any

import keras

from keras_lecture._core.weights import layers, role

# They change neither the values nor their scale.
RESHAPING = (keras.layers.Flatten, keras.layers.Reshape, keras.layers.Permute, keras.layers.Identity)


class Refusal(Exception):
    """A change that cannot be made right; the message says why."""


def is_graph(model: Any) -> bool:
    """Whether Keras itself runs the model as a list or a graph of layers: no class of the user's."""
    return isinstance(model, keras.Model) and type(model).__module__.startswith("keras.")


def nodes(model: keras.Model) -> list[Any]:
    """The calls in a functional model's graph, from the inputs to the outputs."""
    depths = sorted(model._nodes_by_depth, reverse=True)
    return [node for depth in depths for node in model._nodes_by_depth[depth]]


def has_kernel(layer: keras.layers.Layer) -> bool:
    """Whether the layer, or one inside of it, has a kernel."""
    return any(role(variable.name, variable.shape) == "kernel" for variable in layer.weights)


class Structure:
    """Which layers a model has, who owns them, and how they are connected."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        # Every layer that a Sequential or functional model calls, without the inputs, in order.
        self.every: list[keras.layers.Layer] = []
        self._before: dict[int, list[Any]] = {}
        self._behind: dict[int, list[Any]] = {}
        self._calls: dict[int, int] = {}
        self._owners: dict[int, keras.Model] = {}
        self._walk(model)

    def _walk(self, model):
        if isinstance(model, keras.Sequential):
            pairs = list(zip([None, *model.layers], model.layers, strict=False))
        else:
            pairs = [
                (tensor._keras_history.operation, node.operation)
                for node in nodes(model)
                for tensor in node.input_tensors
            ]
            for node in nodes(model):
                self._calls[id(node.operation)] = self._calls.get(id(node.operation), 0) + 1
        for source, target in pairs:
            if isinstance(source, keras.layers.InputLayer):
                source = None
            self._before.setdefault(id(target), []).append(source)
            if source is not None:
                self._behind.setdefault(id(source), []).append(target)
        for layer in model.layers:
            if isinstance(layer, keras.layers.InputLayer) or id(layer) in self._owners:
                continue
            self._owners[id(layer)] = model
            self.every.append(layer)
            if is_graph(layer):
                self._walk(layer)

    def find(self, name: str | None) -> keras.layers.Layer:
        """The layer of this name; a refusal if there is none that can be exchanged."""
        if name is None:
            raise Refusal("The finding names no layer.")
        found = [layer for layer in self.every if layer.name == name]
        if found:
            return self.only(found[0])
        outer = [layer.name for layer in self.every if any(part.name == name for part in layers(layer)[1:])]
        raise Refusal(f"{name} is built by {outer[0]}." if outer else f"The model has no layer named {name}.")

    def only(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        """The layer, if no other layer has its name."""
        if sum(other.name == layer.name for other in self.every) > 1:
            raise Refusal(f"Several layers are named {layer.name}.")
        return layer

    def before(self, layer: Any) -> list[Any]:
        """The layers and operations that a layer reads; `None` for an input of its model."""
        return self._before.get(id(layer), [])

    def behind(self, layer: Any) -> list[Any]:
        """The layers and operations that read a layer."""
        return self._behind.get(id(layer), [])

    def calls(self, layer: keras.layers.Layer) -> int:
        """How often its model calls the layer."""
        return self._calls.get(id(layer), 1)

    def owner(self, layer: keras.layers.Layer) -> keras.Model:
        """The model that calls the layer."""
        return self._owners[id(layer)]

    def ends(self, model: keras.Model | None = None) -> list[Any]:
        """The innermost layer or operation behind each output."""
        model = model or self.model
        if isinstance(model, keras.Sequential):
            last = [model.layers[-1]]
        else:
            last = [tensor._keras_history.operation for tensor in model.outputs]
        return [end for layer in last for end in (self.ends(layer) if is_graph(layer) else [layer])]

    def head(self, end: Any) -> keras.layers.Layer:
        """The last layer with a kernel in front of an output."""
        layer = end
        while layer is not None and not (isinstance(layer, keras.layers.Layer) and has_kernel(layer)):
            sources = self.before(layer)
            if len(sources) != 1:
                raise Refusal(f"{getattr(end, 'name', 'The output')} joins several layers.")
            layer = self.ends(sources[0])[0] if is_graph(sources[0]) else sources[0]
        if layer is None:
            raise Refusal(f"There is no layer with a kernel in front of {end.name}.")
        return layer

    def heads(self) -> list[keras.layers.Layer]:
        """The last layers with kernels, as far as they are known."""
        found = []
        for end in self.ends():
            try:
                found.append(self.head(end))
            except Refusal:
                continue
        return found

    def hidden(self) -> list[keras.layers.Layer]:
        """The layers with kernels that are neither models nor the last ones."""
        heads = {id(layer) for layer in self.heads()}
        return [layer for layer in self.every if not is_graph(layer) and has_kernel(layer) and id(layer) not in heads]
