"""Data-dependent rescaling: unit variance of every layer's output, and nothing but the kernels changes."""

import keras
import numpy as np
import pytest
from support.harness import numpy

from keras_lecture.initializers import Gaussian, initialize, rescale
from keras_lecture.layers import WeightNormalization

layers = keras.layers


def batch(*shape, seed=0):
    return (3 * np.random.default_rng(seed).standard_normal(shape) + 1).astype("float32")


def residual(x, filters):
    y = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    return layers.ReLU()(layers.Add()([x, layers.Conv2D(filters, 3, padding="same")(y)]))


class Composite(layers.Layer):
    """A layer with a sublayer created in the constructor, its own kernel, and an activation that it always calls."""

    def __init__(self):
        super().__init__()
        self.inner = layers.Dense(6, "tanh", bias_initializer="ones")
        self.activation = keras.activations.softplus

    def build(self, input_shape):
        self.inner.build(input_shape)
        self.kernel = self.add_weight(shape=(6, 5), initializer="glorot_uniform")
        self.bias = self.add_weight(shape=(5,), initializer="ones")

    def call(self, x):
        return self.activation(keras.ops.matmul(self.inner(x), self.kernel) + self.bias)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.blocks = [Composite(), Composite()]
        self.head = layers.Dense(2)

    def call(self, inputs):
        return self.head(self.blocks[1](self.blocks[0](inputs["x"])) * inputs["gate"])


def sequential():
    convolutions = [
        layers.Conv2D(6, 3, activation="relu", bias_initializer=Gaussian(1.0)),
        layers.DepthwiseConv2D(3, activation="tanh"),
        layers.SeparableConv2D(5, 2, activation="relu"),
        layers.Conv2DTranspose(4, 3, 2),
    ]
    return keras.Sequential([keras.Input((8, 8, 3)), *convolutions, layers.Flatten(), layers.Dense(3, "softmax")]), 5


def functional():
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(4, 3, padding="same")(x)
    y = residual(residual(y, 4), 4)
    inner = keras.Sequential(
        [keras.Input((4,)), layers.BatchNormalization(), layers.Dense(7, "relu"), layers.Dropout(0.5)]
    )
    shared = layers.Dense(4, "relu")
    y = shared(shared(layers.GlobalAveragePooling2D()(y)))
    return keras.Model(x, layers.Dense(2)(inner(y))), 8


def attention():
    x = keras.Input((5, 6))
    y = layers.TimeDistributed(keras.Sequential([layers.Dense(8, "relu"), layers.Dense(6)]))(x)
    y = layers.LayerNormalization()(layers.MultiHeadAttention(2, 3)(y, y) + y)
    y = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(y)
    return keras.Model(x, layers.EinsumDense("abc,cd->abd", (None, 4), activation="relu")(y)), 7


MODELS = {
    "sequential": (sequential, (64, 8, 8, 3)),
    "functional": (functional, (64, 8, 8, 3)),
    "attention": (attention, (64, 5, 6)),
}


def pre_activations(model, x):
    """Standard deviation of each layer's first output without activation and bias, from another forward pass."""
    seen = {}

    def watch(layer):
        original = layer.call

        def call(inputs, *args, **kwargs):
            if layer.name not in seen:
                activation, layer.activation = layer.activation, keras.activations.linear
                bias = None if layer.bias is None else numpy(layer.bias)
                if bias is not None:
                    layer.bias.assign(np.zeros_like(bias))
                seen[layer.name] = numpy(original(inputs, *args, **kwargs)).std(dtype="float64")
                layer.activation = activation
                if bias is not None:
                    layer.bias.assign(bias)
            return original(inputs, *args, **kwargs)

        layer.call = call

    for layer in model._flatten_layers():
        if hasattr(layer, "bias") and hasattr(layer, "activation"):
            watch(layer)
    model(x, training=False)
    return seen


