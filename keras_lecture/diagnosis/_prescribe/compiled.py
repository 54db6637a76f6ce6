"""The arguments of `compile`, its losses and its optimizer, as objects that another model can be compiled with."""

from typing import Any

import keras

from keras_lecture._core.weights import layers
from keras_lecture._training.chain import chain
from keras_lecture.diagnosis._facts.losses import compiled_losses
from keras_lecture.diagnosis._prescribe.structure import Refusal


def arguments(model: keras.Model) -> dict[str, Any]:
    """The arguments that a model was compiled with."""
    given = {name: value for name, value in model._compile_config.config.items() if name != "self"}
    return {**given, "optimizer": model.optimizer if not isinstance(given["optimizer"], str) else given["optimizer"]}


def custom_objects(model: keras.Model) -> dict[str, Any]:
    """Classes and functions of the user's that configs name, so that they need not be registered."""
    found = {}
    values = [value for layer in layers(model) for value in (layer, *vars(layer).values())]
    values += keras.tree.flatten(list(model._compile_config.config.values()))
    values += [part for optimizer in chain(model.optimizer) for part in (optimizer, *vars(optimizer).values())]
    for value in values:
        own = value if callable(value) and hasattr(value, "__name__") else type(value)
        if not (getattr(own, "__module__", None) or "").startswith(("keras.", "keras_lecture.", "builtins")):
            found[own.__name__] = own
    return found


def copied(model: keras.Model, given: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The same arguments with a new optimizer and new metrics, because both have a state."""
    optimizer = given["optimizer"]
    if changes or not isinstance(optimizer, str):
        optimizer = _optimizer(model.optimizer if isinstance(optimizer, str) else optimizer, changes)
    metrics = {name: keras.tree.map_structure(_fresh, given.get(name)) for name in ("metrics", "weighted_metrics")}
    return {**given, **metrics, "optimizer": optimizer}


def _optimizer(optimizer, changes):
    config = optimizer.get_config()
    inner = config
    while isinstance(inner.get("inner_optimizer"), dict):
        inner = inner["inner_optimizer"]["config"]
    inner.update({name: value for name, value in changes.items() if name != "class"})
    if "class" in changes:
        return changes["class"].from_config({name: value for name, value in changes.items() if name != "class"})
    return type(optimizer).from_config(config)


def _fresh(metric):
    return type(metric).from_config(metric.get_config()) if isinstance(metric, keras.metrics.Metric) else metric


def bind(model: keras.Model) -> bool:
    """Binds optimizers that evaluate the loss of their model; whether there is one."""
    bound = [optimizer for optimizer in chain(model.optimizer) if hasattr(optimizer, "bind")]
    for optimizer in bound:
        optimizer.bind(model)
    return bool(bound)


class Losses:
    """The compiled loss of each output."""

    def __init__(self, model: keras.Model, given: dict[str, Any]) -> None:
        self.given, self.names = given, list(getattr(model, "output_names", [""]))
        # A dictionary of outputs is matched by its keys, in Keras's order.
        outputs = None if isinstance(model, keras.Sequential) else model.output
        if isinstance(outputs, dict):
            self.names = [next(key for key, tensor in outputs.items() if tensor is each) for each in model.outputs]

    def _key(self, index):
        return self.names[index] if isinstance(self.given["loss"], dict) else index

    def facts(self, index: int) -> dict[str, Any]:
        """Class, family and `from_logits` of an output's loss, as the rules see them."""
        return compiled_losses(_Compiled(self[index]))[0]

    def __getitem__(self, index: int) -> Any:
        loss = self.given["loss"]
        if isinstance(loss, dict | list | tuple):
            try:
                loss = loss[self._key(index)]
            except (KeyError, IndexError):
                loss = None
        if loss is None:
            raise Refusal("The output has no loss.")
        return loss

    def set(self, index: int, loss: Any) -> None:
        """Gives an output another loss."""
        present = self.given["loss"]
        if isinstance(present, dict):
            self.given["loss"] = {**present, self._key(index): loss}
        elif isinstance(present, list | tuple):
            self.given["loss"] = [loss if each == index else old for each, old in enumerate(present)]
        elif len(self.names) > 1:
            raise Refusal("One loss serves all outputs: give each its own.")
        else:
            self.given["loss"] = loss


class _Compiled:
    """A model with one loss."""

    def __init__(self, loss):
        self.loss = loss
