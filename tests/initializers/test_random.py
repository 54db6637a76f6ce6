"""Random initializers: distribution, variance, seeds, precision, and the output variance of every kind of layer."""

import keras
import numpy as np
import pytest
import scipy.stats
from support.harness import numpy, precision

from keras_lecture.initializers import Gaussian, Kaiming, Xavier, initialize
from keras_lecture.layers import Maxout

layers = keras.layers


def assert_variance(values, expected, errors=5):
    """The mean is 0 and the variance as expected within `errors` standard errors, at most σ²√(2/n) for the variance."""
    values = np.asarray(values, "float64").ravel()
    assert abs(values.var() / expected - 1) < errors * np.sqrt(2 / values.size)
    assert abs(values.mean()) < errors * np.sqrt(expected / values.size)


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize(("mode", "n"), [("fan_in", 200), ("fan_out", 300), ("fan_avg", 250)])
@pytest.mark.parametrize(("make", "gain"), [(Xavier, 1), (Kaiming, 2)])
def test_the_variance_is_one_over_the_fan(make, gain, mode, n, distribution):
    """n = 60 000 values, 5 standard errors."""
    assert_variance(numpy(make(mode, distribution=distribution, seed=1)((200, 300))), gain / n)


@pytest.mark.parametrize("slope", [0.0, 0.1, 1.0, -0.5])
def test_kaiming_depends_on_the_slope(slope):
    assert_variance(numpy(Kaiming(negative_slope=slope, seed=1)((100, 500))), 2 / ((1 + slope**2) * 100))


def test_negative_slope_1_is_xavier():
    np.testing.assert_array_equal(numpy(Kaiming(negative_slope=1.0, seed=3)((5, 4))), numpy(Xavier(seed=3)((5, 4))))


def test_fan_avg_uniform_is_the_interval_of_the_deck():
    """Oracle: SciPy's Kolmogorov–Smirnov test against U(±√6/√(n_k + n_{k+1})), 20 000 values."""
    w = numpy(Xavier("fan_avg", distribution="uniform", seed=1)((100, 200))).ravel()
    limit = np.sqrt(6) / np.sqrt(300)
    assert np.abs(w).max() <= limit * (1 + 1e-6)
    assert scipy.stats.kstest(w, scipy.stats.uniform(-limit, 2 * limit).cdf).pvalue > 1e-4


@pytest.mark.parametrize("initializer", [Xavier(seed=1), Kaiming(seed=1), Gaussian(std=0.3, seed=1)])
def test_a_normal_distribution_is_not_truncated(initializer):
    """Oracle: SciPy's Kolmogorov–Smirnov test; Keras's GlorotNormal cuts off at 2σ/0.88, 2.3 % of a normal."""
    w = numpy(initializer((100, 200))).ravel()
    assert scipy.stats.kstest(w / w.std(), "norm").pvalue > 1e-4
    assert np.abs(w).max() > 3 * w.std()
    truncated = numpy(keras.initializers.GlorotNormal(seed=1)((100, 200)))
    assert np.abs(truncated).max() < 2.4 * truncated.std()


@pytest.mark.parametrize(("std", "mean"), [(0.01, 0.0), (1.0, 0.0), (0.0, 3.0), (2.0, -1.0)])
def test_gaussian_has_its_moments(std, mean):
    w = numpy(Gaussian(std, mean=mean, seed=1)((200, 100)))
    assert abs(w.mean() - mean) <= 5 * std / np.sqrt(w.size) + 1e-6
    assert abs(w.std() - std) <= 5 * std / np.sqrt(2 * w.size)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("make", [Xavier, Gaussian])
def test_every_precision_has_the_variance_and_the_tails(make, dtype):
    """Random bits of bfloat16 would cut the tails; half-precision weights are float32 numbers, rounded."""
    with precision("float64" if dtype == "float64" else "float32"):
        w = make(seed=1)((100, 200), dtype=dtype)
        assert keras.backend.standardize_dtype(w.dtype) == dtype
        w = numpy(keras.ops.cast(w, "float32"))
        if dtype != "float64":
            wide = make(seed=1)((100, 200), dtype="float32")
            np.testing.assert_array_equal(w, numpy(keras.ops.cast(keras.ops.cast(wide, dtype), "float32")))
    assert_variance(w, 1 / 100 if make is Xavier else 1e-4)
    assert np.abs(w).max() > 3.5 * w.std()


