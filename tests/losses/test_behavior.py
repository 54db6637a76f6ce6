"""Behavior common to all losses: forms of labels, weights, masks, reduction, precision, and rejected arguments."""

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import ops
from support.harness import BACKEND, assert_close, in_one, numpy

from keras_lecture import _backend, losses

CLASS_LOSSES = [losses.SoftmaxCrossEntropy, losses.MulticlassHinge]
PAIR_LOSSES = [losses.L1, losses.L2, losses.BinaryCrossEntropy]
MARGIN_LOSSES = [
    losses.Exponential,
    losses.Logistic,
    losses.Savage,
    losses.SmoothHinge,
    losses.Square,
    losses.SquaredHinge,
    losses.Tangent,
]
RNG = np.random.default_rng(11)


@pytest.mark.parametrize("loss", CLASS_LOSSES)
@pytest.mark.parametrize("leading", [(), (4,), (2, 3)], ids=str)
def test_any_leading_dimensions(loss, leading):
    """The losses of a (2, 3) block of samples are those of its six samples in a flat batch."""
    scores = RNG.normal(size=(*leading, 5)).astype("float32")
    labels = RNG.integers(0, 5, size=leading)
    unit = in_one(loss(reduction=None))
    values, flat = unit(labels, scores), unit(labels.reshape(-1), scores.reshape(-1, 5))
    assert tuple(values.shape) == leading
    assert_close(values, numpy(flat).reshape(leading))


@pytest.mark.parametrize("loss", CLASS_LOSSES)
@pytest.mark.parametrize("wrong", [-1, 3, -100, 1.5, np.nan], ids=str)
def test_an_invalid_class_index_gives_nan_for_its_sample_only(loss, wrong):
    """PyTorch ignores −100 and raises for 3, TensorFlow raises on CPUs and not on GPUs, JAX counts −1 from the end."""
    values = numpy(in_one(loss(reduction=None))(np.array([0, wrong]), np.ones((2, 3), "float32")))
    assert np.isnan(values).tolist() == [False, True]


@pytest.mark.parametrize("row", [[0, 0, 0], [1, 1, 0], [0.5, 0.5, 0]], ids=str)
def test_hinge_is_nan_for_rows_that_are_not_one_hot(row):
    values = numpy(losses.MulticlassHinge(reduction=None)(np.array([[0, 1, 0], row]), np.ones((2, 3), "float32")))
    assert np.isnan(values).tolist() == [False, True]


@pytest.mark.parametrize("loss", [*MARGIN_LOSSES, losses.BinaryCrossEntropy])
def test_labels_other_than_signs_and_bits_give_nan(loss):
    values = numpy(in_one(loss(reduction=None))(np.array([1.0, 3.0, 1.5, np.nan]), np.zeros(4, "float32")))
    assert np.isnan(values).tolist() == [False, True, True, True]


@pytest.mark.parametrize("loss", [*CLASS_LOSSES, *PAIR_LOSSES, *MARGIN_LOSSES])
def test_nan_in_a_prediction_gives_nan(loss):
    shape = (1, 3) if loss in CLASS_LOSSES else (1,)
    label, unit = np.zeros((1,), "int32"), in_one(loss())
    for position in range(shape[-1]):
        prediction = np.zeros(shape, "float32")
        prediction[..., position] = np.nan
        assert np.isnan(float(unit(label, prediction)))


@pytest.mark.parametrize("loss", [*CLASS_LOSSES, *PAIR_LOSSES, *MARGIN_LOSSES])
def test_an_empty_batch_has_loss_0(loss):
    prediction = np.zeros((0, 3), "float32")
    label = np.zeros((0,), "int32") if loss in CLASS_LOSSES else np.zeros((0, 3), "float32")
    assert float(in_one(loss())(label, prediction)) == 0.0


