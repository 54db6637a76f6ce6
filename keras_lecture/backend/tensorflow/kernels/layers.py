"""Layers on TensorFlow: what its own kernels do faster, or what XLA makes slow."""

import math

import tensorflow as tf


def max_pool(x, pool_size, strides, padding, data_format):
    """Maxima of strided slices where TensorFlow has no kernel of its own, or none that is fast.

    XLA's windowed maximum and its gradient take 20 times as long on a CPU as TensorFlow's kernel; three-dimensional
    pooling exists in float32 and bfloat16 alone.
    """
    missing = len(pool_size) == 3 and x.dtype not in (tf.float32, tf.bfloat16)
    sizes = x.shape[1:-1] if data_format == "channels_last" else x.shape[2:]
    if not missing and not (_under_xla() and _on_cpu()) or None in sizes:
        return None
    first = 1 if data_format == "channels_last" else 2
    if padding == "same":
        padding = [_same(*each) for each in zip(sizes, pool_size, strides, strict=True)]
    outer = [(0, 0)] * first + list(padding) + [(0, 0)] * (2 - first)
    if any(map(any, padding)):
        x = tf.pad(x, outer, constant_values=tf.constant(-math.inf, x.dtype))
    # The last axis first: the first row and in it the first column then wins a tie, as in a window read row by row.
    for axis in reversed(range(len(pool_size))):
        x = _axis_maximum(x, first + axis, pool_size[axis], strides[axis])
    return x


def _axis_maximum(x, axis, size, stride):
    count = (x.shape[axis] - size) // stride + 1
    largest = None
    for start in range(size):
        index = [slice(None)] * x.shape.rank
        index[axis] = slice(start, start + (count - 1) * stride + 1, stride)
        piece = x[tuple(index)]
        # `tf.maximum` would share the gradient of a tie; a NaN must win.
        largest = piece if largest is None else tf.where((piece > largest) | (piece != piece), piece, largest)
    return largest


def _same(n, size, stride):
    places = max((-(-n // stride) - 1) * stride + size - n, 0)
    return places // 2, places - places // 2


def _under_xla():
    """Whether the function being traced is compiled by XLA (`jit_compile=True`)."""
    if tf.executing_eagerly():
        return False
    # TensorFlow 2.21 marks such a graph by its control flow context; it has no public question for it.
    context = tf.compat.v1.get_default_graph()._get_control_flow_context()
    while context is not None:
        if context.IsXLAContext():
            return True
        context = context.outer_context
    return False


def _on_cpu():
    return not tf.config.list_logical_devices("GPU")
