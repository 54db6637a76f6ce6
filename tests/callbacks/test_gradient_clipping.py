"""`GradientClipping` against the clipping of PyTorch and optax, and AutoClip's algorithm in NumPy."""

import itertools

import keras
import numpy as np
import optax
import pytest
import torch
from keras import ops
from oracles import callbacks as oracles
from support.harness import BACKEND, numpy
from support.watched_model import INITIAL, X, Y, fit, gradients, model

from keras_lecture import optimizers
from keras_lecture._core.stateful import Stateful
from keras_lecture.callbacks import GradientClipping, GradientMonitor, gradient_clipping
from keras_lecture.callbacks._watch import clipping_rules

GRADIENTS = gradients(INITIAL)
EXACT = {"rtol": 1e-5, "atol": 1e-6}


def received(*callbacks, optimizer=None, **data):
    """The gradients that the optimizer received in one step: the decrease of the weights at a rate of 1."""
    trained = model(optimizer or keras.optimizers.SGD(1.0))
    history = fit(trained, *callbacks, **data)
    return [old - new for old, new in zip(INITIAL, trained.get_weights(), strict=True)], history


def by_torch(clip):
    weights = [torch.nn.Parameter(torch.tensor(w)) for w in INITIAL]
    for w, g in zip(weights, GRADIENTS, strict=True):
        w.grad = torch.tensor(g)
    clip(weights)
    return [w.grad.numpy() for w in weights]


def by_optax(rule):
    clipped, _ = rule.update(GRADIENTS, rule.init(INITIAL), INITIAL)
    return [np.asarray(g) for g in clipped]


def each_norm(weights, limit):
    for w in weights:
        torch.nn.utils.clip_grad_norm_([w], limit)


PEERS = {
    "value": (0.05, lambda c: by_torch(lambda ws: torch.nn.utils.clip_grad_value_(ws, c))),
    "norm": (0.2, lambda c: by_torch(lambda ws: each_norm(ws, c))),
    "global_norm": (0.3, lambda c: by_optax(optax.clip_by_global_norm(c))),
    "unit_norm": (0.1, lambda c: by_optax(optax.adaptive_grad_clip(c))),
}


@pytest.mark.parametrize("rule", PEERS)
def test_each_rule_clips_as_torch_and_optax_do(rule):
    limit, peer = PEERS[rule]
    clipped, history = received(GradientClipping(**{rule: limit}))
    expected = peer(limit)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(expected, GRADIENTS, strict=True)), "nothing was clipped"
    assert any(np.abs(a).max() > 1e-3 for a in expected)
    for ours, theirs in zip(clipped, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, **EXACT)
    np.testing.assert_allclose(history["norm_before_clipping"], [oracles.norm(GRADIENTS)], rtol=1e-6)
    assert history["clipped_share"] == [1.0]


@pytest.mark.parametrize("rule", PEERS)
def test_a_limit_that_no_gradient_reaches_changes_nothing(rule):
    clipped, history = received(GradientClipping(**{rule: 1e6}))
    for ours, g in zip(clipped, GRADIENTS, strict=True):
        np.testing.assert_allclose(ours, g, **EXACT)
    assert history["clipped_share"] == [0.0]


def test_units_are_those_of_the_layer():
    """A filter of a convolution and a row of an embedding; optax uses the same axes for the convolution."""
    inputs, words = keras.Input((4, 3)), keras.Input((2,), dtype="int32")
    mixed = keras.layers.Conv1D(2, 2, use_bias=False, name="conv")(inputs)
    looked_up = keras.layers.Embedding(5, 3, name="words")(words)
    outputs = (
        keras.layers.Dense(1)(keras.layers.Flatten()(mixed)),
        keras.layers.Dense(1)(keras.layers.Flatten()(looked_up)),
    )
    trained = keras.Model([inputs, words], list(outputs))
    trained.compile(keras.optimizers.SGD(1.0), loss=["mse", "mse"])
    before = {v.path: v.numpy() for v in trained.trainable_variables}
    x = [np.random.default_rng(1).normal(size=(8, 4, 3)), np.random.default_rng(2).integers(0, 5, (8, 2))]
    fit(trained, GradientClipping(unit_norm=0.01), x=x, y=[3 * np.ones((8, 1))] * 2)
    for variable, axes in ((trained.get_layer("conv").kernel, (0, 1)), (trained.get_layer("words").embeddings, (1,))):
        w, moved = before[variable.path], before[variable.path] - variable.numpy()
        ratio = np.sqrt((moved**2).sum(axes)) / np.maximum(np.sqrt((w**2).sum(axes)), 1e-3)
        np.testing.assert_allclose(ratio, 0.01, rtol=1e-3)


