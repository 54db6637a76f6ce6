"""Kernels on PyTorch, which runs `keras.ops` one eager operation at a time."""

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

KERNELS = kernels(
    activations=[activations],
    _core=[assignment, kinks],
    callbacks=[callbacks],
    layers=[layers, random_bits],
    losses=[losses],
    optimizers=[optimizers, searches],
    _training=[training],
)
