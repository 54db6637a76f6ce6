"""Kernels on PyTorch, which runs `keras.ops` one eager operation at a time."""

import functools

import torch

from keras_lecture._backend.acceleration import kernels
from keras_lecture._backend.torch.kernels import (
    activations,
    assignment,
    callbacks,
    kinks,
    layers,
    losses,
    optimizers,
    random_bits,
    searches,
    training,
)


def _outside_of_transforms(kernel):
    """The kernel, which declines inside `torch.func.vmap`, `grad`, `jvp`, …: these transform `keras.ops` alone."""

    @functools.wraps(kernel)
    def call(*args, **options):
        return None if torch._C._functorch.peek_interpreter_stack() is not None else kernel(*args, **options)

    return call


KERNELS = {
    name: _outside_of_transforms(kernel)
    for name, kernel in kernels(
        activations=[activations],
        _core=[assignment, kinks],
        callbacks=[callbacks],
        layers=[layers, random_bits],
        losses=[losses],
        optimizers=[optimizers, searches],
        _training=[training],
    ).items()
}
