"""Batch normalization against PyTorch and Keras; population statistics against NumPy."""

import functools

import keras
import numpy as np
import pytest
import torch
from keras import ops
from oracles import layers as oracles
from support.harness import BACKEND, assert_close, in_one, numpy

from keras_lecture import _backend
from keras_lecture.layers import BatchNormalization, recalibrate
from keras_lecture.layers.normalization.batch_normalization import batch_normalize


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(3.0, 2.0, size=shape).astype("float32")


@pytest.mark.parametrize(("shape", "axis"), [((6, 4), -1), ((4, 5, 5, 3), -1), ((4, 3, 5, 5), 1), ((2, 3, 4, 5, 6), 2)])
def test_training_output_and_gradients_match_pytorch(shape, axis):
    """Oracle: `torch.nn.functional.batch_norm` in float64; float32 tolerance."""
    x, cotangent = data(*shape), data(*shape, seed=1)
    layer = BatchNormalization(axis, epsilon=0.01)
    layer.build(shape)
    gamma, beta = data(shape[axis], seed=2), data(shape[axis], seed=3)
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    rest = [v.value for v in layer.non_trainable_variables]

    def loss(weights):
        y, _ = layer.stateless_call(weights[1:], rest, weights[0], training=True)
        return ops.sum(ops.multiply(y, cotangent)), y

    (_, y), gradients = in_one(_backend.value_and_grad(loss))([ops.convert_to_tensor(a) for a in (x, gamma, beta)])
    leaves = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (x, gamma, beta)]
    moved = leaves[0].movedim(axis, 1)
    expected = torch.nn.functional.batch_norm(moved, None, None, *leaves[1:], training=True, eps=0.01)
    expected = expected.movedim(1, axis)
    expected.backward(torch.tensor(cotangent, dtype=torch.float64))
    assert_close(y, expected.detach().numpy(), atol=1e-5)
    for gradient, leaf in zip(gradients, leaves, strict=True):
        assert_close(gradient, leaf.grad.numpy(), rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("mask", [None, "mask"])
def test_moving_statistics_are_those_of_keras(mask):
    x = data(6, 5, 3)
    mask = None if mask is None else np.random.default_rng(1).random((6, 5)) > 0.4
    ours, theirs = BatchNormalization(momentum=0.8), keras.layers.BatchNormalization(momentum=0.8)
    for layer in (ours, theirs):
        layer(x, training=True, mask=mask)
        layer(x + 1, training=True, mask=mask)
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        assert_close(a, numpy(b))
    assert_close(ours(x), numpy(theirs(x)), atol=1e-5)


@pytest.mark.parametrize(("mean", "rtol"), [(3.9, 1e-5), (1e4, 1e-3)])
def test_a_mean_far_from_zero_does_not_cancel_the_variance(mean, rtol):
    """Variance 1 around 10⁴: E[x²] − E[x]² in float32 would be wrong by several units."""
    x = (np.random.default_rng(0).normal(size=(64, 8, 8, 2)) + mean).astype("float32")
    layer = BatchNormalization(momentum=0.0)
    y = numpy(layer(x, training=True))
    assert_close(layer.moving_variance, x.astype("float64").var((0, 1, 2)), rtol=rtol)
    np.testing.assert_allclose(y.var((0, 1, 2)), 1.0, rtol=2e-3)


def test_a_shift_of_the_data_changes_neither_outputs_nor_gradients():
    """The values are binary fractions, exact in float32 before and after: only the sums are rounded."""
    generator = np.random.default_rng(0)
    x, slope = np.round(256 * generator.normal(size=(64, 4, 2))) / 256, generator.normal(size=(64, 4, 2))

    def loss(weights):
        y, _, _ = batch_normalize(*weights, -1, 1e-3)
        return ops.sum(y * ops.convert_to_tensor(slope, "float32")), y

    run = in_one(_backend.value_and_grad(loss))
    weights = [ops.convert_to_tensor(w, "float32") for w in ([1.5, 0.5], [0.0, 1.0])]
    (_, y), gradients = run([ops.convert_to_tensor(x, "float32"), *weights])
    (_, shifted), shifted_gradients = run([ops.convert_to_tensor(x + 64, "float32"), *weights])
    for one, other in zip([y, *gradients], [shifted, *shifted_gradients], strict=True):
        assert_close(one, numpy(other), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_population_is_the_weighted_mean_over_unequal_batches(masked, policy):
    """Oracle: NumPy in float64. The last batch is smaller; masks differ."""
    batches = [data(8, 5, 3, seed=1), data(8, 5, 3, seed=2), data(3, 5, 3, seed=3)]
    masks = [np.random.default_rng(k).random(b.shape[:2]) > 0.3 for k, b in enumerate(batches)] if masked else None
    layer = BatchNormalization(statistics="population", dtype=policy)
    for index, batch in enumerate(batches):
        layer(batch, training=True, mask=None if masks is None else masks[index])
    if policy == "mixed_float16":
        batches = [b.astype("float16") for b in batches]
    mean, variance = oracles.population(batches, masks)
    assert_close(layer.moving_mean, mean, rtol=1e-5)
    assert_close(layer.moving_variance, variance, rtol=1e-5)


def test_equal_batches_give_the_formula_of_the_slide():
    batches = [data(8, 3, seed=k) for k in range(4)]
    layer = BatchNormalization(statistics="population")
    for batch in batches:
        layer(batch, training=True)
    assert_close(layer.moving_mean, np.mean([b.mean(0) for b in batches], 0))
    assert_close(layer.moving_variance, 8 / 7 * np.mean([b.var(0, dtype="float64") for b in batches], 0))


def test_a_pass_starts_with_every_epoch_of_fit_and_validation_does_not_disturb_it():
    """With learning rate 0, the statistics after three epochs are those of one pass of training data."""
    x = data(10, 3)
    model = keras.Sequential([keras.Input((3,)), BatchNormalization(statistics="population"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    logs = model.fit(
        x, x[:, :1], batch_size=4, epochs=3, shuffle=False, validation_data=(x + 9, x[:, :1]), verbose=0
    ).history
    mean, variance = oracles.population([x[:4], x[4:8], x[8:]])
    assert_close(model.layers[0].moving_mean, mean)
    assert_close(model.layers[0].moving_variance, variance)
    assert set(logs) == {"loss", "val_loss"}


class Evaluates(keras.callbacks.Callback):
    """Evaluates other data at the start and in the middle of each epoch, twice, and predicts."""

    def __init__(self, x):
        super().__init__()
        self.x = x

    def on_epoch_begin(self, epoch, logs=None):
        self.model.evaluate(self.x, self.x[:, :1], verbose=0)
        self.model.predict(self.x, verbose=0)

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            self.on_epoch_begin(0)
            self.model.evaluate(self.x, self.x[:, :1], verbose=0)

    def on_epoch_end(self, epoch, logs=None):
        self.on_epoch_begin(0)


@pytest.mark.parametrize("eager", [False, True])
def test_an_evaluation_in_the_middle_of_an_epoch_does_not_disturb_the_pass(eager):
    """It resets the metrics as the start of an epoch does; the pass restarted there: a mean of 3.42, not 3.00."""
    x = data(12, 3)
    model = keras.Sequential([keras.Input((3,)), BatchNormalization(statistics="population"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=eager)
    model.fit(x + 5, x[:, :1], batch_size=4, epochs=1, shuffle=False, verbose=0)
    options = {"shuffle": False, "validation_data": (x + 9, x[:, :1]), "validation_freq": 2, "verbose": 0}
    model.fit(x, x[:, :1], batch_size=4, epochs=2, callbacks=[Evaluates(x + 9)], **options)
    mean, variance = oracles.population([x[:4], x[4:8], x[8:]])
    assert_close(model.layers[0].moving_mean, mean)
    assert_close(model.layers[0].moving_variance, variance)


def test_an_evaluation_does_not_disturb_the_pass_of_a_layer_inside_other_layers():
    """Keras lists and resets the metric of a nested layer once for each layer around it."""
    x = data(12, 3)
    layer = BatchNormalization(statistics="population")
    inner = keras.Sequential([keras.Input((3,)), layer])
    model = keras.Sequential([keras.Input((3,)), keras.Sequential([keras.Input((3,)), inner]), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    model.fit(x, x[:, :1], batch_size=4, epochs=2, shuffle=False, callbacks=[Evaluates(x + 9)], verbose=0)
    mean, variance = oracles.population([x[:4], x[4:8], x[8:]])
    assert_close(layer.moving_mean, mean)
    assert_close(layer.moving_variance, variance)


def test_a_train_step_as_in_the_guide_of_keras_runs_with_the_hidden_metric():
    """The guide updates every metric of the model with labels and predictions."""
    layer = BatchNormalization(statistics="population")
    (metric,) = layer.metrics
    metric.update_state(np.zeros(2), np.zeros(2))
    assert metric.result() == {}


def test_an_empty_mask_changes_no_statistics():
    x = data(4, 5, 3)
    for statistics in ("moving", "population"):
        layer = BatchNormalization(statistics=statistics)
        layer(x, training=True)
        before = [numpy(w) for w in layer.weights]
        y = layer(x, training=True, mask=np.zeros((4, 5), bool))
        assert np.all(np.isfinite(numpy(y)))
        for weight, old in zip(layer.weights, before, strict=True):
            assert_close(weight, old)


@pytest.mark.parametrize("statistics", ["moving", "population"])
@pytest.mark.parametrize("shape_known", [True, False] if BACKEND == "tensorflow" else [True])
def test_an_empty_batch_changes_no_statistics(statistics, shape_known):
    """Its moments are NaN, and the moving statistics stayed NaN. TensorFlow may not know the size in advance."""
    layer = BatchNormalization(statistics=statistics)
    layer(data(4, 5, 3), training=True)
    before = [numpy(w) for w in layer.weights]
    train = functools.partial(layer, training=True)
    if not shape_known:
        import tensorflow as tf

        train = tf.function(train, input_signature=[tf.TensorSpec((None, 5, 3))])
    assert tuple(train(ops.zeros((0, 5, 3))).shape) == (0, 5, 3)
    for weight, old in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(numpy(weight), old)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
@pytest.mark.parametrize("training", [True, False])
def test_integers_are_normalized_as_floats(dtype, training):
    """In training the result was rounded to the dtype of the input: 255 instead of −0.58 in uint8."""
    x = np.random.default_rng(0).integers(0, 2, (6, 3)).astype(dtype)
    layer, same = BatchNormalization(), BatchNormalization()
    y = layer(x, training=training)
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    assert_close(y, numpy(same(x.astype("float32"), training=training)))
    for weight, expected in zip(layer.weights, same.weights, strict=True):
        assert_close(weight, numpy(expected))


def test_a_frozen_layer_runs_as_at_inference():
    x = data(4, 3)
    layer = BatchNormalization()
    layer.build(x.shape)
    layer.trainable = False
    assert_close(layer(x, training=True), numpy(layer(x, training=False)))


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"axis": 1.5}, "axis"),
        ({"momentum": 1.1}, "momentum"),
        ({"epsilon": 0}, "epsilon"),
        ({"statistics": "all"}, "statistics"),
        ({"statistics": "population", "renorm": True}, "renorm"),
    ],
)
def test_rejects(arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"BatchNormalization: `{argument}`"):
        BatchNormalization(**arguments)


class TestRecalibrate:
    @pytest.mark.parametrize("kind", [BatchNormalization, keras.layers.BatchNormalization])
    def test_one_batch_gives_the_moments_of_the_data(self, kind):
        x = data(20, 4, 4, 3)
        model = keras.Sequential([keras.Input((4, 4, 3)), kind()])
        assert recalibrate(model, x, batch_size=20, verbose=0) == 1
        rows = x.reshape(-1, 3).astype("float64")
        assert_close(model.layers[0].moving_mean, rows.mean(0))
        assert_close(model.layers[0].moving_variance, rows.var(0))

    @pytest.mark.parametrize("formula", ["exact", "slide"])
    @pytest.mark.parametrize("masked", [False, True])
    def test_sorted_data_in_unequal_batches(self, formula, masked):
        """Oracle: NumPy's moments of all rows at once. The slide's formula gave a variance of .27 instead of 25.9."""
        x = np.sort(data(10, 5, 3) * 4, axis=0)
        mask = np.random.default_rng(1).random((10, 5)) > 0.4 if masked else np.ones((10, 5), bool)
        mask[4:8] &= mask[4:5]
        x[~mask] = 0
        layers = [keras.layers.Masking()] if masked else []
        model = keras.Sequential([keras.Input((5, 3)), *layers, BatchNormalization()])
        recalibrate(model, x, batch_size=4, formula=formula, verbose=0)
        oracle = oracles.moments if formula == "exact" else oracles.population
        cuts = [slice(0, 4), slice(4, 8), slice(8, 10)]
        mean, variance = oracle([x[c] for c in cuts], [mask[c] for c in cuts])
        assert_close(model.layers[-1].moving_mean, mean)
        assert_close(model.layers[-1].moving_variance, variance)

    def test_values_far_from_zero_do_not_cancel(self):
        x = data(64, 2) + 1e4
        model = keras.Sequential([keras.Input((2,)), BatchNormalization()])
        recalibrate(model, x, batch_size=5, verbose=0)
        assert_close(model.layers[0].moving_variance, x.astype("float64").var(0), rtol=1e-3)

    def test_an_empty_batch_has_no_weight(self):
        """Its NaN moments made the statistics NaN."""
        x = data(8, 3)
        model = keras.Sequential([keras.Input((3,)), BatchNormalization()])
        recalibrate(model, iter([x[:0], x[:4], x[:0], x[4:]]), verbose=0)
        assert_close(model.layers[0].moving_mean, x.mean(0, dtype="float64"))
        assert_close(model.layers[0].moving_variance, x.var(0, dtype="float64"))

    def test_a_subclassed_model_without_a_training_argument(self):
        """It was a TypeError: `stateless_call` passes `training` to every `call`. Dropout is off nevertheless."""

        class Model(keras.Model):
            def __init__(self):
                super().__init__()
                self.drop, self.norm = keras.layers.Dropout(0.5), keras.layers.BatchNormalization()

            def call(self, x):
                return self.norm(self.drop(x))

        model, x = Model(), data(10, 3)
        model(x)
        assert recalibrate(model, x, batch_size=4, verbose=0) == 1
        assert_close(model.norm.moving_mean, x.mean(0))

    @pytest.mark.parametrize("source", ["list", "dict", "batches"])
    def test_a_model_with_two_inputs(self, source):
        """`[x1, x2]` was read as two batches."""
        x, z = data(10, 3), data(10, 2, seed=1)
        inputs = {"x": keras.Input((3,), name="x"), "z": keras.Input((2,), name="z")}
        inputs = inputs if source == "dict" else [*inputs.values()]
        outputs = keras.layers.BatchNormalization()(keras.layers.Concatenate()(keras.tree.flatten(inputs)))
        model = keras.Model(inputs, outputs)
        batches = (([x[i : i + 4], z[i : i + 4]], z[i : i + 4]) for i in (0, 4, 8))
        recalibrate(model, {"list": [x, z], "dict": {"x": x, "z": z}, "batches": batches}[source], verbose=0)
        mean, variance = oracles.moments([np.concatenate([x, z], 1)])
        assert_close(model.layers[-1].moving_mean, mean)
        assert_close(model.layers[-1].moving_variance, variance)

    @pytest.mark.parametrize("wrong", ["list of batches", "list of tuples", "lengths", "number"])
    def test_rejects_data_that_are_neither_inputs_nor_batches(self, wrong):
        x = data(10, 3)
        given = {
            "list of batches": [x[:4], x[4:8], x[8:]],
            "list of tuples": [(x, x), (x, x)],
            "lengths": (x, x[:3]),
            "number": [1.0, 2.0],
        }[wrong]
        model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
        with pytest.raises(ValueError, match="recalibrate: `data` must be arrays"):
            recalibrate(model, given, verbose=0)

    @pytest.mark.parametrize("source", ["arrays", "generator", "tuples", "DataLoader", "PyDataset"])
    def test_reads_every_kind_of_data_with_an_unequal_last_batch(self, source):
        x = data(10, 3)
        batches = [x[:4], x[4:8], x[8:]]

        class Batches(keras.utils.PyDataset):
            def __len__(self):
                return 3

            def __getitem__(self, index):
                return batches[index], np.zeros(len(batches[index]))

        given = {
            "arrays": x,
            "generator": iter(batches),
            "tuples": ((b, b) for b in batches),
            # Its batches are lists.
            "DataLoader": torch.utils.data.DataLoader(
                torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(x)), batch_size=4
            ),
            "PyDataset": Batches(),
        }[source]
        model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
        recalibrate(model, given, batch_size=4, verbose=0)
        mean, variance = oracles.moments(batches)
        assert_close(model.layers[0].moving_mean, mean)
        assert_close(model.layers[0].moving_variance, variance)

    def test_a_deep_model_normalizes_by_the_batch_and_nothing_else_changes(self):
        """Oracle: the second layer's input, computed by hand from the first layer's batch statistics."""
        x = data(12, 3)
        inner = keras.Sequential(
            [keras.layers.Dropout(0.5, seed=1), BatchNormalization(epsilon=0.01), keras.layers.ReLU()]
        )
        outputs = keras.layers.BatchNormalization()(inner(inputs := keras.Input((3,))))
        model = keras.Model(inputs, outputs)
        first, last = inner.layers[1], model.layers[-1]
        frozen = {id(v) for v in (first.moving_mean, first.moving_variance, last.moving_mean, last.moving_variance)}
        before = {id(v): numpy(v) for v in model.variables if id(v) not in frozen}
        assert recalibrate(model, x, batch_size=6, verbose=0) == 2
        rectified = [np.maximum((b - b.mean(0)) / np.sqrt(b.var(0) + 0.01), 0) for b in (x[:6], x[6:])]
        mean, variance = oracles.moments(rectified)
        assert_close(last.moving_mean, mean, atol=1e-5)
        assert_close(last.moving_variance, variance, atol=1e-5)
        for variable in model.variables:
            if id(variable) not in frozen:
                assert_close(variable, before[id(variable)])

    def test_an_exception_in_the_data_leaves_the_model_as_it_was(self):
        def broken():
            yield data(4, 3)
            raise RuntimeError("the disk is gone")

        model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization(momentum=0.7)])
        before = [numpy(v) for v in model.variables]
        with pytest.raises(RuntimeError, match="the disk is gone"):
            recalibrate(model, broken(), verbose=0)
        for variable, old in zip(model.variables, before, strict=True):
            assert_close(variable, old)
        assert model.layers[0].momentum == 0.7
        assert "call" not in vars(model.layers[0])

    def test_frozen_layers_keep_their_statistics(self):
        model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
        model.layers[0].trainable = False
        assert recalibrate(model, data(4, 3), verbose=0) == 0
        assert_close(model.layers[0].moving_mean, np.zeros(3))

    def test_shows_a_progress_bar(self, capsys):
        model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
        recalibrate(model, data(8, 3), batch_size=4)
        assert "2/2" in capsys.readouterr().out

    def test_rejects_no_data(self):
        model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
        with pytest.raises(ValueError, match="recalibrate: `data`"):
            recalibrate(model, [], verbose=0)

    def test_rejects_a_model_that_is_not_built(self):
        """Its error was about the lengths in a `zip`."""
        model = keras.Sequential([keras.layers.BatchNormalization()])
        with pytest.raises(ValueError, match="recalibrate: `model` must be built"):
            recalibrate(model, data(8, 3), verbose=0)

    def test_rejects_data_that_are_all_masked(self):
        """The statistics of no values had another shape than the layer's, which Keras complained about."""
        model = keras.Sequential([keras.Input((2, 3)), keras.layers.Masking(), keras.layers.BatchNormalization()])
        with pytest.raises(ValueError, match="recalibrate: `data` must be at least one value that is not masked"):
            recalibrate(model, np.zeros((4, 2, 3), "float32"), verbose=0)


def test_masked_values_may_be_nan_and_a_mask_of_another_rank_is_rejected():
    """NaN·0 is NaN, and a mask with too few axes was applied to the wrong ones. Oracle: NumPy on unmasked values."""
    x = np.random.default_rng(0).normal(size=(2, 2, 3)).astype("float32")
    mask = np.array([[True, False], [True, True]])
    x[~mask] = np.nan
    layer = BatchNormalization(momentum=0.0)
    layer(ops.convert_to_tensor(x), training=True, mask=ops.convert_to_tensor(mask))
    assert_close(layer.moving_mean, x[mask].mean(0))
    assert_close(layer.moving_variance, x[mask].var(0))
    with pytest.raises(ValueError, match="`mask` must be a tensor with 3 axes"):
        BatchNormalization()(ops.ones((2, 2, 2, 3)), training=True, mask=ops.convert_to_tensor(mask))


@pytest.mark.parametrize("masked", [False, True])
def test_synchronized_is_accepted_everywhere_and_changes_nothing_on_one_device(masked):
    """Keras accepts it on TensorFlow alone, and with a mask it was ignored. Oracle: the layer without it.

    `tests/engines` compares it on several devices.
    """
    x = ops.convert_to_tensor(data(8, 5, 3))
    mask = ops.convert_to_tensor(np.arange(40).reshape(8, 5) % 3 > 0) if masked else None
    for statistics in ("moving", "population"):
        plain, synchronized = (BatchNormalization(statistics=statistics, synchronized=s) for s in (False, True))
        outputs = [numpy(layer(x, training=True, mask=mask)) for layer in (plain, synchronized)]
        np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-5, atol=1e-6)
        for found, expected in zip(synchronized.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        assert synchronized.get_config()["synchronized"]
