"""Excluded samples: their labels and scores are replaced before the formula can turn them into NaN."""

from keras import ops


def with_mask(weight, mask, reduction, dtype):
    """`weight` (None is 1), 0 where `mask` is False, scaled so that means divide by the number of unmasked samples."""
    if mask is None:
        return weight
    scale = 1.0
    if reduction in ("mean", "sum_over_batch_size"):
        total, counted = ops.size(mask), ops.sum(ops.cast(mask, dtype))
        scale = ops.divide_no_nan(ops.cast(total, dtype), counted)
    scale = ops.cast(scale, dtype)
    return ops.where(mask, scale if weight is None else weight * scale, ops.zeros((), dtype))


def without_excluded(y_true, y_pred, weight, dtype):
    """Labels and scores, replaced by valid ones where `weight` is 0.

    They are replaced before the formula, not masked after it: the gradient of `where(kept, f(x), 0)` is 0·f′(x), NaN
    for an infinite f′. Label 0 and the row (1, 0, 0, …) are valid for every loss.
    """
    kept, samples = weight != 0, len(weight.shape)
    y_true, y_pred = (ops.cast(ops.convert_to_tensor(t), dtype) for t in (y_true, y_pred))
    scores = ops.where(_widened(kept, y_pred), y_pred, ops.zeros((), dtype))
    if not _fits(tuple(y_true.shape), tuple(kept.shape)):
        return y_true, scores  # `call` rejects the labels with its own message.
    label = ops.zeros((), dtype)
    if len(y_true.shape) > samples and y_true.shape[-1] is not None:
        label = ops.cast(ops.arange(y_true.shape[-1]) == 0, dtype)
    return ops.where(_widened(kept, y_true), y_true, label), scores


def _widened(kept, like):
    for _ in range(len(like.shape) - len(kept.shape)):
        kept = ops.expand_dims(kept, -1)
    return kept


def _fits(shape, samples):
    return len(shape) >= len(samples) and all(
        a == b or a is None or b in (1, None) for a, b in zip(shape, samples, strict=False)
    )
