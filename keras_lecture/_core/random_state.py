"""The state of every global random generator that training uses."""

import contextlib
import inspect
import random
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_lecture import _backend

# Keras 3.15 has no public name for its global seed generator.
_keras = inspect.getmodule(keras.random.SeedGenerator)


class RandomState(NamedTuple):
    """The states of the generators of Python, NumPy, Keras (`None` before its first use) and the framework."""

    python: Any
    numpy: Any
    keras: tuple[Any, np.ndarray] | None
    framework: list[Any]


def random_state() -> RandomState:
    """The present state."""
    generator = _keras.global_state.get_global_attribute(_keras.GLOBAL_SEED_GENERATOR)
    ours = None if generator is None else (generator, np.array(ops.convert_to_numpy(generator.state)))
    return RandomState(random.getstate(), np.random.get_state(legacy=False), ours, _backend.generators())


def set_random_state(state: RandomState):
    """Restores a state."""
    random.setstate(state.python)
    np.random.set_state(state.numpy)
    generator, value = state.keras or (None, None)
    _keras.global_state.set_global_attribute(_keras.GLOBAL_SEED_GENERATOR, generator)
    if generator is not None:
        generator.state.assign(value)
    _backend.set_generators(state.framework)


def as_arrays(state: RandomState) -> dict[str, Any]:
    """A state as plain numbers and arrays, for a file."""
    version, words, gauss = state.python
    return {
        "python": {"version": version, "words": np.array(words, "uint32"), "gauss": gauss},
        "numpy": state.numpy,
        "keras": None if state.keras is None else state.keras[1],
        "framework": [np.asarray(words) for words in state.framework],
    }


def from_arrays(saved: dict[str, Any]) -> RandomState:
    """A state from a file; a file from another framework may lack the states of this framework's generators."""
    python, ours = saved["python"], None
    if saved["keras"] is not None:
        # Functions that were traced with the existing generator keep using it.
        existing = random_state().keras
        generator = keras.random.SeedGenerator(0) if existing is None else existing[0]
        ours = generator, saved["keras"].astype(generator.state.dtype)
    python = (python["version"], tuple(map(int, python["words"])), python["gauss"])
    return RandomState(python, saved["numpy"], ours, saved["framework"])


@contextlib.contextmanager
def same_random_state():
    """Restores the random state after the block, also after an exception."""
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)
