"""The quantities of a run's passes and steps in the order in which they are compared."""

from collections.abc import Iterator
from typing import Any

import keras

from keras_lecture._core.weights import layers
from keras_lecture.diagnosis._divergence.passes import Results, is_seed
from keras_lecture.diagnosis._divergence.quantities import Quantity

# Models whose `call` does nothing but call their layers and operations.
_PLAIN = ("Functional", "Sequential")


def owners(model: keras.Model) -> dict[int, keras.layers.Layer]:
    """The innermost layer of each variable, by id."""
    return {id(variable): layer for layer in layers(model) for variable in layer.variables}


def _numbers(model):
    """The number of each variable, by id; frozen layers do not change it."""
    return {id(variable): number for number, variable in enumerate(v for v in model.variables if not is_seed(v))}


def listed(model: keras.Model, own: Results, double: Results | None) -> list[Quantity]:
    """Forward in inference and in training mode, statistics, gradients from the loss backward, the loss."""
    lists = _Lists(model, own, double)
    found = [each for mode in ("inference", "training") for each in lists.forward(mode)]
    if own.backward is not None:
        found += lists.backward()
    return found


def listed_steps(model: keras.Model, own: Any, double: Any) -> list[Quantity]:
    """The updates of the weights, then the optimizer's variables."""
    owner, found, numbers = owners(model), [], _numbers(model)
    for index, (variable, update) in enumerate(zip(model.trainable_variables, own[0], strict=True)):
        layer = owner[id(variable)]
        quantity = Quantity(
            "step", "", "update", 0, numbers[id(variable)], layer.name, type(layer).__name__, "", variable.path
        )
        quantity.dtype = keras.backend.standardize_dtype(variable.dtype)
        quantity.fill(update, double[0][index] if double else None)
        found.append(quantity)
    for index, (path, value) in enumerate(own[1]):
        kind = type(model.optimizer).__name__
        quantity = Quantity("step", "", "slot", 0, index, "optimizer", kind, "", path)
        quantity.fill(value, double[1][index][1] if double else None)
        found.append(quantity)
    return found


class _Lists:
    def __init__(self, model, own, double):
        self._model, self._own, self._double = model, own, double
        self._within = {}
        for outer in sorted(layers(model), key=lambda each: -len(layers(each))):
            for layer in layers(outer)[1:]:
                self._within[id(layer)] = outer
        called = own.forward["training"].called
        self._first = {}
        for position, layer in reversed(list(enumerate(called))):
            while layer is not None:
                self._first[id(layer)] = position
                layer = self._within.get(id(layer))
        self._names = [f"{layer.name}{_again(called, position)}" for position, layer in enumerate(called)]

    def forward(self, mode: str) -> Iterator[Quantity]:
        own = self._own.forward[mode]
        double = self._double.forward[mode] if self._double else None
        random = self._own.random[mode]
        exact = {} if double is None else _by_key(double.sites, double.values)
        # A cast to the model's own precision hides that an argument is the output of a layer.
        sources = {_key(site): site.source for site in (double or own).sites}
        for site, value in zip(own.sites, own.values, strict=True):
            if site.kind == "output" or sources.get(_key(site)) is None:
                quantity = self._at(own, site, "forward", mode, site.kind)
                quantity.random = random is not None and site.position >= random
                quantity.fill(value, exact.get(_key(site)))
                yield quantity
        if mode == "training":
            yield from self._states(own, double, random is not None)

    def _states(self, own, double, random):
        owner, numbers = owners(self._model), _numbers(self._model)
        for index, variable in enumerate(self._model.non_trainable_variables):
            if is_seed(variable):
                continue
            layer = owner[id(variable)]
            position = self._first.get(id(layer), 0)
            number = numbers[id(variable)]
            quantity = self._new("forward", "training", "state", position, number, layer, variable.path)
            quantity.random = random
            quantity.fill(own.state[index], double.state[index] if double else None)
            yield quantity

    def backward(self) -> list[Quantity]:
        own, found = self._own, []
        forward, back = own.forward["training"], own.backward
        double = self._double if self._double and self._double.backward is not None else None
        exact = _by_key(double.forward["training"].sites, double.backward.signals) if double else {}
        outputs = set(forward.outputs)
        for number, (site, value) in enumerate(zip(forward.sites, back.signals, strict=True)):
            if value is not None:
                quantity = self._at(forward, site, "backward", "training", f"{site.kind} gradient")
                # Behind the outputs of the model is the loss alone.
                is_last = site.position == len(forward.called) - 1
                quantity.within = "loss" if number in outputs or is_last else quantity.within
                quantity.fill(value, exact.get(_key(site)))
                found.append(quantity)
        owner, numbers = owners(self._model), _numbers(self._model)
        for index, variable in enumerate(self._model.trainable_variables):
            layer = owner[id(variable)]
            position, number = self._first.get(id(layer), 0), numbers[id(variable)]
            quantity = self._new("backward", "training", "gradient", position, number, layer, variable.path)
            quantity.fill(back.weights[index], double.backward.weights[index] if double else None)
            found.append(quantity)
        order = ("output gradient", "gradient", "input gradient")
        found.sort(key=lambda each: (-each.position, order.index(each.kind), each.index))
        loss = Quantity("backward", "training", "loss", 0, 0, "loss", "", "", "loss")
        loss.fill(back.loss, double.backward.loss if double else None)
        return [*found, loss]

    def _at(self, forward, site, stage, mode, kind):
        layer = forward.called[site.position]
        return self._new(stage, mode, kind, site.position, site.index, layer, "", site.dtype)

    def _new(self, stage, mode, kind, position, index, layer, name, dtype=""):
        outer = self._within.get(id(layer))
        within = "" if outer is None or type(outer).__name__ in _PLAIN else outer.name
        shown = self._names[position] if kind.startswith(("input", "output")) else layer.name
        return Quantity(stage, mode, kind, position, index, shown, type(layer).__name__, within, name, dtype=dtype)


def _key(site):
    return site.position, site.kind, site.index


def _by_key(sites, values):
    return {_key(site): value for site, value in zip(sites, values, strict=True)}


def _again(called, position):
    """`", call 2"` for a layer that is called several times."""
    layer = called[position]
    if sum(each is layer for each in called) == 1:
        return ""
    return f", call {1 + sum(each is layer for each in called[:position])}"