@pytest.mark.parametrize("window", [1024, 4])
def test_percentile_is_autoclip(window, monkeypatch):
    """The algorithm in NumPy on the logged norms gives the clipped norms that the monitor logs."""
    monkeypatch.setattr(gradient_clipping, "WINDOW", window)
    batches = ((scale * X, scale * Y) for scale in itertools.cycle([1.0, 3.0, 2.0, 0.5, 4.0, 1.0, 2.5, 0.2]))
    callbacks = GradientClipping(percentile=30), GradientMonitor()
    options = {"x": batches, "y": None, "batch_size": None, "steps_per_epoch": 1, "epochs": 8}
    history = fit(model(keras.optimizers.SGD(0.01)), *callbacks, **options)
    expected = oracles.autoclip(history["norm_before_clipping"], 30, window)
    np.testing.assert_allclose(history["gradient_norm"], expected, rtol=1e-5)
    clipped = np.less(expected, np.multiply(history["norm_before_clipping"], 1 - 1e-6))
    assert 0 < clipped.sum() < 8
    np.testing.assert_array_equal(history["clipped_share"], clipped.astype(float))


def test_a_unit_of_small_weights_is_clipped_as_if_their_norm_were_a_thousandth():
    """λ·max(‖w‖, 10⁻³)/‖g‖ in NumPy, for units of four weights: below 10⁻³, 0, and above."""
    g = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    w = np.stack([np.full(4, 4e-4), np.zeros(4), np.full(4, 0.1)], axis=1).astype("float32")
    tensors = [[ops.convert_to_tensor(array)] for array in (g, w)]
    (clipped,), changed = clipping_rules.by_unit_norm(*tensors, [(0,)], 0.01)
    limits = 0.01 * np.maximum(np.linalg.norm(w, axis=0), 1e-3)
    np.testing.assert_allclose(numpy(clipped), g * limits / np.linalg.norm(g, axis=0), rtol=1e-5)
    assert bool(changed)


@pytest.mark.parametrize("q", [0, 10, 37.5, 50, 95, 100])
def test_percentile_is_that_of_numpy(q):
    """Of the first 1 to 7 of 7 numbers; the rest, which are smaller, must not count."""
    values = np.array([5.0, 9.0, 3.0, 8.0, 3.5, 1.0, 0.5], "float32")
    for count in range(1, 8):
        found = clipping_rules.percentile(ops.convert_to_tensor(values), count, q)
        np.testing.assert_allclose(numpy(found), np.percentile(values[:count], q), rtol=1e-6)


def test_a_new_callback_continues_from_the_state_of_the_old():
    trained = model(keras.optimizers.SGD(0.3))
    expected = fit(trained, GradientClipping(percentile=30, on_nonfinite="skip"), epochs=6)
    trained = model(keras.optimizers.SGD(0.3))
    first = GradientClipping(percentile=30, on_nonfinite="skip")
    begun = fit(trained, first, epochs=3)
    state = {name: np.array(value) for name, value in first.state().items()}
    second = GradientClipping(percentile=30, on_nonfinite="skip")
    second.restore(state)
    assert second.state().keys() == state.keys()
    ended = fit(trained, second, epochs=3)
    for name, values in expected.items():
        np.testing.assert_allclose(begun[name] + ended[name], values, rtol=1e-5, err_msg=name)
    assert int(second.state()["seen"]) == 6
    assert isinstance(second, Stateful)


def test_clipping_equals_the_global_clipnorm_of_the_optimizer():
    """The callback before the optimizer, and the optimizer's own `global_clipnorm`."""
    for ours in (optimizers.Adam, optimizers.Momentum):
        outside, inside = model(ours(0.05)), model(ours(0.05, global_clipnorm=0.3))
        fit(outside, GradientClipping(global_norm=0.3), epochs=3)
        fit(inside, epochs=3)
        for a, b in zip(outside.get_weights(), inside.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, **EXACT)


def test_with_accumulation_the_mean_is_clipped():
    """Accumulating two halves of the batch equals the whole batch, before and after clipping."""
    accumulating = keras.optimizers.SGD(1.0, gradient_accumulation_steps=2)
    clipped, history = received(GradientClipping(value=0.05), optimizer=accumulating, batch_size=8)
    for ours, theirs in zip(clipped, PEERS["value"][1](0.05), strict=True):
        np.testing.assert_allclose(ours, theirs, **EXACT)
    np.testing.assert_allclose(history["norm_before_clipping"], [oracles.norm(GRADIENTS)], rtol=1e-6)


def test_scaled_gradients_are_clipped_unscaled():
    scaling = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0))
    clipped, _ = received(GradientClipping(global_norm=0.3), optimizer=scaling)
    for ours, theirs in zip(clipped, PEERS["global_norm"][1](0.3), strict=True):
        np.testing.assert_allclose(ours, theirs, **EXACT)


