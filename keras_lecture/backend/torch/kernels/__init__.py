"""Kernels on PyTorch, which runs `keras.ops` one eager operation at a time."""

from keras_lecture.backend.torch.kernels.activations import maximum_of_pieces, rectified
from keras_lecture.backend.torch.kernels.losses import (
    binary_cross_entropy,
    class_cross_entropy,
    multiclass_hinge,
    reduced,
)

__all__ = [
    "binary_cross_entropy",
    "class_cross_entropy",
    "maximum_of_pieces",
    "multiclass_hinge",
    "rectified",
    "reduced",
]