# Not the attention model: Keras calls the layers inside TimeDistributed for each time step.
@pytest.mark.parametrize("name", ["sequential", "functional"])
def test_the_output_of_every_layer_has_unit_variance(name):
    """Oracle: NumPy float64 standard deviations in a second pass over the rescaled model."""
    make, shape = MODELS[name]
    model, count = make()
    rescale(model, batch(*shape), verbose=0)
    stds = pre_activations(model, batch(*shape))
    assert len(stds) == count
    np.testing.assert_allclose(list(stds.values()), 1, rtol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_every_kernel_has_a_record_of_unit_variance(name):
    make, shape = MODELS[name]
    model, count = make()
    records = rescale(model, batch(*shape), verbose=0)
    assert len(records) == count
    assert all(abs(record["std_after"] - 1) < 1e-3 for record in records)


@pytest.mark.parametrize("name", MODELS)
def test_only_the_kernels_change_by_the_factors_in_the_records(name):
    make, shape = MODELS[name]
    model, _ = make()
    model.compile("adam", "mse")
    before = {variable.path: numpy(variable) for variable in model.variables + model.optimizer.variables}
    attributes = {id(layer): dict(vars(layer)) for layer in model._flatten_layers()}
    factors = {record["name"]: record["factor"] for record in rescale(model, batch(*shape), verbose=0)}
    for variable in model.variables + model.optimizer.variables:
        np.testing.assert_allclose(numpy(variable), before[variable.path] * factors.get(variable.path, 1), rtol=1e-6)
    for layer in model._flatten_layers():
        assert "call" not in vars(layer)
        assert vars(layer).get("activation") is attributes[id(layer)].get("activation")


def test_it_is_deterministic_and_a_second_call_changes_nothing():
    model, _ = functional()
    weights = model.get_weights()
    first = rescale(model, batch(64, 8, 8, 3), verbose=0)
    once = model.get_weights()
    again = rescale(model, batch(64, 8, 8, 3), verbose=0)
    np.testing.assert_allclose([record["factor"] for record in again], 1, rtol=1e-4)
    model.set_weights(weights)
    assert rescale(model, batch(64, 8, 8, 3), verbose=0) == first
    for a, b in zip(model.get_weights(), once, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_subclassed_model_with_custom_layers():
    """Several inputs, sublayers in lists, a custom layer with its own kernel and an activation that it always calls."""
    model = Subclassed()
    x = {"x": batch(64, 4), "gate": batch(64, 1, seed=1)}
    model(x)
    report = rescale(model, x, verbose=0)
    assert len(report) == 5
    np.testing.assert_allclose(list(pre_activations(model, x).values()), 1, rtol=1e-3)
    assert all(abs(record["std_after"] - 1) < 1e-4 for record in report)


def test_twenty_layers_of_a_residual_network_keep_reasonable_values():
    """With Gaussian(1) the activations explode; after rescaling, the logits of 20 layers have unit variance."""
    x = keras.Input((16,))
    y = layers.Dense(32)(x)
    for _ in range(10):
        y = y + layers.Dense(32)(layers.Dense(32, "relu")(y))
    model = keras.Model(x, layers.Dense(4)(y))
    initialize(model, Gaussian(1.0, seed=0))
    assert numpy(model(batch(200, 16))).std() > 1e6
    rescale(model, batch(200, 16), verbose=0)
    assert abs(numpy(model(batch(200, 16))).std() - 1) < 0.01


def test_a_dead_layer_is_reported_and_unchanged():
    dense = layers.Dense(3, kernel_initializer="zeros", name="dead")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5), dense, layers.Dense(2)])
    before = model.get_weights()
    alive, dead, behind = rescale(model, batch(32, 4), verbose=0)
    assert alive["factor"] != 1
    assert dead == {"name": dense.kernel.path, "std_before": 0.0, "factor": 1.0, "std_after": 0.0}
    assert (behind["std_before"], behind["factor"]) == (0.0, 1.0)
    for i in (1, 2, 3, 4, 5):
        np.testing.assert_array_equal(model.get_weights()[i], before[i])


def test_with_a_non_finite_batch_a_layer_is_reported_and_unchanged():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5)])
    before = model.get_weights()
    [record] = rescale(model, np.full((8, 4), np.nan, "float32"), verbose=0)
    assert np.isnan(record["std_before"])
    assert record["factor"] == 1
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_a_kernel_whose_scale_does_not_affect_the_output_is_unchanged():
    """As in weight normalization, where repeated division would end at zero."""

    class Normalized(layers.Dense):
        def call(self, x):
            return keras.ops.matmul(x, self.kernel / keras.ops.norm(self.kernel))

    model = keras.Sequential([keras.Input((4,)), Normalized(5)])
    before = model.get_weights()
    [record] = rescale(model, batch(32, 4), verbose=0)
    assert record["factor"] == 1
    assert record["std_after"] == record["std_before"] != 1
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16"])
def test_low_precision(policy):
    """The first output overflows in float16: 1000 inputs of up to 255, largest number 65504."""
    keras.config.set_dtype_policy(policy)
    model = keras.Sequential([keras.Input((1000,)), layers.Dense(20, "relu"), layers.Dense(8)])
    initialize(model, Gaussian(8.0, seed=0))
    report = rescale(model, np.full((16, 1000), 255.0) * np.random.default_rng(0).uniform(size=(16, 1)), verbose=0)
    assert all(abs(record["std_after"] - 1) < 0.02 for record in report)
    assert report[0]["std_before"] > 1e4


