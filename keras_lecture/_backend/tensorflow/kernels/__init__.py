"""Kernels on TensorFlow."""

from keras_lecture._backend.acceleration import kernels
from keras_lecture._backend.tensorflow.kernels import (
    activations,
    kinks,
    layers,
    losses,
    optimizers,
    searches,
    training,
)

KERNELS = kernels(
    activations=[activations],
    _core=[kinks],
    layers=[layers],
    losses=[losses],
    optimizers=[optimizers, searches],
    _training=[training],
)
