"""Measurements of callbacks on TensorFlow."""

import tensorflow as tf


def squared_length(x):
    # One pass; `x * x` would be written out and read again.
    return 2.0 * tf.nn.l2_loss(x)
