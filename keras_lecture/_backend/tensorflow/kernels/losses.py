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
    """Stores two numbers per row, from which the backward pass gets the softmax without the sums of the formula."""
    forward, backward = _forward, _backward
    if xla.pays(scores):
        forward, backward = _forward_cluster, _backward_cluster

    @tf.custom_gradient
    def run(labels, scores):
        losses, maximum, u = forward(labels, scores, label_smoothing)

        def gradients(upstream):
            # The graph drops the first gradient if it is not used.
            along_labels = (1.0 - label_smoothing) * upstream[..., None] * (maximum - scores + tf.math.log1p(u))
            return along_labels, backward(labels, scores, maximum, u, upstream, label_smoothing)

        return losses, gradients

    return run(labels, scores)


def _forward(labels, scores, label_smoothing):
    """Σ q·(m − s + log(1 + u)), u = Σ exp(s − m) − 1."""
    maximum = tf.reduce_max(scores, -1, keepdims=True)
    gap, (q, _) = maximum - scores, _distribution(labels, scores, label_smoothing)
    e = tf.exp(-gap)
    row_sum = tf.reduce_sum(e, -1, keepdims=True)
    # In a sum below 2 the 1 of the largest score would absorb the others: it is left out there.
    u = tf.where(row_sum >= 2, row_sum - 1, tf.reduce_sum(tf.where(e < 1, e, e - 1), -1, keepdims=True))
    # 0·∞ = 0: a score of −∞ excludes its class.
    return tf.reduce_sum(tf.math.multiply_no_nan(gap + tf.math.log1p(u), q), -1), maximum, u


def _backward(labels, scores, maximum, u, upstream, label_smoothing):
    """(p·(Σq − q) − q·(1 − p)) · `upstream` with p = e/(1 + u) and 1 − p = (u + (1 − e))/(1 + u)."""
    q, total = _distribution(labels, scores, label_smoothing)
    e = tf.exp(scores - maximum)
    return (upstream[..., None] / (1 + u)) * (e * (total - q) - q * (u + (1 - e)))


_forward_cluster, _backward_cluster = xla.cluster(_forward), xla.cluster(_backward)


def _distribution(labels, scores, label_smoothing):
    """q and Σq: the labels, or the one-hot row of each class index; an invalid index gets NaN by 0/0."""
    if labels.shape[-1] == 1:
        classes = _classes(scores)
        valid = (tf.floor(labels) == labels) & (labels >= 0) & (labels < classes)
        valid = tf.cast(valid, scores.dtype)
        q = tf.cast(labels == tf.range(classes, dtype=scores.dtype), scores.dtype) / valid
        total = valid / valid
    else:
        q, total = labels, tf.reduce_sum(labels, -1, keepdims=True)
    if label_smoothing:
        q = (1.0 - label_smoothing) * q + label_smoothing / _classes(q)
        total = (1.0 - label_smoothing) * total + label_smoothing
    return q, total


def _classes(scores):
    """The number of classes: a tensor if it is known only when the loss is computed."""
    return tf.cast(tf.shape(scores)[-1], scores.dtype) if scores.shape[-1] is None else scores.shape[-1]


def multiclass_hinge(y_true, scores, *, margin):
    """A gradient in one pass; the formula's gradient writes a scatter of the size of the scores."""
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
    # Not `scores − (of_true − margin)`: next to a score of 10⁸ the margin would be rounded away.
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
    """The class indices, and the terms to add to the losses: NaN for a label that is not a class, else 0."""
    if y_true.shape.rank == scores.shape.rank:
        y_true = tf.squeeze(y_true, -1)
    label = tf.cast(y_true, scores.dtype)
    wrong = tf.clip_by_value(tf.floor(label), 0, scores.shape[-1] - 1) != label
    nan, zero = tf.constant(float("nan"), scores.dtype), tf.constant(0.0, scores.dtype)
    return tf.cast(label, tf.int32), tf.where(wrong, nan, zero)