@pytest.mark.parametrize("make", [Gaussian, Xavier, Kaiming])
def test_seeds_work_as_in_keras(make):
    """An integer seed repeats the numbers, a generator continues, and without a seed instances differ."""
    np.testing.assert_array_equal(numpy(make(seed=7)((3, 4))), numpy(make(seed=7)((3, 4))))
    assert (numpy(make(seed=7)((3, 4))) != numpy(make(seed=8)((3, 4)))).all()
    continuing = make(seed=keras.random.SeedGenerator(7))
    assert (numpy(continuing((3, 4))) != numpy(continuing((3, 4)))).all()
    assert (numpy(make()((3, 4))) != numpy(make()((3, 4)))).all()


@pytest.mark.parametrize(
    "initializer",
    [
        Gaussian(0.5, mean=1.0, seed=3),
        Xavier("fan_out", distribution="uniform", seed=3, input_axes=(0, 1), output_axes=(2,)),
        Kaiming("fan_avg", distribution="uniform", negative_slope=0.3, seed=3),
        Kaiming(seed=keras.random.SeedGenerator(5)),
    ],
)
def test_a_layer_with_it_saves_and_loads_without_custom_objects(initializer, tmp_path):
    model = keras.Sequential([keras.Input((4, 3)), layers.Conv1D(2, 2, kernel_initializer=initializer)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").layers[0].kernel_initializer
    again = initializer.clone()
    for copy in (loaded, again):
        assert type(copy) is type(initializer)
        assert keras.saving.serialize_keras_object(copy) == keras.saving.serialize_keras_object(initializer)


SIGNALS = {
    "dense": (lambda k: layers.Dense(300, kernel_initializer=k), (300,)),
    "convolution 1-D": (lambda k: layers.Conv1D(40, 5, kernel_initializer=k), (20, 30)),
    "convolution 2-D": (lambda k: layers.Conv2D(40, 3, kernel_initializer=k), (8, 8, 20)),
    "convolution 3-D": (lambda k: layers.Conv3D(40, 2, kernel_initializer=k), (4, 4, 4, 20)),
    "grouped": (lambda k: layers.Conv1D(40, 5, groups=4, kernel_initializer=k), (20, 40)),
    "depthwise": (lambda k: layers.DepthwiseConv2D(5, depthwise_initializer=k), (8, 8, 400)),
    "separable": (
        lambda k: layers.SeparableConv2D(200, 5, depthwise_initializer=k, pointwise_initializer=k),
        (8, 8, 200),
    ),
    "transposed": (lambda k: layers.Conv2DTranspose(60, 3, kernel_initializer=k), (8, 8, 20)),
    "transposed strided": (lambda k: layers.Conv2DTranspose(60, 4, 2, kernel_initializer=k), (8, 8, 20)),
    "einsum": (lambda k: layers.EinsumDense("abc,cde->abde", (3, 12, 25), kernel_initializer=k), (3, 200)),
    "einsum, two inputs": (lambda k: layers.EinsumDense("abcd,cde->abe", (3, 200), kernel_initializer=k), (3, 8, 25)),
    "einsum, batch of kernels": (lambda k: layers.EinsumDense("abc,bcd->abd", (6, 90), kernel_initializer=k), (6, 80)),
    "embedding": (lambda k: layers.Embedding(500, 40, embeddings_initializer=k), ()),
}
BY_LAYER_ONLY = ["depthwise", "separable", "transposed", "transposed strided", "einsum, batch of kernels", "embedding"]


def _output_variance(name, initializer, afterwards):
    make, shape = SIGNALS[name]
    rng = np.random.default_rng(0)
    # Per token, one input unit of an embedding is 1 and the others are 0.
    x = rng.integers(500, size=(64,)) if name == "embedding" else rng.standard_normal((64, *shape)).astype("float32")
    layer = make("zeros" if afterwards else initializer)
    layer.build((None, *shape))
    if afterwards:
        initialize(layer, initializer)
    y = numpy(layer(x))
    if name.startswith("transposed"):
        y = y[:, 3:-3, 3:-3]
    [*_, kernel] = [weight for weight in layer.get_weights() if weight.ndim > 1]
    # Six relative standard errors, √(2/n), over the weights of the kernel and over the inputs.
    return y.var(), 6 * np.sqrt(2 / kernel.size) + 6 * np.sqrt(2 / 64 / np.prod(shape or (40,)))


@pytest.mark.parametrize("name", SIGNALS)
def test_initialize_preserves_the_variance_of_the_signal_in_every_layer(name):
    """x ~ N(0, 1), 64 samples; bound: 6 standard errors over the n weights and over the inputs."""
    variance, bound = _output_variance(name, Xavier(seed=1), afterwards=True)
    assert abs(variance - 1) < bound, f"{variance} ± {bound}"
    assert bound < 0.35


@pytest.mark.parametrize("name", [name for name in SIGNALS if name not in BY_LAYER_ONLY])
def test_as_an_argument_of_a_layer_it_preserves_the_variance_where_the_shape_or_keras_gives_the_axes(name):
    variance, bound = _output_variance(name, Xavier(seed=1), afterwards=False)
    assert abs(variance - 1) < bound, f"{variance} ± {bound}"


@pytest.mark.parametrize(("name", "axes"), [("depthwise", (0, 1)), ("transposed", (0, 1, 3))])
def test_with_input_axes_it_preserves_the_variance_as_an_argument_of_a_layer(name, axes):
    variance, bound = _output_variance(name, Xavier(seed=1, input_axes=axes), afterwards=False)
    assert abs(variance - 1) < bound, f"{variance} ± {bound}"


def test_initialize_keeps_given_axes_and_draws_different_numbers_for_every_layer():
    model = keras.Sequential([keras.Input((40,)), layers.Dense(40), layers.Dense(40)])
    initialize(model, Xavier(seed=1, input_axes=()))
    first, second = (numpy(layer.kernel) for layer in model.layers)
    assert_variance(first, 1.0)
    assert (first != second).all()
    initialize(model, Xavier(seed=1, input_axes=()))
    np.testing.assert_array_equal(first, numpy(model.layers[0].kernel))


@pytest.mark.parametrize("name", ["depthwise", "transposed", "transposed strided"])
def test_the_shape_alone_gives_wrong_fans_in_keras_and_here(name):
    """The reason for `initialize`: as arguments of a layer, Keras's LeCun initializer and `Xavier` are both wrong."""
    for initializer in (keras.initializers.LecunNormal(seed=1), Xavier(seed=1)):
        variance, _ = _output_variance(name, initializer, afterwards=False)
        assert variance < 0.5


def test_fan_out_preserves_the_variance_of_the_gradient_through_grouped_and_strided_convolution():
    """The backward pass of a convolution is a transposed convolution: applied to N(0, 1), it has unit variance."""
    layer = layers.Conv2D(48, 4, strides=2, groups=2, use_bias=False)
    layer.build((None, 16, 16, 24))
    initialize(layer, Xavier("fan_out", seed=1))
    kernel = layer.get_weights()[0]
    back = layers.Conv2DTranspose(12, 4, strides=2, use_bias=False)
    back.build((None, 7, 7, 24))
    back.set_weights([kernel[..., :24]])
    gradient = np.random.default_rng(0).standard_normal((64, 7, 7, 24)).astype("float32")
    assert abs(numpy(back(gradient))[:, 3:-3, 3:-3].var() - 1) < 6 * np.sqrt(2 / kernel.size)


def test_attention_passes_the_right_axes_to_the_initializer():
    layer = layers.MultiHeadAttention(8, 32, kernel_initializer=Xavier(seed=keras.random.SeedGenerator(1)))
    layer.build((None, 4, 100), (None, 4, 100))
    kernels = [weight for weight in layer.get_weights() if weight.ndim == 3]
    for kernel, fan in zip(kernels, [100, 100, 100, 256], strict=True):
        assert_variance(kernel, 1 / fan)


def test_ten_layers_of_500_units_behave_as_in_deck_c():
    """N(0, 0.01²) vanishes, N(0, 1) saturates tanh; Xavier suits tanh, Kaiming ReLU (10 × 500 units, 100 samples)."""

    def last(activation, initializer):
        x = np.random.default_rng(0).standard_normal((100, 500)).astype("float32")
        model = keras.Sequential([layers.Dense(500, activation) for _ in range(10)])
        model.build((None, 500))
        initialize(model, initializer)
        return numpy(model(x))

    assert last("tanh", Gaussian(0.01, seed=1)).std() < 1e-6
    assert (np.abs(last("tanh", Gaussian(1.0, seed=1))) > 0.99).mean() > 0.7
    assert 0.15 < last("tanh", Xavier(seed=1)).std() < 0.5
    assert last("relu", Xavier(seed=1)).std() < 0.06
    assert 0.4 < np.square(last("relu", Kaiming(seed=1))).mean() < 2.0


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: Gaussian(-1.0), "std"),
        (lambda: Gaussian(float("nan")), "std"),
        (lambda: Gaussian("wide"), "std"),
        (lambda: Gaussian(mean=float("inf")), "mean"),
        (lambda: Gaussian(seed=1.5), "seed"),
        (lambda: Xavier("fan_on"), "mode"),
        (lambda: Xavier(2.0), "mode"),
        (lambda: Xavier(distribution="truncated_normal"), "distribution"),
        (lambda: Xavier(seed="seven"), "seed"),
        (lambda: Xavier(input_axes=("a",)), "input_axes"),
        (lambda: Xavier(output_axes=2.0), "output_axes"),
        (lambda: Xavier(input_axes=(0, 2))((3, 4)), "input_axes"),
        (lambda: Kaiming(output_axes=(-3,))((3, 4)), "output_axes"),
        (lambda: Kaiming(negative_slope=float("nan")), "negative_slope"),
        (lambda: Kaiming(negative_slope=None), "negative_slope"),
    ],
)
def test_rejects(make, argument):
    with pytest.raises((ValueError, TypeError), match=f"(Gaussian|Xavier|Kaiming): `{argument}` must be .* Received: "):
        make()


