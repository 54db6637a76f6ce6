"""The small formulas of the train step on TensorFlow."""

import tensorflow as tf


def dense(gradients):
    """An embedding's gradient comes as slices, on which no arithmetic works."""
    return [tf.convert_to_tensor(g) if isinstance(g, tf.IndexedSlices) else g for g in gradients]


def over_replicas(gradients):
    if _replicas() == 1:
        return None
    present = dense([g for g in gradients if g is not None])
    total = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [None if g is None else next(total) for g in gradients]


def per_replica(gradients):
    count = _replicas()
    return None if count == 1 else [None if g is None else g / tf.cast(count, g.dtype) for g in gradients]


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


def _replicas():
    """The number of replicas of the strategy in whose step the caller is."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync
