"""Building nets without making their weights: the largest here would take half a gigabyte."""

import contextlib

import keras
from keras.src.backend.common import global_state


@contextlib.contextmanager
def unweighted():
    """Inside a stateless scope Keras writes down what a variable will be, and draws it on leaving.

    Forgetting what was written down leaves nothing to draw: shapes, names and configurations are all there is.
    """
    with keras.StatelessScope():
        yield
        global_state.set_global_attribute("uninitialized_variables", [])
