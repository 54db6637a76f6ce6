"""Losses on TensorFlow."""

import tensorflow as tf

from keras_lecture._backend.tensorflow import xla


def class_cross_entropy(y_true, scores, *, label_smoothing):
    scores = tf.convert_to_tensor(scores)
    if y_true.shape.rank < scores.shape.rank:
        y_true = tf.expand_dims(y_true, -1)
    return _cross_entropy(tf.cast(y_true, scores.dtype), scores, label_smoothing)


def one_hot_cross_entropy(y_true, scores, *, label_smoothing):
    scores = tf.convert_to_tensor(scores)
    return _cross_entropy(tf.cast(y_true, scores.dtype), scores, label_smoothing)


def _cross_entropy(labels, scores, label_smoothing):
    """Two numbers a row tell the backward pass the softmax, which a fused formula would find again."""
    forward, backward = _forward, _backward
    if xla.pays(scores):
        forward, backward = _forward_cluster, _backward_cluster

    @tf.custom_gradient
    def run(labels, scores):
        losses, maximum, u = forward(labels, scores, label_smoothing)

        def gradients(upstream):
            # A graph drops the first one where it is not used.
            along_labels = (1.0 - label_smoothing) * upstream[..., None] * (maximum - scores + tf.math.log1p(u))
            return along_labels, backward(labels, scores, maximum, u, upstream, label_smoothing)

        return losses, gradients

    return run(labels, scores)


def _forward(labels, scores, label_smoothing):
    """Σ q·(m − s + log(1 + u)), u = Σ exp(s − m) − 1."""
    maximum = tf.reduce_max(scores, -1, keepdims=True)
    gap, (q, _) = maximum - scores, _distribution(labels, scores, label_smoothing)
    e = tf.exp(-gap)
    together = tf.reduce_sum(e, -1, keepdims=True)
    # In a sum below 2 the 1 of the largest score would drown the others: it stays out of it there.
    u = tf.where(together >= 2, together - 1, tf.reduce_sum(tf.where(e < 1, e, e - 1), -1, keepdims=True))
    # 0·∞ = 0: a score of −∞ takes its class out.
    return tf.reduce_sum(tf.math.multiply_no_nan(gap + tf.math.log1p(u), q), -1), maximum, u


def _backward(labels, scores, maximum, u, upstream, label_smoothing):
    """p·(Σq − q) − q·(1 − p), times what comes from above, with p = e/(1 + u) and 1 − p = (u + (1 − e))/(1 + u)."""
    q, total = _distribution(labels, scores, label_smoothing)
    e = tf.exp(scores - maximum)
    return (upstream[..., None] / (1 + u)) * (e * (total - q) - q * (u + (1 - e)))


_forward_cluster, _backward_cluster = xla.cluster(_forward), xla.cluster(_backward)


def _distribution(labels, scores, label_smoothing):
    """q and Σq: the labels, or the row of each class number; a number that names no class has 0/0 in its row."""
    if labels.shape[-1] == 1:
        classes = scores.shape[-1]
        valid = (tf.floor(labels) == labels) & (labels >= 0) & (labels < classes)
        valid = tf.cast(valid, scores.dtype)
        q = tf.cast(labels == tf.range(classes, dtype=scores.dtype), scores.dtype) / valid
        total = valid / valid
    else:
        q, total = labels, tf.reduce_sum(labels, -1, keepdims=True)
    if label_smoothing:
        q = (1.0 - label_smoothing) * q + label_smoothing / q.shape[-1]
        total = (1.0 - label_smoothing) * total + label_smoothing
    return q, total


def multiclass_hinge(y_true, scores, *, margin):
    """A gradient in one pass: that of the formula goes through a scatter as large as the scores."""
    if not xla.pays(scores):
        return None
    y_true = tf.convert_to_tensor(y_true)

    @tf.custom_gradient
    def run(scores):
        losses, of_true = _hinge(y_true, scores, tf.constant(margin, scores.dtype))
        return losses, lambda upstream: _hinge_gradient(
            y_true, scores, of_true, tf.constant(margin, scores.dtype), upstream
        )

    return run(tf.convert_to_tensor(scores))


@xla.cluster
def _hinge(y_true, scores, margin):
    numbers, marks = _numbers_and_marks(y_true, scores)
    index = tf.clip_by_value(numbers, 0, scores.shape[-1] - 1)[..., None]
    of_true = tf.gather(scores, index, batch_dims=scores.shape.rank - 1)
    # Not `scores − (of_true − margin)`: beside a score of 10⁸ the margin is rounded away.
    behind = tf.nn.relu(scores - of_true + margin)
    behind = tf.where(_is_true(numbers, scores), tf.zeros((), scores.dtype), behind)
    return tf.reduce_sum(behind, -1) + marks, of_true


@xla.cluster
def _hinge_gradient(y_true, scores, of_true, margin, upstream):
    numbers, _ = _numbers_and_marks(y_true, scores)
    true = _is_true(numbers, scores)
    counts = (scores - of_true + margin > 0) & ~true
    down = tf.where(counts, upstream[..., None], tf.zeros((), scores.dtype))
    return tf.where(true, -tf.reduce_sum(down, -1, keepdims=True), down)


def _is_true(numbers, scores):
    return numbers[..., None] == tf.range(scores.shape[-1])


def _numbers_and_marks(y_true, scores):
    """Class numbers, and what to add to the losses: NaN for a label that names no class, else 0."""
    if y_true.shape.rank == scores.shape.rank:
        y_true = tf.squeeze(y_true, -1)
    label = tf.cast(y_true, scores.dtype)
    wrong = tf.clip_by_value(tf.floor(label), 0, scores.shape[-1] - 1) != label
    return tf.cast(label, tf.int32), _marks(wrong, scores.dtype)


def _marks(wrong, dtype):
    return tf.where(wrong, tf.constant(float("nan"), dtype), tf.constant(0.0, dtype))
