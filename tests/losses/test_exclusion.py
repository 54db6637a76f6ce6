"""Excluded samples have loss 0 and gradient 0, whatever their labels and scores."""

import keras
import numpy as np
import pytest
from keras import ops
from support.harness import BACKEND, assert_close, in_one, numpy

from keras_lecture import _backend, losses

CLASS_LOSSES = [losses.SoftmaxCrossEntropy, losses.MulticlassHinge]
NUMBER_LOSSES = [unit for unit in map(losses.__dict__.get, losses.__all__) if unit not in CLASS_LOSSES]
REDUCTIONS = ["sum_over_batch_size", "sum", "mean_with_sample_weight", None]
# The last two of four samples are excluded.
KEPT = np.array([True, True, False, False])


def samples(loss, one_hot=False):
    """Labels and scores of four samples; the last two have neither valid labels nor finite scores."""
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(4, 3)).astype("float32")
    scores[2], scores[3, 1] = np.nan, np.inf
    if loss in CLASS_LOSSES and not one_hot:
        return np.array([0, 2, 255, -1], "float32"), scores
    labels = np.eye(3, dtype="float32")[[0, 2, 1, 1]] if loss in CLASS_LOSSES else np.zeros((4, 3), "float32")
    labels[2], labels[3] = np.nan, np.inf
    return labels, scores


def value_and_gradient(loss, labels, scores, mask=None, weight=None):
    def total(weights, y):
        scores = weights[0] + 0.0
        if mask is not None:
            keras.src.backend.common.masking.set_keras_mask(scores, ops.convert_to_tensor(mask))
        value = loss(y, scores, weight)
        return ops.sum(value), value

    (_, value), (gradient,) = in_one(_backend.value_and_grad(total))([ops.convert_to_tensor(scores)], labels)
    return numpy(value), numpy(gradient)


FORMS = [*((loss, False) for loss in [*CLASS_LOSSES, *NUMBER_LOSSES]), *((loss, True) for loss in CLASS_LOSSES)]


@pytest.mark.parametrize(("loss", "one_hot"), FORMS)
def test_neither_label_nor_score_of_an_excluded_sample_matters(loss, one_hot):
    """Oracle: the loss of the other two samples. Keras multiplies by 0, and 0·NaN is NaN.

    As in Keras, the mean divides by a number that includes samples of weight 0, but not masked ones.
    """
    labels, scores = samples(loss, one_hot)
    unit = loss()
    expected, slope = value_and_gradient(unit, labels[:2], scores[:2])
    nan_weight = np.array([1, 1, np.nan, 0], "float32")
    for mask, weight, share in ((None, KEPT.astype("float32"), 0.5), (KEPT, None, 1.0), (KEPT, nan_weight, 1.0)):
        value, gradient = value_and_gradient(unit, labels, scores, mask, weight)
        assert_close(value, share * expected)
        assert_close(gradient[:2], share * slope)
        assert not gradient[2:].any()


@pytest.mark.parametrize("loss", CLASS_LOSSES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_samples_of_the_ignored_class_are_excluded(loss, reduction):
    """Oracle: the same loss without these samples. Their scores are not finite; the class index is out of range."""
    labels, scores = samples(loss)
    labels[3] = 255
    unit = loss(ignore_class=255, reduction=reduction)
    weight = np.array([2.0, 0.5, 7.0, 7.0], "float32")
    expected, slope = value_and_gradient(unit, labels[:2], scores[:2], None, weight[:2])
    value, gradient = value_and_gradient(unit, labels, scores, None, weight)
    assert_close(value, expected if reduction else [*expected, 0, 0])
    assert_close(gradient, [*slope, [0, 0, 0], [0, 0, 0]])
    column = in_one(unit)(labels[:, None], scores, weight)
    assert_close(column, value)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_ignored_classes_are_reduced_as_in_keras(reduction):
    """Oracle: `keras.losses.SparseCategoricalCrossentropy` with `ignore_class`, weights and a mask."""
    rng = np.random.default_rng(4)
    labels, scores = np.array([[0, 255, 1], [2, 2, 255]]), rng.normal(size=(2, 3, 4)).astype("float32")
    weight = rng.uniform(size=(2, 3)).astype("float32")
    ours = losses.SoftmaxCrossEntropy(ignore_class=255, reduction=reduction)
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255, reduction=reduction)
    scores = ops.convert_to_tensor(scores)
    for mask in (None, ops.convert_to_tensor([[True, True, False], [True, True, True]])):
        keras.src.backend.common.masking.set_keras_mask(scores, mask)
        for w in (None, weight):
            assert_close(ours(labels, scores, w), numpy(theirs(labels, scores, w)))