@pytest.mark.parametrize("initializer", ["kaiming", Kaiming, keras.initializers.HeNormal])
def test_initialize_rejects_names_and_classes(initializer):
    """`initialize(model, Kaiming)`, without the parentheses, ended in an error about a missing argument `weight`."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(TypeError, match="initialize: `initializer` must be a Keras initializer. Received: "):
        initialize(model, initializer)


class Scaled(keras.initializers.RandomNormal):
    """As users write them: Keras needs `get_config` for saving only."""

    def __init__(self, gain, **options):
        super().__init__(**options)
        self.gain = gain

    def __call__(self, shape, dtype=None):
        return self.gain * super().__call__(shape, dtype)


def test_initialize_keeps_the_arguments_of_an_initializer_without_a_config():
    """It was made again from its config, with a gain of 1, or ended in a raw `TypeError`."""
    net = keras.Sequential([keras.Input((100,)), keras.layers.Dense(100), keras.layers.Dense(100)])
    initializer = Scaled(10.0, stddev=1.0, seed=3)
    initialize(net, initializer)
    first, second = (keras.ops.convert_to_numpy(layer.kernel) for layer in net.layers)
    assert 9.5 < first.std() < 10.5 and np.abs(first - second).max() > 1
    assert initializer.seed == 3


def test_seeds_of_32_bits():
    """PyTorch's streams have 31: `initialize` raised there, and the second piece of `Maxout` on JAX."""
    seed = 2**32 - 1
    first, second = layers.Dense(3), layers.Dense(3)
    for layer in (first, second):
        layer.build((None, 4))
        initialize(layer, Xavier(seed=seed))
    np.testing.assert_array_equal(numpy(first.kernel), numpy(second.kernel))
    pieces = Maxout(3, pieces=2, kernel_initializer=Xavier(seed=seed))
    pieces.build((None, 4))
    assert np.isfinite(numpy(pieces.weights[0])).all()
