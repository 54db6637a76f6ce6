"""`signals`: the theory of signal propagation in the data, and the artists by their data."""

import json

import keras
import numpy as np
import pytest
from keras import ops
from support.figure_texts import shown

from keras_lecture import diagnosis, initializers
from keras_lecture.figures import experiments, signals

DYING, SATURATED, XAVIER, XAVIER_RELU, KAIMING, RESCALED = (
    "N(0, 0.01²), tanh",
    "N(0, 1), tanh",
    "Xavier, tanh",
    "Xavier, ReLU",
    "Kaiming, ReLU",
    "N(0, 0.01²), ReLU, rescaled",
)


@pytest.fixture(scope="session")
def data():
    """The experiment of the slides at its full size, run once."""
    return experiments.signals()


def factors(values):
    """The factor from each layer to the next."""
    return np.array(values[1:]) / np.array(values[:-1])


def test_small_weights_lose_a_constant_factor_per_layer_in_both_directions(data):
    """tanh is linear near 0: the factor is σ·√n = 0.01·√500, up to 2 % for one draw of 250,000 weights."""
    np.testing.assert_allclose(factors(data["forward"][DYING])[1:], 0.01 * 500**0.5, rtol=0.02)
    np.testing.assert_allclose(1 / factors(data["backward"][DYING]), 0.01 * 500**0.5, rtol=0.05)
    assert data["forward"][DYING][-1] < 1e-6


def test_large_weights_saturate_tanh_and_let_the_gradient_explode(data):
    """For s ~ N(0, n), tanh′ is below 5 % where |s| > artanh √0.95 = 2.18: 92 % of the values.

    E tanh′(s)² ≈ (4/3)/√(2πn), so that the gradient grows by √(n·E tanh′²) = 3.45 per layer, within 5 %.
    """
    np.testing.assert_allclose(data["saturated"][SATURATED], 0.92, atol=0.01)
    growth = (500 * (4 / 3) / np.sqrt(2 * np.pi * 500)) ** 0.5
    np.testing.assert_allclose(1 / factors(data["backward"][SATURATED]), growth, rtol=0.05)


def test_xavier_holds_for_tanh(data):
    """Every layer keeps values and gradients within a factor of 5 over ten layers, and saturates nowhere."""
    assert min(data["std"][XAVIER]) > 0.2
    assert min(data["backward"][XAVIER]) > 0.2
    assert max(data["saturated"][XAVIER]) < 0.05


def test_xavier_loses_half_of_the_second_moment_per_relu_layer(data):
    """√½ per layer, within 10 % of ten layers: the errors of the draws add up."""
    for direction in ("forward", "backward"):
        ends = data[direction][XAVIER_RELU]
        assert (min(ends) / max(ends)) ** (1 / 9) == pytest.approx(0.5**0.5, rel=0.03)


def test_kaiming_holds_for_relu(data):
    """The second moment stays 1 within 50 %; a layer of 500 units adds some 5 %, and Xavier's halves it."""
    np.testing.assert_allclose(data["forward"][KAIMING], 1.0, rtol=0.5)
    np.testing.assert_allclose(data["backward"][KAIMING], 1.0, rtol=0.5)


def test_rescaling_gives_unit_variance_before_the_activation(data):
    """Half the second moment of N(0, 1) is left after ReLU: RMS √½, within 10 % as ReLU's inputs are not normal."""
    np.testing.assert_allclose(data["forward"][RESCALED], 0.5**0.5, rtol=0.1)


def test_histograms_count_every_value_once(data):
    """tanh has no values outside the range, and less than 1 % of the gradients are below 10⁻⁸."""
    for name in (DYING, SATURATED, XAVIER):
        drawn = data["histograms"][name]
        np.testing.assert_allclose(np.sum(drawn["values"]["shares"], axis=1), 1.0, atol=1e-3)
        np.testing.assert_allclose(np.sum(drawn["gradients"]["shares"], axis=1), 1.0, atol=0.01)
    outer = np.array(data["histograms"][SATURATED]["values"]["shares"])[:, [0, -1]].sum(axis=1)
    assert np.all(outer > 0.9)


@pytest.mark.parametrize(("start", "activation"), [(XAVIER, "tanh"), (KAIMING, "relu")])
def test_the_numbers_are_those_of_diagnosis(start, activation):
    """The same network, built here and measured by `diagnosis.signals`; four digits are kept."""
    data = experiments.signals(seed=3, layers=3, units=40, samples=30)
    generator = np.random.default_rng(3)
    x, gradient = (generator.normal(size=(30, 40)).astype("float32") for _ in range(2))
    model = keras.Sequential([keras.Input((40,)), *(keras.layers.Dense(40, activation) for _ in range(3))])
    initializer = initializers.Xavier if start == XAVIER else initializers.Kaiming
    initializers.initialize(model, initializer(seed=3))
    model.compile("sgd", lambda gradient, outputs: ops.sum(gradient * outputs, axis=-1))
    rows = diagnosis.signals(model, x, gradient).rows
    np.testing.assert_allclose(data["std"][start], [row["std"] for row in rows], rtol=1e-3)
    np.testing.assert_allclose(data["backward"][start], [row["gradient"] for row in rows], rtol=1e-3)
    forward = [np.hypot(row["mean"], row["std"]) for row in rows]
    np.testing.assert_allclose(data["forward"][start], forward, rtol=1e-3)
    if activation == "tanh":
        np.testing.assert_allclose(data["saturated"][start], [row["saturated"] for row in rows], atol=2e-3)


def test_the_page_states_numbers_of_these_data(data):
    found = {what: ours for what, (_, ours) in shown("signals", data).items()}
    assert found["factor per layer, N(0, 0.01²), tanh (theory: 0.224)"] in ("0.223", "0.224", "0.225")
    assert found["share of saturated values, N(0, 1), tanh"] == "92%"
    assert len(json.dumps(data, allow_nan=False)) < 100_000


def test_the_panels_show_the_data(data):
    figure = signals(data)
    heats = [axes for axes in figure.axes if axes.images]
    assert len(heats) == 12
    titles = [axes.get_title(loc="left") for axes in heats if axes.get_title(loc="left")]
    assert titles == list(data["histograms"])
    for name, axes in zip(titles, [axes for axes in heats if axes.get_title(loc="left")], strict=True):
        drawn = data["histograms"][name]["values"]
        np.testing.assert_array_equal(axes.images[0].get_array().data, np.array(drawn["shares"]).T)
        assert axes.images[0].get_extent()[2:] == drawn["range"]
    forward, backward = (axes for axes in figure.axes if axes.get_yscale() == "log" and axes.lines)
    for axes, key in ((forward, "forward"), (backward, "backward")):
        assert {line.get_label(): line.get_ydata().tolist() for line in axes.lines} == data[key]
    assert len({(line.get_linestyle(), line.get_marker()) for line in forward.lines}) == 6


def test_refuses_other_data_and_sizes():
    with pytest.raises(ValueError, match="signals: `data` must be the result of `experiments.signals`"):
        signals({"loss": [1.0]})
    with pytest.raises(ValueError, match="signals: `layers` must be"):
        experiments.signals(layers=0)
