"""The small formulas of the train step on TensorFlow."""

import tensorflow as tf


def dense(gradients):
    """An embedding's gradient comes as slices, on which no arithmetic works."""
    return [tf.convert_to_tensor(g) if isinstance(g, tf.IndexedSlices) else g for g in gradients]


def snapshot(weights, needed):
    def copies():
        return [tf.identity(w) for w in weights]

    if needed is True:
        return copies()
    return tf.cond(needed, copies, lambda: [tf.zeros((0,), w.dtype) for w in weights])


def totaled(totals, amounts):
    # If the data end in the middle of an epoch, TensorFlow would otherwise count a step that never ran.
    with tf.control_dependencies([tf.convert_to_tensor(amount) for amount in amounts]):
        for total, amount in zip(totals, amounts, strict=True):
            total.assign_add(amount)
    return totals
