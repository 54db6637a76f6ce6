"""Every loss and its gradient against float64 NumPy: ordinary scores, kinks, ±1e4, and the lectures' numbers."""

import functools
import types

import numpy as np
import pytest
from keras import ops
from oracles import basic as oracles
from support.harness import assert_close, numpy

from keras_lecture import _backend, losses
from keras_lecture._backend import acceleration

RNG = np.random.default_rng(5)
SCORES = np.concatenate([RNG.normal(scale=3, size=(6, 5)), 1e4 * np.eye(5)[:2], -1e4 * np.eye(5)[:1], np.zeros((1, 5))])
LABELS = np.array([0, 4, 2, 3, 1, 1, 0, 3, 0, 2])
ONE_HOT = np.eye(5)[LABELS]
# Ordinary margins, the kinks of the hinges and of |·|, and large margins.
MARGINS = np.array([[-2.5, -1.0, 0.0, 1.0], [0.3, 0.999, 1.001, 2.5], [1e4, -1e4, 88.0, -20.0]])
SIGNS = np.array([[1, -1, 1, 1], [-1, 1, 1, -1], [1, 1, -1, -1]])


def value_and_gradient(loss, y_true, y_pred, dtype):
    """Per-sample values of `loss`, and the gradient of their sum at the predictions."""

    def total(weights, y):
        values = loss.call(y, weights[0])
        return ops.sum(values), values

    evaluate = _backend.compile(_backend.value_and_grad(total))
    predictions = ops.convert_to_tensor(y_pred, dtype=dtype)
    (_, values), (gradient,) = evaluate([predictions], ops.convert_to_tensor(y_true))
    return values, gradient


@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], LABELS.astype("float32"), ONE_HOT], ids=str)
def test_softmax_cross_entropy_matches_its_closed_form(dtype, labels):
    values, gradient = value_and_gradient(losses.SoftmaxCrossEntropy(), labels, SCORES, dtype)
    expected, slope = oracles.softmax_cross_entropy(ONE_HOT, SCORES)
    assert_close(values, expected, dtype)
    assert_close(gradient, slope, dtype)


@pytest.mark.parametrize("labels", [LABELS, ONE_HOT], ids=str)
def test_label_smoothing_spreads_a_share_of_the_target(dtype, labels):
    scores = SCORES[:6]
    values, gradient = value_and_gradient(losses.SoftmaxCrossEntropy(label_smoothing=0.1), labels[:6], scores, dtype)
    expected, slope = oracles.softmax_cross_entropy(0.9 * ONE_HOT[:6] + 0.1 / 5, scores)
    assert_close(values, expected, dtype)
    assert_close(gradient, slope, dtype)


def test_soft_labels_are_weights_of_the_log_probabilities(dtype):
    q = oracles.softmax(RNG.normal(size=(6, 5)))
    values, gradient = value_and_gradient(losses.SoftmaxCrossEntropy(), q.astype(dtype), SCORES[:6], dtype)
    expected, slope = oracles.softmax_cross_entropy(q, SCORES[:6])
    assert_close(values, expected, dtype)
    assert_close(gradient, slope, dtype)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_formula_that_every_backend_has_a_kernel_for(dtype, smoothing):
    """Mutants of it were noticed by no test of losses on any backend."""
    formula = functools.partial(acceleration.formulas["losses.one_hot_cross_entropy"], label_smoothing=smoothing)
    labels, scores = (ONE_HOT, SCORES) if not smoothing else (ONE_HOT[:6], SCORES[:6])
    values, gradient = value_and_gradient(types.SimpleNamespace(call=formula), labels, scores, dtype)
    expected, slope = oracles.softmax_cross_entropy((1 - smoothing) * labels + smoothing / 5, scores)
    assert_close(values, expected, dtype)
    assert_close(gradient, slope, dtype)


def test_infinite_scores_of_the_right_sign_cost_nothing(dtype):
    """0·∞ in the formulas is 0. Oracle: the limit of the scores, and the loss without the class that is impossible."""
    right, wrong = np.array([[np.inf], [-np.inf]]), np.array([[1.0], [0.0]])
    values, _ = value_and_gradient(losses.BinaryCrossEntropy(), wrong, right, dtype)
    assert_close(values, np.zeros(2), dtype)
    scores = np.array([[0.5, -np.inf, 1.0], [2.0, 0.0, -np.inf]])
    labels = np.array([[0.0, 0.0, 1.0], [0.25, 0.75, 0.0]])
    expected, _ = oracles.softmax_cross_entropy(
        np.array([[0.0, 1.0], [0.25, 0.75]]), np.array([[0.5, 1.0], [2.0, 0.0]])
    )
    formula = functools.partial(acceleration.formulas["losses.one_hot_cross_entropy"], label_smoothing=0.0)
    for loss in (losses.SoftmaxCrossEntropy(), types.SimpleNamespace(call=formula)):
        values, _ = value_and_gradient(loss, labels, scores, dtype)
        assert_close(values, expected, dtype)


