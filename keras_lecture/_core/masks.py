"""The mask of a tensor, as Keras's layers hand it on.

Keras 3.15 keeps it on the tensor, or beside it where a tensor takes no attributes (tracers of JAX), and has no public
names for it.
"""

import keras


def mask_of(tensor):
    """The mask that Keras gave a tensor; None without one."""
    return keras.src.backend.get_keras_mask(tensor)  # noqa: TID251


def with_mask_of(tensor, like):
    """`tensor` with the mask of `like`, for the loss to find."""
    keras.src.backend.set_keras_mask(tensor, mask_of(like))  # noqa: TID251
    return tensor
