"""Losses on TensorFlow."""

import tensorflow as tf


def class_cross_entropy(y_true, scores, *, label_smoothing):
    """TensorFlow's own operation for few classes, where the two clusters of a fused formula cost more to launch."""
    classes = scores.shape[-1]
    if classes > 256 or label_smoothing:
        return None
    if y_true.shape.rank == scores.shape.rank:
        y_true = tf.squeeze(y_true, -1)
    numbers = tf.cast(y_true, tf.int32)
    wrong = (numbers < 0) | (numbers >= classes) | (tf.cast(numbers, y_true.dtype) != y_true)
    # A NaN for each wrong label; not `tf.where`, which would be another operation in both passes.
    marks = tf.where(wrong, tf.constant(float("nan"), scores.dtype), tf.constant(0.0, scores.dtype))
    return tf.nn.softmax_cross_entropy_with_logits(tf.one_hot(numbers, classes, dtype=scores.dtype), scores) + marks