def spoiled(batch, size=4):
    """The inputs with one batch whose gradient is NaN."""
    x = X.copy()
    x[batch * size, 0] = np.nan
    return x


@pytest.mark.parametrize("accumulation", [None, 2])
def test_skip_equals_training_without_the_batch(accumulation):
    """Weights, slots and iterations agree; with accumulation the next batch takes its place."""
    settings = {"momentum": 0.9, "gradient_accumulation_steps": accumulation}
    skipping, without = (model(keras.optimizers.SGD(0.1, **settings)) for _ in range(2))
    clipping = GradientClipping(global_norm=0.3, on_nonfinite="skip")
    history = fit(skipping, clipping, GradientMonitor(), x=spoiled(1), batch_size=4)
    kept = np.r_[0:4, 8:16]
    fit(without, GradientClipping(global_norm=0.3), x=X[kept], y=Y[kept], batch_size=4)
    for a, b in zip(skipping.optimizer.variables, without.optimizer.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), **EXACT)
    for a, b in zip(skipping.get_weights(), without.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, **EXACT)
    assert history["nonfinite_steps"] == [1.0]
    assert clipping.nonfinite_steps == 1
    assert np.isfinite([history["norm_before_clipping"], history["gradient_norm"]]).all()


def test_zero_keeps_the_finite_elements():
    y = Y.copy()
    y[:, 1] = np.nan
    clipped, history = received(GradientClipping(value=1e6, on_nonfinite="zero"), y=y)
    assert all(np.isfinite(g).all() for g in clipped)
    np.testing.assert_allclose(clipped[2][:, 0], GRADIENTS[2][:, 0], **EXACT)
    np.testing.assert_array_equal(clipped[2][:, 1], 0.0)
    assert history["nonfinite_steps"] == [1.0]


def test_raise_names_the_weights_and_does_not_change_them():
    y = Y.copy()
    y[4:8, 1] = np.nan
    trained, alone = model(keras.optimizers.SGD(0.1)), model(keras.optimizers.SGD(0.1))
    clipping = GradientClipping(global_norm=0.3, on_nonfinite="raise")
    with pytest.raises(FloatingPointError, match=r"top/kernel.* was not finite in batch 1\."):
        fit(trained, clipping, y=y, batch_size=4)
    fit(alone, GradientClipping(global_norm=0.3), x=X[:4], y=Y[:4], batch_size=4)
    for a, b in zip(trained.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, **EXACT)
    assert int(trained.optimizer.iterations.numpy()) == 1


def test_without_on_nonfinite_a_nan_is_logged():
    _, history = received(GradientClipping(global_norm=0.3), x=spoiled(0))
    assert np.isnan(history["norm_before_clipping"][0])
    assert "nonfinite_steps" not in history


@pytest.mark.parametrize("choice", ["raise", "skip", "zero"])
def test_loss_scaling_handles_its_overflows_itself(choice):
    """A step that overflows lowers the scale, whatever `on_nonfinite` says; it is only counted."""
    scaling = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=3e38)
    trained = model(scaling)
    clipping = GradientClipping(global_norm=0.3, on_nonfinite=choice)
    history = fit(trained, clipping, x=np.tile(X, (8, 1)), y=np.tile(4 * Y, (8, 1)))
    assert float(scaling.dynamic_scale.numpy()) < 2e38
    skipped = int(history["nonfinite_steps"][0])
    assert 0 < skipped < 8
    assert int(scaling.iterations.numpy()) == 8 - skipped
    assert np.isfinite(history["norm_before_clipping"]).all()


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [({}, "value"), ({"value": 1.0, "norm": 1.0}, "norm"), ({"percentile": 101}, "percentile"), ({"norm": 0}, "norm")],
)
def test_anything_but_one_rule_within_its_bounds_is_an_error(arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"GradientClipping: `{argument}` must be"):
        GradientClipping(**arguments)


def modes():
    yield {"run_eagerly": True}
    if BACKEND != "torch":
        yield {"jit_compile": True, "steps_per_execution": 2}


@pytest.mark.parametrize("mode", list(modes()), ids=str)
def test_every_execution_mode_clips_and_skips(mode):
    trained = model(keras.optimizers.SGD(0.1), **mode)
    history = fit(trained, GradientClipping(percentile=50, on_nonfinite="skip"), x=spoiled(2), batch_size=4)
    assert history["nonfinite_steps"] == [1.0]
    assert int(trained.optimizer.iterations.numpy()) == 3
    assert all(np.isfinite(w).all() for w in trained.get_weights())