@pytest.mark.parametrize("loss", [*PAIR_LOSSES, *MARGIN_LOSSES])
def test_a_column_and_a_vector_are_compared_element_by_element(loss):
    """A (4,) target against a (4, 1) prediction must not become (4, 4)."""
    y, f = np.array([0.0, 1.0, 1.0, 0.0], "float32"), RNG.normal(size=4).astype("float32")
    unit = in_one(loss(reduction=None))
    expected = numpy(unit(y, f))
    for target, prediction in ((y, f[:, None]), (y[:, None], f), (y[:, None], f[:, None])):
        assert_close(unit(target, prediction), expected)


@pytest.mark.parametrize("loss", [*CLASS_LOSSES, *PAIR_LOSSES, *MARGIN_LOSSES])
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_mismatched_shapes_are_rejected_and_never_broadcast(loss, data):
    """Either the values have exactly the shape of the samples, or our ValueError is raised."""
    sizes = st.lists(st.sampled_from([1, 2, 3]), max_size=3).map(tuple)
    target, prediction = data.draw(sizes), data.draw(sizes)
    y_true, y_pred = np.zeros(target, "float32"), np.zeros(prediction, "float32")
    unit = loss(reduction=None)
    if loss in CLASS_LOSSES:
        samples = prediction[:-1]
        fits = len(prediction) > 0 and prediction[-1] > 1 and target in (samples, (*samples, 1), prediction)
    else:
        samples = unit.sample_shape(prediction)
        column = prediction[-1:] == (1,) and target == prediction[:-1]
        fits = target == prediction or column or target == (*prediction, 1)
    if fits:
        assert tuple(unit(y_true, y_pred).shape) == samples
    else:
        with pytest.raises(ValueError, match=rf"{loss.__name__}: `y_(true|pred)` must be .* Received: y_"):
            unit(y_true, y_pred)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", None])
def test_weights_and_reductions_follow_keras(reduction):
    """Oracle: `keras.losses.SparseCategoricalCrossentropy` on a (3, 2) block, with and without weights."""
    scores, labels = RNG.normal(size=(3, 2, 4)).astype("float32"), RNG.integers(0, 4, size=(3, 2))
    ours = losses.SoftmaxCrossEntropy(reduction=reduction)
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
    for weight in (None, np.array([[1.0, 0.0], [2.0, 1.0], [0.5, 3.0]], "float32")):
        assert_close(in_one(ours)(labels, scores, weight), numpy(in_one(theirs)(labels, scores, weight)))


def test_a_sample_weight_applies_to_all_values_of_its_sample():
    """Keras silently broadcasts weights (2,) along the last axis of values (2, 2), where they weight time steps."""
    scores, labels = RNG.normal(size=(2, 2, 3)).astype("float32"), np.array([[0, 1], [2, 0]])
    values = numpy(losses.SoftmaxCrossEntropy(reduction=None)(labels, scores))
    weighted = losses.SoftmaxCrossEntropy(reduction=None)(labels, scores, np.array([1.0, 10.0]))
    assert_close(weighted, values * [[1.0], [10.0]])
    with pytest.raises(ValueError, match="`sample_weight` must be a tensor whose shape begins"):
        losses.SoftmaxCrossEntropy()(labels, scores, np.ones(3))


def test_masked_samples_do_not_count():
    """Keras attaches the mask to the predictions: only the unmasked half is averaged."""
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.Masking(), keras.layers.Dense(2)])
    x = np.ones((2, 4, 3), "float32")
    x[:, 2:] = 0
    prediction, labels = model(x), np.zeros((2, 4), "int64")
    expected = numpy(losses.SoftmaxCrossEntropy()(labels[:, :2], numpy(prediction)[:, :2]))
    assert_close(losses.SoftmaxCrossEntropy()(ops.convert_to_tensor(labels), prediction), expected)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_precision_predictions_are_computed_in_float32(half):
    """Class indices 299 and 301 are not bfloat16 numbers: computed in it, the loss would use another class."""
    scores = ops.cast(ops.convert_to_tensor(RNG.normal(size=(2, 400)).astype("float32")), half)
    loss = losses.SoftmaxCrossEntropy(dtype=half)
    exact = losses.SoftmaxCrossEntropy()(np.array([299, 301]), numpy(scores).astype("float32"))
    assert loss.dtype == "float32"
    assert_close(loss(np.array([299, 301]), scores), numpy(exact))


