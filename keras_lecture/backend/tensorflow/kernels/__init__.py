"""Kernels on TensorFlow."""

from keras_lecture.backend.tensorflow.kernels.activations import rectified
from keras_lecture.backend.tensorflow.kernels.callbacks import snapshot, squared_length
from keras_lecture.backend.tensorflow.kernels.kinks import absolute
from keras_lecture.backend.tensorflow.kernels.layers import (
    batch_normalize,
    drop,
    max_pool,
    place,
    random_keep,
    refuse,
)
from keras_lecture.backend.tensorflow.kernels.losses import (
    binary_cross_entropy,
    class_cross_entropy,
    multiclass_hinge,
    one_hot_cross_entropy,
)
from keras_lecture.backend.tensorflow.kernels.optimizers import (
    adds_in_place,
    along_velocity,
    apart,
    dense,
    may_lie_together,
    optimizer_step,
)
from keras_lecture.backend.tensorflow.kernels.searches import row_of, with_row, writable

__all__ = [
    "absolute",
    "adds_in_place",
    "along_velocity",
    "apart",
    "batch_normalize",
    "binary_cross_entropy",
    "class_cross_entropy",
    "dense",
    "drop",
    "max_pool",
    "may_lie_together",
    "multiclass_hinge",
    "one_hot_cross_entropy",
    "optimizer_step",
    "place",
    "random_keep",
    "rectified",
    "refuse",
    "row_of",
    "snapshot",
    "squared_length",
    "with_row",
    "writable",
]
