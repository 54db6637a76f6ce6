"""The train step on PyTorch."""

import contextlib
import functools

import torch
import torch.distributed

from keras_lecture._backend.batches import taken
from keras_lecture._backend.state import variables

# Keras's train step changes variables in place.
PURE_TRAIN_STEP = False
# The exceptions by which a train function reports the end of the data.
END_OF_DATA = (StopIteration,)


def train_step(model, step):
    def run(data):
        # `step` computes gradients by `value_and_grad`; nothing else needs a graph.
        with torch.no_grad():
            before = tuple([v.value for v in group] for group in variables(model))
            logs, state = step(before, data)
            _write(before, state)
        return logs

    return run


def _write(before, state):
    """Copies the new state into the variables' tensors in one call; `Variable.assign` would copy one by one.

    `before` holds these tensors, which have the variables' dtypes; a tensor that the step updated in place is skipped.
    """
    pairs = [
        (old, new)
        for olds, news in zip(before, state, strict=True)
        for old, new in zip(olds, news, strict=True)
        if old.data_ptr() != new.data_ptr()
    ]
    if pairs:
        torch._foreach_copy_(*map(list, zip(*pairs, strict=True)))


def repeatable(f):
    """`f` with the same random numbers in every call.

    Keras 3.15 draws the mask of a dropout without a seed from PyTorch's global generators, not from the layer's state.
    Every call after the first starts from the generators' state at the first, and restores their present state.
    """
    start = []

    @functools.wraps(f)
    def run(*args):
        now = generators()
        if not start:
            start.append(now)
            return f(*args)
        if all(map(torch.equal, now, start[0])):
            return f(*args)
        set_generators(start[0])
        try:
            return f(*args)
        finally:
            set_generators(now)

    return run


def execution(data, size):
    batches = taken(data, size)
    return batches, batches


def generators():
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else ())]


def set_generators(states):
    # They may be arrays from a file, written by another backend (then none) or on a machine with other devices.
    cpu, *devices = map(torch.as_tensor, states or generators())
    torch.set_rng_state(cpu)
    for device, state in enumerate(devices[: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(state, device)


def build(model, batches):
    pass  # Keras's `fit` has done it.


def shuffles_alike():
    return True  # By a global generator whose state can be restored.


def build_first(model, data):
    pass  # Keras's `fit` has done it.


def only_if(condition, act):
    if condition:
        act()


def recover(model, state=None, data=None):
    pass  # The variables keep their values.


def mean_over_ranks(model):
    """The function that averages tensors over the processes that train `model` together.

    Keras 3.16 then wraps the model in `DistributedDataParallel`, which averages the gradients of Keras's own step.
    """
    wrapper = getattr(model, "ddp_model", None)
    if wrapper is None:
        return lambda tensors: tensors

    def mean(tensors):
        means = []
        for tensor in tensors:
            total = tensor.detach().clone()
            torch.distributed.all_reduce(total, group=wrapper.process_group)
            means.append(total / torch.distributed.get_world_size(wrapper.process_group))
        return means

    return mean


def device_scope(model):
    return contextlib.nullcontext()


def global_batch(model, batch):
    return batch
