"""Backends without gradients do not train."""

import contextlib

from keras_lecture._backend.batches import taken
from keras_lecture._backend.forward_only.autodiff import _refuse

PURE_TRAIN_STEP = False
# The exceptions by which a train function reports the end of the data.
END_OF_DATA = (StopIteration,)


def train_step(model, step):
    return _refuse


def repeatable(f):
    return f


def execution(data, size):
    batches = taken(data, size)
    return batches, batches


def generators():
    return []


def set_generators(states):
    pass


def build(model, batches):
    pass


def shuffles_alike():
    return True  # By NumPy's global generator, whose state can be restored.


def build_first(model, data):
    pass


def only_if(condition, act):
    if condition:
        act()


def recover(model, state=None, data=None):
    pass


def mean_over_ranks(model):
    return lambda tensors: tensors


def device_scope(model):
    return contextlib.nullcontext()


def global_batch(model, batch):
    return batch