def test_an_exception_leaves_the_model_unchanged():
    class Failing(layers.Layer):
        failing = False

        def call(self, x):
            if self.failing:
                raise RuntimeError("on purpose")
            return x

    first = layers.Dense(4, "relu")
    model = keras.Sequential([keras.Input((4,)), first, layers.BatchNormalization(), Failing(), layers.Dense(2)])
    before = model.get_weights()
    Failing.failing = True
    with pytest.raises(RuntimeError, match="on purpose"):
        rescale(model, batch(8, 4), verbose=0)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert "call" not in vars(first)
    assert first.activation is keras.activations.relu


def test_seeds_and_statistics_do_not_change():
    class Noisy(layers.Layer):
        """A layer that draws random numbers and counts its calls in inference, too."""

        def __init__(self):
            super().__init__()
            self.seed_generator = keras.random.SeedGenerator(3)
            self.count = self.add_weight(shape=(), trainable=False, initializer="zeros")

        def call(self, x):
            self.count.assign(self.count + 1)
            return x + keras.random.normal(keras.ops.shape(x), seed=self.seed_generator)

    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4), Noisy(), layers.BatchNormalization(), layers.Dense(2)]
    )
    before = [numpy(variable) for variable in model.non_trainable_variables]
    rescale(model, batch(8, 4), verbose=0)
    for a, b in zip(model.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(numpy(a), b)


def test_a_compiled_model_trains_afterwards():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, "relu"), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    x, y = batch(32, 4), np.zeros((32, 1), "float32")
    model.fit(x, y, verbose=0)
    rescale(model, x, verbose=0)
    start = model.evaluate(x, y, verbose=0)
    assert 0.5 < start < 2.5
    model.fit(x, y, epochs=3, verbose=0)
    assert model.evaluate(x, y, verbose=0) < start


def test_the_progress_bar_is_shown_by_default_and_can_be_switched_off(capsys):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8), layers.Dense(1)])
    rescale(model, batch(8, 4), verbose=0)
    assert capsys.readouterr().out == ""
    rescale(model, batch(8, 4))
    assert "2/2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "verbose", "argument"),
    [
        ("model", 0, "model"),
        (keras.Sequential([layers.Dense(2)]), 0, "model"),
        (None, 3, "verbose"),
        (None, "yes", "verbose"),
    ],
)
def test_rejects(model, verbose, argument):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8)]) if model is None else model
    with pytest.raises((ValueError, TypeError), match=f"rescale: `{argument}` must be .* Received: {argument}="):
        rescale(model, batch(8, 4), verbose=verbose)


def test_a_data_set_is_no_batch():
    """It went on into the model, whose error did not say what is needed."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8)])
    for data in (iter([np.zeros((8, 4))]), "digits"):
        with pytest.raises(TypeError, match="rescale: `x` must be one batch of inputs"):
            rescale(model, data)


def test_a_kernel_that_does_not_scale_the_output_stays_even_if_the_output_is_near_1():
    """The record said `factor` 0.97 and `std_after` 1.03: an output that stays near 1 was taken for one that scales."""
    dense = WeightNormalization(layers.Dense(7), data_init=False)
    model = keras.Sequential([keras.Input((4,)), dense])
    x = batch(64, 4)
    x = x / np.std(model.predict(x, verbose=0))
    before = numpy(dense.layer.kernel)
    for target in (0.97, 1.03):
        (record,) = rescale(model, target * x, verbose=0)
        assert record["factor"] == 1.0 and record["std_after"] == pytest.approx(target, rel=1e-4)
        np.testing.assert_array_equal(numpy(dense.layer.kernel), before)
