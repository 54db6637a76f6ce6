"""The train step's own small formulas on TensorFlow."""

import tensorflow as tf


def dense(gradients):
    return [tf.convert_to_tensor(g) if isinstance(g, tf.IndexedSlices) else g for g in gradients]


def snapshot(weights, needed):
    def copies():
        return [tf.identity(w) for w in weights]

    if needed is True:
        return copies()
    return tf.cond(needed, copies, lambda: [tf.zeros((0,), w.dtype) for w in weights])


def totaled(totals, amounts):
    # Where the data end in the middle of an epoch, TensorFlow would count the step that never came.
    with tf.control_dependencies([tf.convert_to_tensor(amount) for amount in amounts]):
        for total, amount in zip(totals, amounts, strict=True):
            total.assign_add(amount)
    return totals
