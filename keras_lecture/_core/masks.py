"""The mask of a tensor, as Keras's layers pass it on.

Keras 3.15 stores it as an attribute of the tensor, or in a table if the tensor takes no attributes (JAX's tracers), and
has no public names for it; Keras 3.16 keeps them in this module only.
"""

import keras


def mask_of(tensor):
    """The mask that Keras has attached to a tensor, or `None`."""
    return keras.src.backend.common.masking.get_keras_mask(tensor)  # noqa: TID251


def with_mask(tensor, mask):
    """Attaches a mask to `tensor`, where the loss looks for it."""
    keras.src.backend.common.masking.set_keras_mask(tensor, mask)  # noqa: TID251
    return tensor


def with_mask_of(tensor, like):
    """Attaches the mask of `like` to `tensor`."""
    return with_mask(tensor, mask_of(like))
