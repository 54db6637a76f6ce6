"""Sizes that are known at run time only, refused as those are that a layer knows when it is built."""

from keras_lecture.backend import accelerate


@accelerate
def refuse(condition, message: str):
    """Raises `message` where `condition` holds; a graph of TensorFlow does so when it runs, but not one of XLA's."""
    if condition is True:
        raise ValueError(message)
