"""The train step on JAX."""

import contextlib

import keras

from keras_lecture._backend.batches import taken
from keras_lecture._backend.state import assign, variables

# Keras's train step is a pure function of the model's state.
PURE_TRAIN_STEP = True
# The exceptions by which a train function reports the end of the data.
END_OF_DATA = (StopIteration,)


def train_step(model, step):
    def run(state, data):
        return step(state, data)

    return run


def repeatable(f):
    return f  # On JAX random numbers are functions of the seeds in the model's layers.


def execution(data, size):
    if size == 1 or keras.__version__.startswith("3.15."):
        batches = taken(data, size)
        return batches, iter(batches)
    # Keras 3.16 stacks the batches of an execution, or puts those that are left over into a list.
    stacked = next(data, [])
    if isinstance(stacked, list):
        batches = list(stacked)
    else:
        parts = range(keras.tree.flatten(stacked)[0].shape[0])
        batches = [keras.tree.map_structure(lambda x, i=i: None if x is None else x[i], stacked) for i in parts]
    return batches, iter([stacked] if batches else [])


def generators():
    return []


def set_generators(states):
    pass


def build(model, batches):
    pass  # Keras's `fit` has done it.


def shuffles_alike():
    return True  # By NumPy's global generator, whose state can be restored.


def build_first(model, data):
    pass  # Keras's `fit` has done it.


def only_if(condition, act):
    raise NotImplementedError("A step on JAX is a pure function of its state: use `Condition.choose`.")


def recover(model, state=None, data=None):
    """Restores the model's values after an exception, unless the interrupted step has already donated them.

    Keras 3.15 takes the values out of the model during an epoch.
    """
    if state is not None:
        if not any(value.is_deleted() for values in state for value in values):
            assign(variables(model), state)
    else:
        model.jax_state_sync()
    model._jax_state = None


def mean_over_ranks(model):
    return lambda tensors: tensors  # A step sees the whole batch, on however many devices.


def device_scope(model):
    return contextlib.nullcontext()


def global_batch(model, batch):
    return batch
