"""One uncompiled pass of a model that leaves it untouched and records variables and calls of layers."""

import contextlib
import dataclasses
import random
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lecture._core.weights import layers
from keras_lecture.diagnosis._facts.batches import copied
from keras_lecture.diagnosis._facts.calls import computing_once


class RecordingScope(keras.StatelessScope):
    """A stateless scope that remembers the variables which were read and which were assigned in it."""

    def __init__(self) -> None:
        super().__init__(collect_losses=True)
        self.read: dict[int, keras.Variable] = {}
        self.assigned: dict[int, keras.Variable] = {}

    def get_current_value(self, variable: keras.Variable) -> Any:
        self.read[id(variable)] = variable
        return super().get_current_value(variable)

    def add_update(self, update: tuple[keras.Variable, Any]) -> None:
        self.assigned[id(update[0])] = update[0]
        super().add_update(update)

    def changed(self, variable: keras.Variable) -> bool:
        """Whether the value of `variable` in the scope differs from the value outside."""
        if id(variable) not in self.assigned:
            return False
        new = array(super().get_current_value(variable))
        return not same(new, array(_outside(variable)))


@dataclasses.dataclass(frozen=True)
class Call:
    """A call of a layer with concrete tensors.

    `training` is the mode that the layer ran in; `forced` says that the caller of this very layer chose it, by
    `training=…`, against the mode of the pass.
    """

    layer: keras.layers.Layer
    args: tuple
    kwargs: dict[str, Any]
    outputs: Any
    training: bool
    forced: bool


@dataclasses.dataclass
class RecordedPass:
    """The outputs of a pass, the modes in which each layer ran, and the first recorded call of each chosen layer."""

    outputs: Any
    calls: list[Call]
    modes: dict[int, set[bool]]


def run(
    model: keras.Model, x: Any, scope: RecordingScope, *, training: bool, keep: Callable[[Any], bool] = lambda _: False
) -> RecordedPass:
    """Calls `model` on `x` in `scope`; the calls of layers for which `keep(layer)` is true are recorded."""
    calls: list[Call] = []
    modes: dict[int, set[bool]] = {}
    with computing_once(model), _watching(training, keep, calls, modes), scope:
        outputs = model(copied(x), training=training)
    return RecordedPass(outputs, calls, modes)


@contextlib.contextmanager
def _watching(training, keep, calls, modes) -> Iterator[None]:
    """Replaces `Layer.__call__` in the block: layers that Keras does not track are seen as well."""
    owner = keras.layers.Layer
    plain, stack, seen = owner.__call__, [training], set()

    def call(layer, *args, **kwargs):
        given = kwargs.get("training")
        mode = stack[-1] if given is None else bool(given)
        forced = mode != stack[-1]
        modes.setdefault(id(layer), set()).add(mode)
        stack.append(mode)
        try:
            outputs = plain(layer, *args, **kwargs)
        finally:
            stack.pop()
        if id(layer) not in seen and keep(layer) and is_concrete((args, kwargs, outputs)):
            seen.add(id(layer))
            calls.append(Call(layer, args, kwargs, outputs, mode, forced))
        return outputs

    owner.__call__ = call
    try:
        yield
    finally:
        owner.__call__ = plain


def is_concrete(structure: Any) -> bool:
    """Whether all tensors have values; those traced in a loop, as in a recurrent cell, have none."""
    try:
        for leaf in keras.tree.flatten(structure):
            if ops.is_tensor(leaf):
                array(leaf)
    except Exception:
        return False
    return True


def array(tensor: Any) -> np.ndarray:
    """The values of a tensor as NumPy array, float64 for every float type."""
    values = np.asarray(ops.convert_to_numpy(ops.stop_gradient(ops.convert_to_tensor(tensor))))
    return values if values.dtype.kind in "iubSOU" else values.astype("float64")


def arrays(structure: Any) -> list[np.ndarray]:
    """The values of all tensors in a nested structure."""
    return [array(leaf) for leaf in keras.tree.flatten(structure) if ops.is_tensor(leaf)]


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays have the same shape and values; NaN equals NaN."""
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f" and b.dtype.kind == "f"))


def same_outputs(a: Any, b: Any) -> bool:
    """Whether two structures of tensors have the same values."""
    first, second = arrays(a), arrays(b)
    return len(first) == len(second) and all(map(same, first, second))


def close_outputs(a: Any, b: Any) -> bool:
    """The same up to rounding: kernels of accelerators may add in another order from call to call."""
    first, second = arrays(a), arrays(b)
    types = [leaf.dtype for leaf in keras.tree.flatten(a) if ops.is_tensor(leaf)]
    return len(first) == len(second) and all(map(_close, first, second, types))


def _close(a, b, dtype):
    if same(a, b) or a.shape != b.shape or a.dtype.kind != "f":
        return same(a, b)
    finite = np.isfinite(a) & np.isfinite(b)
    if not same(np.where(finite, 0.0, a), np.where(finite, 0.0, b)):
        return False
    scale = np.max(np.abs(a[finite]), initial=0.0)
    return bool(np.max(np.abs(a - b)[finite], initial=0.0) <= epsilon(dtype) ** 0.5 * scale)


def epsilon(dtype: Any) -> float:
    """The relative distance of neighbors in a float type."""
    digits = {"bfloat16": 7, "float16": 10, "float32": 23, "float64": 52}
    return 2.0 ** -digits.get(keras.backend.standardize_dtype(dtype), 23)


def host_random_state(model: keras.Model) -> list[Any]:
    """The states of the random generators of Python and NumPy, global ones and those that layers hold."""
    found = global_random_state()
    for layer in layers(model):
        own = [value for value in vars(layer).values() if isinstance(value, _HOST_GENERATORS)]
        found.extend(value.getstate() if isinstance(value, random.Random) else _state(value) for value in own)
    return found


def global_random_state() -> list[Any]:
    """The states of the global random generators of Python and NumPy."""
    return [random.getstate(), _state(np.random)]


_HOST_GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)


def _state(generator):
    # The module `np.random` has the interface of a `RandomState`.
    state = generator.bit_generator.state if isinstance(generator, np.random.Generator) else generator.get_state()
    return repr(keras.tree.map_structure(lambda leaf: leaf.tobytes() if isinstance(leaf, np.ndarray) else leaf, state))


def _outside(variable):
    """The value outside of every stateless scope."""
    with keras.StatelessScope():
        return variable.value
