"""What callbacks measure on TensorFlow, and what they keep of weights that change in place."""

import tensorflow as tf


def squared_length(x):
    # One pass, where the square of all would be written out and read again.
    return 2.0 * tf.nn.l2_loss(x)


def snapshot(weights, needed):
    def copies():
        return [tf.identity(w) for w in weights]

    if needed is True:
        return copies()
    return tf.cond(needed, copies, lambda: [tf.zeros((0,), w.dtype) for w in weights])
