"""The tensors at the calls of a model's layers in one pass, and zeros added to them that receive their gradients."""

import contextlib
import functools
import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_lecture._core.replacement import replaced
from keras_lecture._core.weights import layers
from keras_lecture.diagnosis._facts import calls, random_layers


class Site(NamedTuple):
    """An argument or an output of a call; `source` is the site at whose call an argument was the output."""

    position: int
    kind: str
    index: int
    shape: tuple[int, ...]
    dtype: str
    source: int | None


class Probe:
    """Collects the calls of the watched layers, and their float arguments and outputs, in the order of the pass.

    The gradient of a tensor is that of a zero added to it. An argument has its own zero beside that of the output which
    it is: the gradients tell which of several consumers is at fault.
    """

    def __init__(self, zeros: list[Any] | None = None) -> None:
        self.called: list[keras.layers.Layer] = []
        self.sites: list[Site] = []
        self.tensors: list[Any] = []
        self._zeros = None if zeros is None else iter(zeros)
        self._sources: dict[int, int] = {}
        # A tensor that is gone would leave its id to another one.
        self._alive: list[Any] = []

    def watching(self, watched: list[keras.layers.Layer]) -> contextlib.AbstractContextManager[None]:
        """Watches the calls in this block."""
        return replaced([(layer, "call", functools.partial(self._call, layer, layer.call)) for layer in watched])

    def outputs(self, structure: Any) -> list[int | None]:
        """For each float tensor of the model's outputs: the site whose tensor it is, or `None`."""
        return [self._sources.get(id(leaf)) for leaf in calls.tensors(structure) if calls.is_float(leaf)]

    def _call(self, layer, plain, *args, **kwargs):
        position = len(self.called)
        self.called.append(layer)
        args, kwargs = self._seen(position, "input", (args, kwargs))
        return self._seen(position, "output", plain(*args, **kwargs))

    def _seen(self, position, kind, structure):
        index = -1

        def leaf(tensor):
            nonlocal index
            if not ops.is_tensor(tensor) or (kind == "input" and not calls.is_float(tensor)):
                return tensor
            index += 1
            return self._add(tensor, position, kind, index)

        return keras.tree.map_structure(leaf, structure)

    def _add(self, tensor, position, kind, index):
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        source = self._sources.get(id(tensor)) if kind == "input" else None
        site = Site(position, kind, index, tuple(tensor.shape), dtype, source)
        if self._zeros is not None and calls.is_float(tensor):
            tensor = tensor + next(self._zeros)
        self.sites.append(site)
        self.tensors.append(tensor)
        self._alive.append(tensor)
        if kind == "output":
            self._sources[id(tensor)] = len(self.sites) - 1
        return tensor


@contextlib.contextmanager
def without_randomness(model: keras.Model) -> Iterator[None]:
    """Inside the block, dropout, noise and augmentation are inactive in training mode too, by their inference mode."""
    changes = []
    for layer in layers(model):
        for name in ("dropout", "recurrent_dropout"):
            if isinstance(getattr(layer, name, None), int | float) and getattr(layer, name):
                changes.append((layer, name, 0.0))
        if random_layers.kind(layer) and "rate" in vars(layer):
            changes.append((layer, "rate", 0.0))
        elif random_layers.kind(layer) and "training" in inspect.signature(layer.call).parameters:
            changes.append((layer, "call", functools.partial(_in_inference, layer.call)))
    with replaced(changes):
        yield


def _in_inference(plain, *args, **kwargs):
    return plain(*args, **{**kwargs, "training": False})
