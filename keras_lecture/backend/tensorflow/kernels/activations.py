"""Activations on TensorFlow."""

import tensorflow as tf


def rectified(x, *, negative_slope):
    return tf.nn.leaky_relu(x, negative_slope)
