"""Kernels on TensorFlow."""

from keras_lecture.backend.tensorflow.kernels.activations import rectified
from keras_lecture.backend.tensorflow.kernels.kinks import absolute
from keras_lecture.backend.tensorflow.kernels.layers import (
    max_pool,
)
from keras_lecture.backend.tensorflow.kernels.losses import class_cross_entropy
from keras_lecture.backend.tensorflow.kernels.optimizers import optimizer_step

__all__ = [
    "absolute",
    "class_cross_entropy",
    "max_pool",
    "optimizer_step",
    "rectified",
]
