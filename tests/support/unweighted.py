"""Builds networks without allocating their weights, which would take up to half a gigabyte."""

import contextlib

import keras
from keras.src.backend.common import global_state


@contextlib.contextmanager
def unweighted():
    """In a stateless scope Keras registers new variables and initializes them on exit.

    Emptying this list skips the initialization: only shapes, names and configs remain.
    """
    with keras.StatelessScope():
        yield
        global_state.set_global_attribute("uninitialized_variables", [])