@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], ONE_HOT], ids=str)
def test_multiclass_hinge_matches_a_loop_over_classes(dtype, labels):
    values, gradient = value_and_gradient(losses.MulticlassHinge(margin=1.5), labels, SCORES, dtype)
    expected, slope = oracles.multiclass_hinge(LABELS, SCORES, 1.5)
    assert_close(values, expected, dtype)
    assert_close(gradient, slope, dtype)


def test_multiclass_hinge_has_slope_0_at_its_kink_like_pytorch(dtype):
    """s_k − s_y + 1 = 0 for all other classes: the gradient is 0 in `torch.nn.MultiMarginLoss` and on all backends."""
    values, gradient = value_and_gradient(losses.MulticlassHinge(), [0], [[1.0, 0.0, 0.0]], dtype)
    assert numpy(values).tolist() == [0.0]
    assert numpy(gradient).tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("coding", ["signs", "zero_one"])
@pytest.mark.parametrize("name", sorted(oracles.MARGIN_LOSSES))
def test_margin_losses_match_their_formula(dtype, name, coding):
    margins = MARGINS if name != "Exponential" else np.clip(MARGINS, -60, 60)
    phi, slope = oracles.MARGIN_LOSSES[name]
    labels = SIGNS if coding == "signs" else (SIGNS + 1) // 2
    values, gradient = value_and_gradient(getattr(losses, name)(), labels, SIGNS * margins, dtype)
    assert_close(values, phi(margins).mean(axis=-1), dtype)
    assert_close(gradient, SIGNS * slope(margins) / 4, dtype)


def test_exponential_is_infinite_where_it_overflows():
    values, _ = value_and_gradient(losses.Exponential(), [[1.0]], [[-1e4]], "float32")
    assert numpy(values).tolist() == [np.inf]


@pytest.mark.parametrize("alpha", [0.5, 1.0, 3.0])
def test_smooth_hinge_is_smooth(dtype, alpha):
    """Value and slope are continuous at v = 0 and 1. Oracle: the formula and its finite differences."""
    v = np.array([[-1.0, 0.0, 1e-6, 0.5, 1 - 1e-6, 1.0, 2.0]])

    def phi(v):
        middle = np.abs(np.clip(v, 0, 1)) ** (alpha + 1) / (alpha + 1)
        return np.where(v >= 1, 0, alpha / (alpha + 1) - v + middle)

    values, gradient = value_and_gradient(losses.SmoothHinge(alpha=alpha), np.ones_like(v), v, dtype)
    assert_close(values, phi(v).mean(axis=-1), dtype)
    expected = oracles.finite_differences(lambda w: phi(w).mean(), v)
    assert_close(gradient, expected, dtype, rtol=1e-5, atol=1e-4)


def test_smooth_hinge_with_large_alpha_is_the_hinge():
    """The limit of the docstring: for alpha → ∞ it is max(0, 1 − v); at alpha = 1e6 to 1e-5."""
    v = np.linspace(-2, 2, 9)[None]
    values, _ = value_and_gradient(losses.SmoothHinge(alpha=1e6, reduction=None), np.ones_like(v), v, "float32")
    assert_close(values, np.maximum(0, 1 - v).mean(axis=-1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("soft", [False, True])
def test_binary_cross_entropy_has_the_error_as_gradient(dtype, soft):
    """∂L/∂s = ŷ − y, deck D, also at s = 0, where a composition of relu and |·| would give −y."""
    y = RNG.uniform(size=MARGINS.shape) if soft else (SIGNS + 1) // 2
    values, gradient = value_and_gradient(losses.BinaryCrossEntropy(), y.astype(dtype), MARGINS, dtype)
    expected = oracles.softplus(MARGINS) - y.astype(dtype).astype("float64") * MARGINS
    assert_close(values, expected.mean(axis=-1), dtype)
    assert_close(gradient, (np.exp(-oracles.softplus(-MARGINS)) - y.astype(dtype)) / 4, dtype)


def test_a_confident_correct_prediction_keeps_its_small_loss():
    """log(1 + e⁻²⁰) = 2.06e-9 in float32: softplus(s) − s would round to 0. ŷ − y may round, φ′(v) of Logistic not."""
    for loss, rtol, atol in ((losses.BinaryCrossEntropy(), 0, 1e-7), (losses.Logistic(), 1e-6, 0)):
        values, gradient = value_and_gradient(loss, [[1.0]], [[20.0]], "float32")
        np.testing.assert_allclose(numpy(values), [np.log1p(np.exp(-20.0))], rtol=1e-6)
        np.testing.assert_allclose(numpy(gradient), [[-1 / (1 + np.exp(20.0))]], rtol=rtol, atol=atol)


def test_logistic_with_labels_0_and_1_is_binary_cross_entropy(dtype):
    y = (SIGNS + 1) // 2
    a, da = value_and_gradient(losses.Logistic(), y, MARGINS, dtype)
    b, db = value_and_gradient(losses.BinaryCrossEntropy(), y, MARGINS, dtype)
    assert_close(a, numpy(b), dtype)
    assert_close(da, numpy(db), dtype)


def test_l1_and_l2_sum_over_the_outputs_of_a_sample(dtype):
    y, f = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))
    f[0, 0] = y[0, 0] = 0.25
    values, gradient = value_and_gradient(losses.L2(), y.astype(dtype), f, dtype)
    assert_close(values, ((f - y) ** 2).sum(axis=-1), dtype, atol=1e-6 if dtype == "float32" else 1e-12)
    assert_close(gradient, 2 * (f - y), dtype)
    values, gradient = value_and_gradient(losses.L1(), y.astype(dtype), f, dtype)
    assert_close(values, np.abs(f - y).sum(axis=-1), dtype)
    # At the kink, prediction equal to target, the slope is 0.
    assert_close(gradient, np.sign(f - y), dtype)