@pytest.mark.parametrize("loss", [*CLASS_LOSSES, *PAIR_LOSSES, *MARGIN_LOSSES])
def test_curvature_passes_through_every_loss(loss, float64):
    """Custom kernels and fused clusters must be twice differentiable. Oracle: H·v by differences of the gradient."""
    # 300 columns: enough for the fused clusters of TensorFlow.
    scores, vector = RNG.normal(size=(2, 2, 300))
    labels = ops.convert_to_tensor(np.array([0, 299]) if loss in CLASS_LOSSES else RNG.integers(0, 2, size=(2, 300)))
    unit = loss()

    def f(weights):
        return unit(labels, weights[0]), None

    value_and_grad = in_one(_backend.value_and_grad(f))

    def gradient(at):
        return numpy(value_and_grad([ops.convert_to_tensor(at, "float64")])[1][0])

    tensors = [[ops.convert_to_tensor(a, "float64")] for a in (scores, vector)]
    (product,) = in_one(_backend.hessian_vector_product(f))(*tensors)
    expected = (gradient(scores + 1e-6 * vector) - gradient(scores - 1e-6 * vector)) / 2e-6
    np.testing.assert_allclose(numpy(product), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("width", [5, 300])
def test_curvature_and_label_gradient_of_one_hot_cross_entropy(width, float64):
    """Both are handwritten in the kernels. Oracle: NumPy, H·v = Σq·(p·v − p·Σpv) and ∂L/∂q = −log p; 1e-9.

    Soft labels; one row has two equal largest scores, in another the largest score absorbs the others.
    """
    scores, vector = RNG.normal(size=(2, 3, width))
    scores[0, :2] = scores[0].max() + 1
    scores[1, 3] = 40
    q = RNG.dirichlet(np.ones(width), 3)
    p = np.exp(scores - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    unit = losses.SoftmaxCrossEntropy(reduction="sum")
    tensors = [ops.convert_to_tensor(a, "float64") for a in (scores, vector, q)]
    (product,) = in_one(_backend.hessian_vector_product(lambda w: (unit(tensors[2], w[0]), None)))(
        tensors[:1], tensors[1:2]
    )
    np.testing.assert_allclose(numpy(product), p * (vector - (p * vector).sum(-1, keepdims=True)), rtol=1e-9, atol=1e-9)
    _, (gradient,) = in_one(_backend.value_and_grad(lambda w: (unit(w[0], tensors[0]), None)))(tensors[2:])
    np.testing.assert_allclose(numpy(gradient), -np.log(p), rtol=1e-9, atol=1e-14)


def test_keras_categorical_hinge_differs_from_the_formula():
    """All other scores negative: Keras replaces their maximum by 0 and returns 1.5, the formula gives 0."""
    label, scores = np.array([[1.0, 0.0, 0.0]], "float32"), np.array([[-0.5, -5.0, -5.0]], "float32")
    assert float(keras.losses.CategoricalHinge()(label, scores)) == 1.5
    assert float(losses.MulticlassHinge()(label, scores)) == 0.0


@pytest.mark.parametrize("name", ["multi_margin", "cross_entropy", "soft_margin", "l1", "mse"])
def test_matches_pytorch(name):
    """Oracle: `torch.nn.functional` on the CPU, for every backend under test."""
    import torch
    from torch.nn import functional

    scores, labels = RNG.normal(size=(6, 4)).astype("float32"), RNG.integers(0, 4, size=6)
    f, y, signs = torch.tensor(scores), torch.tensor(labels), np.where(scores[::-1] > 0, 1, -1).astype("float32")
    expected, ours = {
        # PyTorch divides by the number of classes.
        "multi_margin": (4 * functional.multi_margin_loss(f, y), losses.MulticlassHinge()(labels, scores)),
        "cross_entropy": (functional.cross_entropy(f, y), losses.SoftmaxCrossEntropy()(labels, scores)),
        "soft_margin": (functional.soft_margin_loss(f, torch.tensor(signs)), losses.Logistic()(signs, scores)),
        "l1": (functional.l1_loss(f[:, :1], torch.tensor(signs[:, :1])), losses.L1()(signs[:, :1], scores[:, :1])),
        "mse": (functional.mse_loss(f, torch.tensor(signs)), losses.L2()(signs, scores) / 4),
    }[name]
    assert_close(ours, float(expected))


if BACKEND != "torch":  # On PyTorch both runs would be eager.

    @pytest.mark.parametrize("loss", [losses.SoftmaxCrossEntropy, losses.MulticlassHinge, losses.Logistic])
    def test_fit_compiled_and_eager_agree(loss):
        """The same two epochs with XLA and eagerly, to 1e-5; unknown batch size, smaller last batch."""
        x = RNG.normal(size=(10, 4)).astype("float32")
        y = RNG.integers(0, 2, size=10)
        results = []
        for options in ({"jit_compile": True}, {"run_eagerly": True}):
            keras.utils.set_random_seed(1)
            model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1 if loss is losses.Logistic else 3)])
            model.compile(keras.optimizers.SGD(0.1), loss=loss(), **options)
            history = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
            results.append([history.history["loss"], *model.get_weights()])
        for compiled, eager in zip(*results, strict=True):
            np.testing.assert_allclose(compiled, eager, rtol=1e-5, atol=1e-6)