def test_one_hot_rows_of_the_ignored_class_are_excluded():
    one_hot, scores = np.eye(3, dtype="float32")[[0, 1, 2]], np.ones((3, 3), "float32")
    for loss in CLASS_LOSSES:
        values = numpy(loss(ignore_class=1, reduction=None)(one_hot, scores))
        assert (values == 0).tolist() == [False, True, False]
        # There is no column 255: nothing is ignored.
        assert (numpy(loss(ignore_class=255, reduction=None)(one_hot, scores)) != 0).all()


def test_the_loss_is_0_if_all_samples_are_excluded():
    scores = np.full((2, 3), np.nan, "float32")
    unit = losses.SoftmaxCrossEntropy(ignore_class=255)
    assert float(unit(np.array([255, 255]), scores)) == 0.0
    assert float(unit(np.array([0, 1]), scores, np.zeros(2))) == 0.0


def test_the_weighted_mean_divides_by_the_weights_of_all_values():
    """One weight for three time steps: the mean of equal losses is this loss, not three times as much."""
    labels, scores = np.zeros((2, 3), "int32"), np.zeros((2, 3, 4), "float32")
    unit = losses.SoftmaxCrossEntropy(reduction="mean_with_sample_weight")
    assert_close(unit(labels, scores, np.array([1.0, 3.0], "float32")), np.log(4))


@pytest.mark.parametrize("loss", [losses.SoftmaxCrossEntropy, losses.MulticlassHinge])
def test_fit_with_masked_padding(loss):
    """`mask_zero` and labels −1 at the padding: the loss was NaN on JAX and PyTorch from the first step."""
    tokens, labels = np.array([[1, 2, 0, 0], [3, 1, 2, 0]]), np.array([[0, 1, -1, -1], [2, 0, 1, -1]])
    model = keras.Sequential([keras.Input((4,)), keras.layers.Embedding(4, 3, mask_zero=True), keras.layers.Dense(3)])
    model.compile(keras.optimizers.SGD(0.1), loss(), jit_compile=BACKEND != "torch")
    history = model.fit(tokens, labels, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_an_ignored_class_beyond_the_range_of_the_label_dtype():
    """256 is 0 in uint8: labels of class 0 were ignored. Oracle: log 3 of three equal scores."""
    loss = losses.SoftmaxCrossEntropy(ignore_class=256, reduction=None)
    labels = keras.ops.convert_to_tensor(np.array([0, 1, 2], "uint8"))
    assert_close(loss(labels, keras.ops.zeros((3, 3))), np.full(3, np.log(3.0)))


@pytest.mark.parametrize("kind", [losses.SoftmaxCrossEntropy, losses.MulticlassHinge])
@pytest.mark.parametrize(
    ("label", "ignored", "dtype"),
    [(0.5, 0, "float32"), (-0.5, 0, "float32"), (-1.7, -1, "float32"), (2**32, 0, "int64")],
)
def test_a_label_that_is_no_class_is_none_to_ignore(kind, label, ignored, dtype):
    """Cut to an integer, it was left out: masks divided by 255 gave a loss of 0 with `ignore_class=0`."""
    if dtype == "int64" and keras.backend.backend() == "jax":
        dtype, label = "float32", 0.3  # JAX has no int64.
    loss = kind(ignore_class=ignored)
    assert np.isnan(numpy(loss(np.array([label, 1, 1], dtype), np.zeros((3, 2), "float32"))))
    assert np.isfinite(numpy(loss(np.array([ignored, 1, 1], dtype), np.zeros((3, 2), "float32"))))


def test_scores_may_be_a_number():
    assert float(numpy(losses.L2()(1.0, 3.0))) == 4.0 and float(numpy(losses.L1()(1, 3))) == 2.0
