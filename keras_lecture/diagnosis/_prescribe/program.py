"""A model as a program: Keras code that builds and compiles a model with the same config."""

import inspect
import keyword
import re
from typing import Any

import keras

from keras_lecture._training.chain import chain
from keras_lecture.diagnosis._prescribe.code import call, code
from keras_lecture.diagnosis._prescribe.rebuild import inputs_of
from keras_lecture.diagnosis._prescribe.structure import is_graph, nodes


def program(model: keras.Model, arguments: dict[str, Any], adapted: dict[str, str]) -> str:
    """The code of a model; `adapted` are layers with statistics of the data, and the code that names the data.

    Functions and classes of the user stand there by their names.
    """
    writer = _Writer(adapted)
    writer.model(model, "model")
    return "\n".join([*writer.lines, *_compile(model, arguments)])


_WRITTEN = (("training", True), ("mask", True))


class _Writer:
    """Lines of a program, and the variables in it."""

    def __init__(self, adapted: dict[str, str]) -> None:
        self.adapted, self.lines = adapted, []
        self._variables: dict[int, str] = {}
        # Objects whose identity is a key must live as long as the key.
        self._held: list[Any] = []
        self._used = {"keras", "keras_lecture", "model", "x", *keyword.kwlist}

    def model(self, model: keras.Model, variable: str) -> None:
        """Writes the statements that build a model."""
        if isinstance(model, keras.Sequential):
            parts = [self._input(tensor) for tensor in inputs_of(model)]
            parts += [self._layer(layer) for layer in model.layers]
            body = [f"    {part}," for part in parts]
            self.lines += [f"{variable} = keras.Sequential([", *body, f"], {_options(model)})"]
            return
        calls = nodes(model)
        for node in calls:
            self._node(node, sum(other.operation is node.operation for other in calls) > 1)
        ends = [self._tensors(structure) for structure in (model.input, model.output)]
        self.lines.append(f"{variable} = keras.Model({', '.join(ends)}, {_options(model)})")

    def _node(self, node, is_shared):
        operation, results = node.operation, node.output_tensors
        if not node.input_tensors:
            self._hold(results[0], operation.name)
            self.lines.append(f"{self._variables[id(results[0])]} = {self._input(results[0])}")
            return
        arguments = [self._tensors(value) for value in node.arguments.args]
        # Keras writes these defaults into the graph, and replaces them in each call of the model.
        given = {k: v for k, v in node.arguments.kwargs.items() if (k, v is None or v is False) not in _WRITTEN}
        arguments += [f"{name}={self._tensors(value)}" for name, value in given.items()]
        if isinstance(operation, keras.layers.Layer):
            text = f"{self._layer(operation, is_shared)}({', '.join(arguments)})"
        else:
            text = _operation(operation, arguments)
        variable = self._free(operation.name)
        self.lines.append(f"{variable} = {text}")
        for index, tensor in enumerate(results):
            self._held.append(tensor)
            self._variables[id(tensor)] = variable if len(results) == 1 else f"{variable}[{index}]"

    def _layer(self, layer, is_shared=False):
        """The code of a layer; a variable for models, for adapted layers and for shared ones."""
        if id(layer) in self._variables:
            return self._variables[id(layer)]
        if is_graph(layer) or layer.name in self.adapted or is_shared:
            variable = self._free(f"{layer.name}_layer" if is_shared else layer.name)
            self._held.append(layer)
            if is_graph(layer):
                self.model(layer, variable)
            else:
                self.lines.append(f"{variable} = {call(layer, ('name',))}")
            if layer.name in self.adapted:
                self.lines.append(f"{variable}.adapt({self.adapted[layer.name]})")
            self._variables[id(layer)] = variable
            return variable
        return call(layer, ("name",))

    def _input(self, tensor):
        dtype = "" if tensor.dtype == keras.config.floatx() else f", dtype={code(tensor.dtype)}"
        name = tensor._keras_history.operation.name
        return f"keras.Input({code(tuple(tensor.shape[1:]))}{dtype}, name={code(name)})"

    def _hold(self, tensor, name):
        self._held.append(tensor)
        self._variables[id(tensor)] = self._free(name)

    def _free(self, name):
        plain = re.sub(r"\W", "_", name)
        plain = f"layer_{plain}" if plain[:1].isdigit() else plain
        number, variable = 2, plain
        while variable in self._used:
            number, variable = number + 1, f"{plain}_{number}"
        self._used.add(variable)
        return variable

    def _tensors(self, structure):
        if isinstance(structure, keras.KerasTensor):
            return self._variables[id(structure)]
        if isinstance(structure, dict):
            entries = (f"{code(key)}: {self._tensors(value)}" for key, value in structure.items())
            return "{" + ", ".join(entries) + "}"
        if isinstance(structure, list | tuple) and type(structure) in (list, tuple):
            inner = ", ".join(map(self._tensors, structure))
            if isinstance(structure, list):
                return f"[{inner}]"
            return f"({inner}{',' if len(structure) == 1 else ''})"
        return repr(structure) if isinstance(structure, slice | type(Ellipsis)) else code(structure)


def _options(model):
    return f"name={code(model.name)}" + ("" if model.trainable else ", trainable=False")


def _operation(operation, arguments):
    """The call of a function of `keras.ops` whose arguments are partly kept in the operation."""
    name = type(operation).__name__
    if name == "GetItem":
        return f"{arguments[0]}[{arguments[1]}]"
    function = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    signature = inspect.signature(type(operation).__init__).parameters
    kept = [
        f"{each}={code(getattr(operation, each))}"
        for each in list(signature)[1:]
        if each != "name" and hasattr(operation, each) and getattr(operation, each) != signature[each].default
    ]
    return f"keras.ops.{function}({', '.join([*arguments, *kept])})"


def _compile(model, arguments):
    defaults = {name: each.default for name, each in inspect.signature(keras.Model.compile).parameters.items()}
    given = {name: value for name, value in arguments.items() if name in ("optimizer", "loss")}
    given |= {name: value for name, value in arguments.items() if value is not None and value != defaults.get(name)}
    # Keras has replaced "auto" by its own choice, which depends on the backend and the device.
    given.pop("jit_compile", None)
    lines = ["model.compile(", *(f"    {name}={code(value)}," for name, value in given.items()), ")"]
    if any(hasattr(optimizer, "bind") for optimizer in chain(model.optimizer)):
        lines.append("model.optimizer.bind(model)")
    return lines
