"""Base of layers that draw random numbers."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_lecture._core.weights import layers


class DrawnOnce(keras.layers.Layer):
    """A layer that `keras.RematScope` does not compute again for its gradient if it or a layer in it draws numbers.

    It would draw other ones. Keras's own layers do, and get a wrong gradient.
    """

    def rematerialized_call(self, layer_call: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        draws = any(hasattr(part, "seed_generator") for part in layers(self))
        return layer_call if draws else super().rematerialized_call(layer_call, *args, **kwargs)


class SeededLayer(DrawnOnce):
    """A layer whose random state is saved with the model and restored on loading; Keras saves only weights.

    A subclass takes a `seed` and calls `self.seed_generator.next()` once per call.
    """

    def __init__(self, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator: keras.random.SeedGenerator = keras.random.SeedGenerator(seed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        # The backends use different integer dtypes for the state; the file uses one.
        store["seed_state"] = keras.ops.convert_to_numpy(self.seed_generator.state).astype("int64")

    def load_own_variables(self, store: Any) -> None:
        names = list(store.keys())
        if "seed_state" in names:
            self.seed_generator.state.assign(np.asarray(store["seed_state"]))
        super().load_own_variables({name: store[name] for name in names if name != "seed_state"})
