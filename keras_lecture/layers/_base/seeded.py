"""The base of layers that draw random numbers."""

import keras
import numpy as np


class SeededLayer(keras.Layer):
    """A layer whose random stream is saved with the model and goes on after loading; Keras saves weights alone.

    A subclass takes a `seed` and draws `self.seed_generator.next()` once per call.
    """

    def __init__(self, *, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}

    def save_own_variables(self, store):
        super().save_own_variables(store)
        # The backends hold the state in different integer types; the file has one.
        store["seed_state"] = keras.ops.convert_to_numpy(self.seed_generator.state).astype("int64")

    def load_own_variables(self, store):
        names = list(store.keys())
        if "seed_state" in names:
            self.seed_generator.state.assign(np.asarray(store["seed_state"]))
        super().load_own_variables({name: store[name] for name in names if name != "seed_state"})
