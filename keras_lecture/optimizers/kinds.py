"""What a variable is to a penalty, and the shrinkage that leaves exact zeros."""

from keras import ops

# What layers call their shifts, gains and slopes. Compared with the whole name of the variable, never a part of it.
_SHIFTS_AND_GAINS = frozenset(("bias", "beta", "gamma", "alpha", "scale", "gain"))


def is_kernel(variable):
    """Whether a variable holds weights proper: something that is multiplied and summed with an input.

    A vector never does: one number per channel is a shift, a gain or a slope, whatever its name. Of the larger ones,
    the attention layers' biases `(heads, size)`, the two biases of a GRU and the gains of a normalization over several
    axes have two axes or more; there the role counts that the layer gave the variable.
    """
    return len(variable.shape) > 1 and variable.name not in _SHIFTS_AND_GAINS


def shrink(w, threshold):
    """Soft thresholding, sign(w)·max(|w| − threshold, 0)."""
    return ops.sign(w) * ops.relu(ops.abs(w) - threshold)
