"""Backends without gradients do not train."""

from keras_lecture.backend.forward_only.autodiff import _refuse


def train_step(model, step):
    return _refuse


def repeatable(f):
    return f


def generators():
    return []


def set_generators(states):
    pass


def build(model, batches):
    pass


def shuffles_alike():
    return True  # From NumPy's global generator, whose state can be put back.
