"""Kernels on PyTorch, which runs `keras.ops` one eager operation at a time."""

from keras_lecture.backend.torch.kernels.activations import exponential, maximum_of_pieces, rectified
from keras_lecture.backend.torch.kernels.assignment import assign_when
from keras_lecture.backend.torch.kernels.callbacks import (
    all_finite,
    decided,
    is_multiple,
    largest,
    means,
    scaled,
    snapshot,
    square_sum,
    square_sums,
    step_norms,
    totaled,
)
from keras_lecture.backend.torch.kernels.kinks import absolute
from keras_lecture.backend.torch.kernels.layers import (
    batch_normalize,
    group_normalize,
    layer_normalize,
    leak,
    max_pool,
)
from keras_lecture.backend.torch.kernels.losses import (
    binary_cross_entropy,
    class_cross_entropy,
    multiclass_hinge,
    reduced,
)
from keras_lecture.backend.torch.kernels.optimizers import along_velocity, optimizer_step
from keras_lecture.backend.torch.kernels.random_bits import drop, jittered, normal, random_keep
from keras_lecture.backend.torch.kernels.searches import (
    adam_direction,
    choose,
    descended,
    first_trial,
    inner_product,
    quasi_newton_direction,
    repeated,
    with_row,
)

__all__ = [
    "absolute",
    "adam_direction",
    "all_finite",
    "along_velocity",
    "assign_when",
    "batch_normalize",
    "binary_cross_entropy",
    "choose",
    "class_cross_entropy",
    "decided",
    "descended",
    "drop",
    "exponential",
    "first_trial",
    "group_normalize",
    "inner_product",
    "is_multiple",
    "jittered",
    "largest",
    "layer_normalize",
    "leak",
    "max_pool",
    "maximum_of_pieces",
    "means",
    "multiclass_hinge",
    "normal",
    "optimizer_step",
    "quasi_newton_direction",
    "random_keep",
    "rectified",
    "reduced",
    "repeated",
    "scaled",
    "snapshot",
    "square_sum",
    "square_sums",
    "step_norms",
    "totaled",
    "with_row",
]
