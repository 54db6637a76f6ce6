"""`GradientMonitor` against gradients by the chain rule in NumPy along the same steps."""

import contextlib
import csv

import keras
import numpy as np
import pytest
from oracles import callbacks as oracles
from support.harness import BACKEND
from support.watched_model import INITIAL, LAYERS, X, Y, descent, fit, gradients, model
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from keras_lecture import optimizers
from keras_lecture.callbacks import GradientMonitor

RATE, STEPS = 0.1, 3
EXACT = {"rtol": 1e-6, "atol": 1e-7}
ONE_STEP = list(descent(1, RATE))[0]


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """Three steps, one per epoch, with all measurements, validation and a log file."""
    file = tmp_path_factory.mktemp("logs") / "log.csv"
    monitor = GradientMonitor(per_layer=True, histogram=True)
    trained = model(keras.optimizers.SGD(RATE), metrics=["mae"])
    history = fit(
        trained, monitor, keras.callbacks.CSVLogger(file), epochs=STEPS, validation_data=(X[:8], Y[:8]), batch_size=16
    )
    return monitor, history, list(csv.DictReader(file.open()))


@pytest.mark.parametrize("layer", [None, *LAYERS])
def test_norms_match_the_chain_rule_in_numpy(watched, layer):
    _, history, _ = watched
    part, suffix = (LAYERS[layer], f"/{layer}") if layer else (slice(None), "")
    for epoch, (weights, g, following) in enumerate(descent(STEPS, RATE)):
        moved = [a.astype("float64") - b for a, b in zip(following[part], weights[part], strict=True)]
        weight_norm = oracles.norm(weights[part])
        np.testing.assert_allclose(history["gradient_norm" + suffix][epoch], oracles.norm(g[part]), **EXACT)
        np.testing.assert_allclose(history["weight_norm" + suffix][epoch], weight_norm, **EXACT)
        ratio = oracles.norm(moved) / weight_norm
        np.testing.assert_allclose(history["update_ratio" + suffix][epoch], ratio, rtol=2e-5)


def test_for_plain_gradient_descent_update_ratio_is_the_rate_times_the_gradient_norm_over_the_weight_norm(watched):
    _, history, _ = watched
    expected = RATE * np.divide(history["gradient_norm"], history["weight_norm"])
    np.testing.assert_allclose(history["update_ratio"], expected, rtol=2e-5)


def test_histograms_count_the_magnitudes_of_each_layer(watched):
    monitor, _, _ = watched
    for layer, part in LAYERS.items():
        counts = monitor.histograms[layer]
        expected = [oracles.magnitudes(g[part]) for _, g, _ in descent(STEPS, RATE)]
        np.testing.assert_array_equal(counts, expected)


def test_all_logs_have_the_numbers_and_none_for_validation(watched):
    _, history, rows = watched
    names = {"gradient_norm", "weight_norm", "update_ratio", "gradient_norm/hidden", "update_ratio/top"}
    assert names <= set(history)
    assert not any(name.startswith("val_") for name in history if "norm" in name or "ratio" in name)
    assert {"val_loss", "val_mae"} <= set(history)
    np.testing.assert_allclose([float(row["gradient_norm"]) for row in rows], history["gradient_norm"], rtol=1e-12)


def test_tensorboard_shows_numbers_and_histograms(tmp_path):
    """Read back from its event file; batch values are written every second step, epoch values always."""
    monitor = GradientMonitor(per_layer=True, histogram=True)
    board = keras.callbacks.TensorBoard(tmp_path, update_freq=2, write_graph=False)
    history = fit(model(keras.optimizers.SGD(RATE)), monitor, board, epochs=2, batch_size=8)
    assert len(list((tmp_path / "train").iterdir())) == 1
    events = EventAccumulator(str(tmp_path / "train")).Reload()

    def read(tag):
        return [event.step for event in events.Tensors(tag)], [
            tensor_util.make_ndarray(event.tensor_proto) for event in events.Tensors(tag)
        ]

    for name in ("gradient_norm", "update_ratio/top"):
        steps, values = read(f"epoch_{name}")
        assert steps == [0, 1]
        np.testing.assert_allclose(values, history[name], rtol=1e-6)
    assert read("batch_gradient_norm")[0] == [2, 4]
    for layer in LAYERS:
        steps, values = read(f"gradient_magnitudes/{layer}")
        assert steps == [0, 1]
        for shown, counts in zip(values, monitor.histograms[layer], strict=True):
            (left, right, count), filled = shown.T, np.flatnonzero(counts)
            np.testing.assert_array_equal(right, left + 1)
            np.testing.assert_array_equal(count, counts[filled[0] : filled[-1] + 1])
            # Bin i counts the magnitudes in [2ⁱ⁻⁴¹, 2ⁱ⁻⁴⁰).
            assert left[0] == filled[0] - 41


def modes():
    yield {"run_eagerly": True}
    if BACKEND != "torch":  # Keras refuses several steps in one execution there, and compiles with Inductor's compiler.
        yield {"jit_compile": True, "steps_per_execution": 2}


@pytest.mark.parametrize("mode", list(modes()), ids=str)
def test_every_execution_mode_logs_the_same(mode):
    history = fit(model(keras.optimizers.SGD(0.0), **mode), GradientMonitor(), batch_size=8)
    halves = [oracles.norm(gradients(INITIAL, X[part], Y[part])) for part in (slice(0, 8), slice(8, 16))]
    np.testing.assert_allclose(history["gradient_norm"], [np.mean(halves)], **EXACT)