def _each_gradient(f, labels, scores):
    """∂ f(label, score)/∂ score of each sample, by the transformations of the framework."""
    if BACKEND == "jax":
        import jax

        return jax.vmap(jax.grad(f, argnums=1))(labels, scores)
    if BACKEND == "torch":
        import torch

        return torch.func.vmap(torch.func.grad(f, argnums=1))(labels, scores)
    import tensorflow as tf

    def gradient(pair):
        label, score = pair
        with tf.GradientTape() as tape:
            tape.watch(score)
            loss = f(label, score)
        return tape.gradient(loss, score)

    return tf.vectorized_map(gradient, (labels, scores))


@pytest.mark.parametrize("loss", CLASS_LOSSES + PAIR_LOSSES, ids=lambda loss: loss.__name__)
def test_gradients_of_each_sample_by_the_frameworks_transformations(loss):
    """Differential privacy and influence functions: on PyTorch the kernels refused `torch.func.vmap` and `grad`.

    Oracle: the gradient of the sum over the batch, whose rows do not depend on each other, to 1e-6.
    """
    scores = ops.convert_to_tensor(RNG.normal(size=(4, 5)).astype("float32"))
    labels = RNG.integers(0, 5, 4) if loss in CLASS_LOSSES else RNG.uniform(size=(4, 5)).astype("float32")
    labels, unit = ops.convert_to_tensor(labels), loss(reduction="sum")
    found = _each_gradient(lambda label, score: unit(label[None], score[None]), labels, scores)
    _, (expected,) = _backend.value_and_grad(lambda weights: (unit(labels, weights[0]), None))([scores])
    assert_close(found, numpy(expected), rtol=1e-6, atol=1e-6)


def test_scores_whose_number_of_classes_is_known_only_in_the_batch():
    """Batches may differ in their number of classes: on TensorFlow the loss could not be traced then."""
    labels, scores = RNG.integers(0, 3, 4), RNG.normal(size=(4, 3)).astype("float32")
    unit = losses.SoftmaxCrossEntropy(label_smoothing=0.1)
    expected = unit(labels, scores)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        signature = [tf.TensorSpec((None,), "int64"), tf.TensorSpec((None, None), "float32")]
        unit = tf.function(unit.__call__, input_signature=signature)
    assert_close(unit(labels, scores), numpy(expected))
