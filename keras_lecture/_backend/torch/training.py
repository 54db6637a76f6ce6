"""The train step on PyTorch."""

import functools

import torch
import torch.distributed

from keras_lecture._backend.state import variables

# Keras's train step changes variables in place here.
PURE_TRAIN_STEP = False
# What a train function raises where its data end.
END_OF_DATA = (StopIteration,)


def train_step(model, step):
    def run(data):
        # Gradients are taken inside `step` by `value_and_grad`; nothing else needs a graph.
        with torch.no_grad():
            before = tuple([v.value for v in group] for group in variables(model))
            logs, state = step(before, data)
            _write(before, state)
        return logs

    return run


def _write(before, state):
    """Into the variables' tensors, all at once and past what the step has written in place: Keras assigns one by one.

    They are the ones from before the step, whose types are the variables'.
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
    """Keras 3.15 draws the masks of a dropout without a seed from PyTorch's global generators, past the layer's state.

    Every call but the first starts where the first did, and leaves the generators as it found them. Where the first
    has drawn nothing there is nothing to repeat.
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


def generators():
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else ())]


def set_generators(states):
    # They may be arrays of a file, from another backend (none) or from a machine with other devices.
    cpu, *devices = map(torch.as_tensor, states or generators())
    torch.set_rng_state(cpu)
    for device, state in enumerate(devices[: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(state, device)


def build(model, batches):
    pass  # Keras's `fit` has done it.


def shuffles_alike():
    return True  # From a global generator whose state can be put back.


def build_first(model, data):
    pass  # Keras's `fit` has done it.


def only_if(condition, act):
    if condition:
        act()


def recover(model, state=None, data=None):
    pass  # The values are in the variables all the time.


def mean_over_ranks(model):
    """The function that replaces tensors by their means over the processes that train `model` together.

    Keras 3.16 wraps the model in `DistributedDataParallel` then, which does this for the gradients of its own step.
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
