"""NumPy float64 references for initializers, regularizers and constraints."""

import numpy as np


def interpolate(x, size, stride, length):
    """The piecewise linear function through the samples of `x` (zero outside), along the first axis.

    Output o of a transposed convolution with kernel size K and stride s is at (o − (K − 1)/2)/s of its input.
    """
    x = np.asarray(x, "float64")
    at = (np.arange(length) - (size - 1) / 2) / stride
    padded = np.concatenate([np.zeros_like(x[:1]), x, np.zeros_like(x[:1])])
    flat = padded.reshape(len(padded), -1)
    knots = np.arange(-1, len(x) + 1)
    columns = [np.interp(at, knots, column, left=0, right=0) for column in flat.T]
    return np.stack(columns, axis=1).reshape(length, *x.shape[1:])


def connections(layer, input_shape):
    """The number of inputs of each output of a linear layer, and of outputs of each input.

    With all weights one, the output for a unit vector counts the connections between this input and each output.
    """
    count = int(np.prod(input_shape))
    probes = np.eye(count, dtype="float32").reshape(count, *input_shape)
    table = np.asarray(layer(probes)).reshape(count, -1)
    return table.sum(0).reshape(-1), table.sum(1).reshape(input_shape)


def max_norm(w, bound, axis):
    """Each vector along `axis` shortened to `bound` if it is longer."""
    w = np.asarray(w, "float64")
    norm = np.sqrt(np.sum(w**2, axis=axis, keepdims=True))
    return w * np.minimum(1, bound / np.where(norm == 0, 1, norm))