def test_the_progress_bar_shows_the_numbers(capsys):
    fit(model(), GradientMonitor(), verbose=2)
    assert "gradient_norm: " in capsys.readouterr().out


OPTIMIZERS = {
    "keras Lion": lambda: keras.optimizers.Lion(0.01),
    "keras Adam, loss scale": lambda: keras.optimizers.Adam(0.01, loss_scale_factor=128.0),
    "dynamic loss scale": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)),
    "ours Adam": lambda: optimizers.Adam(0.01, weight_decay=0.1),
    "ours Lookahead": lambda: optimizers.Lookahead(optimizers.Momentum(0.01), period=2),
    "ours Armijo": lambda: optimizers.Armijo(),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_gradient_is_unscaled_with_every_optimizer(name):
    trained, optimizer = model(), OPTIMIZERS[name]()
    bound = optimizer.bind(trained) if hasattr(optimizer, "bind") else optimizer
    trained.compile(bound, "mse")
    history = fit(trained, GradientMonitor())
    moved = [a.astype("float64") - b for a, b in zip(trained.get_weights(), INITIAL, strict=True)]
    np.testing.assert_allclose(history["gradient_norm"], [oracles.norm(ONE_STEP[1])], **EXACT)
    np.testing.assert_allclose(history["update_ratio"], [oracles.norm(moved) / oracles.norm(INITIAL)], rtol=5e-5)


def test_mixed_precision_logs_norms_of_unscaled_gradients():
    keras.config.set_dtype_policy("mixed_float16")
    history = fit(model(keras.optimizers.SGD(RATE)), GradientMonitor())
    np.testing.assert_allclose(history["gradient_norm"], [oracles.norm(ONE_STEP[1])], rtol=1e-2)


def test_steps_skipped_by_loss_scaling_do_not_count():
    """Only the first scales overflow; the weights are fixed, so that all counted steps have the same norm."""
    scaling = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.0), initial_scale=3e38)
    trained = model(scaling)
    history = fit(trained, GradientMonitor(), x=np.tile(X, (8, 1)), y=np.tile(4 * Y, (8, 1)))
    assert float(scaling.dynamic_scale.numpy()) < 2e38
    np.testing.assert_allclose(history["gradient_norm"], [oracles.norm(gradients(INITIAL, X, 4 * Y))], rtol=1e-5)


def test_with_accumulation_the_mean_used_for_the_update_is_logged():
    """Accumulating two halves equals the whole batch; the mean of the epoch counts one update, not two steps."""
    trained = model(keras.optimizers.SGD(RATE, gradient_accumulation_steps=2))
    history = fit(trained, GradientMonitor(), batch_size=8)
    np.testing.assert_allclose(history["gradient_norm"], [oracles.norm(ONE_STEP[1])], **EXACT)
    expected = RATE * oracles.norm(ONE_STEP[1]) / oracles.norm(INITIAL)
    np.testing.assert_allclose(history["update_ratio"], [expected], rtol=2e-5)


@pytest.mark.parametrize("every", [2, 3])
def test_every_k_observes_the_first_step_of_each_epoch_and_every_kth_after_it(every):
    """Two epochs of eight steps with fixed weights, so that the norm of each step is known."""
    history = fit(model(keras.optimizers.SGD(0.0)), GradientMonitor(every=every), batch_size=2, epochs=2)
    norms = [oracles.norm(gradients(INITIAL, X[i : i + 2], Y[i : i + 2])) for i in range(0, len(X), 2)]
    np.testing.assert_allclose(history["gradient_norm"], [np.mean(norms[::every])] * 2, **EXACT)


def test_every_k_compares_the_weights_before_and_after_the_observed_step():
    """One observed step of two: its update is η‖g‖/‖w‖ at the initial weights."""
    moving = fit(model(keras.optimizers.SGD(RATE)), GradientMonitor(every=2), batch_size=8)
    expected = RATE * oracles.norm(gradients(INITIAL, X[:8], Y[:8])) / oracles.norm(INITIAL)
    np.testing.assert_allclose(moving["update_ratio"], [expected], rtol=2e-5)


def test_two_callbacks_that_log_the_same_name_are_an_error():
    """T13: the logs had the numbers of one callback under the shared name."""
    with pytest.raises(ValueError, match="GradientMonitor and GradientMonitor would both log 'gradient_norm'"):
        fit(model(), GradientMonitor(), GradientMonitor(every=2))
    twice = GradientMonitor()
    with pytest.raises(ValueError, match="GradientMonitor: the same callback appears twice"):
        fit(model(), twice, twice)


def test_a_weight_without_a_gradient_is_left_out():
    inputs = keras.Input((5,))
    idle = keras.layers.Dense(1, name="idle")
    hidden = keras.layers.Dense(2, name="used")(inputs)
    functional = keras.Model(inputs, [hidden, idle(inputs)])
    functional.compile("sgd", loss=["mse", None])
    with pytest.warns(UserWarning) if BACKEND != "jax" else contextlib.nullcontext():
        history = fit(functional, GradientMonitor(per_layer=True))
    assert history["gradient_norm/used"][0] == pytest.approx(history["gradient_norm"][0], rel=1e-6)


def test_a_model_built_by_its_first_batch_is_observed():
    trained = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(2)])
    trained.compile("adam", "mse")
    history = fit(trained, GradientMonitor(per_layer=True), epochs=2)
    assert len(history["gradient_norm"]) == 2
    assert 1e-3 < history["update_ratio"][0] < 1e-1
    assert sum(name.startswith("gradient_norm/") for name in history) == 2