def test_numbers_of_deck_c():
    """L2 = 33, L1 = 11; cross entropies 2.04, 0.079, 6.156, mean 2.76; hinges 2.9, 0, 12.9, mean 5.3; models 1 to 3."""
    f = np.array([[12, 24, 42, 23, 34, 32, 5, 2, 12, 31, 12, 31, 31, 64, 5, 13]], dtype="float32")
    y = np.array([[15, 20, 40, 25, 34, 32, 5, 2, 12, 31, 12, 31, 31, 64, 5, 13]], dtype="float32")
    assert float(losses.L2(reduction="sum")(y, f)) == 33.0
    assert float(losses.L1(reduction="sum")(y, f)) == 11.0

    scores = np.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]], dtype="float32")
    labels = np.array([0, 1, 2])
    entropies = numpy(losses.SoftmaxCrossEntropy(reduction=None)(labels, scores))
    assert [f"{v:.2f}" for v in entropies[:1]] + [f"{v:.3f}" for v in entropies[1:]] == ["2.04", "0.079", "6.156"]
    assert round(float(losses.SoftmaxCrossEntropy()(labels, scores)), 2) == 2.76
    hinges = numpy(losses.MulticlassHinge(reduction=None)(labels, scores))
    assert [round(float(v), 4) for v in hinges] == [2.9, 0.0, 12.9]
    assert round(float(losses.MulticlassHinge()(labels, scores)), 1) == 5.3

    models = np.array([[5, -3, 2], [5, 10, 10], [5, -20, -20]], dtype="float32")
    assert numpy(losses.MulticlassHinge(reduction=None)([0, 0, 0], models)).tolist() == [0.0, 12.0, 0.0]
    entropies = numpy(losses.SoftmaxCrossEntropy(reduction=None, dtype="float32")([0, 0, 0], models))
    assert [f"{v:.2f}" for v in entropies[:2]] == ["0.05", "5.70"]
    assert abs(entropies[2]) < 1e-9


@pytest.mark.parametrize("leading", [(4,), (2, 2)], ids=str)
def test_many_classes_give_the_same_numbers_on_other_code_paths(dtype, leading):
    """300 classes: TensorFlow fuses from 256 elements per sample, and has its own gradient for the hinge."""
    scores, labels = RNG.normal(size=(4, 300)), RNG.integers(0, 300, size=4)
    for loss, oracle in (
        (losses.MulticlassHinge(), oracles.multiclass_hinge(labels, scores)),
        (losses.SoftmaxCrossEntropy(), oracles.softmax_cross_entropy(np.eye(300)[labels], scores)),
    ):
        for targets in (labels.reshape(leading), np.eye(300)[labels].reshape(*leading, 300)):
            values, gradient = value_and_gradient(loss, targets, scores.reshape(*leading, 300), dtype)
            assert_close(values, oracle[0].reshape(leading), dtype)
            assert_close(gradient, oracle[1].reshape(*leading, 300), dtype)
    wrong = numpy(losses.MulticlassHinge(reduction=None)([300, -1, 0.5, 7], scores.astype("float32")))
    assert np.isnan(wrong).tolist() == [True, True, True, False]
