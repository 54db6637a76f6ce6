"""L-BFGS against SciPy's L-BFGS-B and torch.optim.LBFGS on the same functions: same optimum, as few evaluations."""

import keras
import numpy as np
import pytest
import scipy.optimize
from keras import layers, ops
from support.harness import BACKEND, numpy
from support.smooth_problems import Flat, logistic, oscillator, rosenbrock, scipy_lbfgs, torch_lbfgs

from keras_lecture.optimizers import LBFGS
from keras_lecture.optimizers.lbfgs import quasi_newton_direction, with_row

X, Y = np.zeros((1, 1)), np.zeros((1, 1))


def minimized(model, optimizer, steps=1):
    """The last logs of `steps` training steps, with the sum of their evaluations."""
    model.compile(optimizer.bind(model))
    logs = [model.train_on_batch(X, Y, return_dict=True) for _ in range(steps)]
    return {**logs[-1], "evaluations": sum(int(log["evaluations"]) for log in logs)}


def loss_of(model):
    return float(numpy(model.loss_of(ops.convert_to_tensor(model.w))))


# Starts, our iterations, the peers' evaluations, the loss to reach (for the network a loose bound).
PROBLEMS = {
    "rosenbrock 2": (lambda: [rosenbrock(2)], 36, 200, 1e-12),
    "rosenbrock 10": (lambda: [rosenbrock(10)], 80, 200, 1e-9),
    "rosenbrock 100": (lambda: [rosenbrock(100)], 520, 700, 1e-8),
    "breast cancer": (lambda: [logistic()], 40, 100, 0.0681327430),
    "oscillator": (lambda: [oscillator(seed) for seed in range(3)], 100, 250, 1e-3),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_same_optimum_with_no_more_evaluations_than_the_better_peer_plus_a_tenth(float64, problem):
    """Counted until our final loss is reached, and over three starts of the network: a single one is a lottery."""
    starts, iterations, most, bound = PROBLEMS[problem]
    model, ours, peers = None, 0, np.zeros(2)
    for loss, start in starts():
        model = model or Flat(loss, start)
        model.w.assign(start)
        ours += minimized(model, LBFGS(iterations=iterations, tolerance=0.0))["evaluations"]
        reached = loss_of(model)
        assert reached <= bound
        counted = scipy_lbfgs(loss, start, most), torch_lbfgs(loss, start, most)
        peers += [peer.evaluations_until(reached) for peer in counted]
    assert ours <= 1.1 * peers.min(), (ours, peers)


def bfgs_direction(pairs, g):
    """−H∇f with H as a matrix, updated pair by pair."""
    s, y = pairs[-1]
    h = s @ y / (y @ y) * np.eye(len(g))
    for s, y in pairs:
        v = np.eye(len(g)) - np.outer(s, y) / (s @ y)
        h = v @ h @ v.T + np.outer(s, s) / (s @ y)
    return -h @ g


@pytest.mark.parametrize("count", [3, 8])
def test_the_two_loops_multiply_by_the_matrix(float64, count):
    """Against H formed by its recursion: with two of five rows empty, and after the ring buffer has wrapped around."""
    rng = np.random.default_rng(0)
    bowl = np.diag(np.arange(1.0, 7.0))
    pairs, g = [(s, bowl @ s) for s in rng.normal(size=(count, 6))], rng.normal(size=6)
    rows = np.zeros((2, 5, 6))
    for k, pair in enumerate(pairs):
        rows[:, k % 5] = pair
    tensors = [ops.convert_to_tensor(a, dtype="float64") for a in (g, *rows, np.sum(rows[0] * rows[1], axis=1))]
    direction, remembers = quasi_newton_direction(*tensors, ops.convert_to_tensor(count, dtype="int32"))
    np.testing.assert_allclose(numpy(direction), bfgs_direction(pairs[-5:], g), rtol=1e-10)
    assert bool(remembers)


def test_rows_are_written_one_at_a_time(float64):
    rows, vector = np.arange(12.0).reshape(3, 4), np.full(4, -1.0)
    written = with_row(*map(ops.convert_to_tensor, (rows.copy(), np.int32(1), vector)))
    np.testing.assert_array_equal(numpy(written), [rows[0], vector, rows[2]])


def test_a_step_overwrites_only_its_own_variables(float64):
    """On TensorFlow 2.21 a variable shares the memory of the array that is assigned to it."""
    loss, start = rosenbrock(10)
    model = Flat(loss, start)
    minimized(model, LBFGS(iterations=3, tolerance=0.0))
    steps = model.optimizer._slots[0]
    given = np.array(numpy(steps))
    steps.assign(given)
    before = given.copy()
    model.train_on_batch(X, Y)
    np.testing.assert_array_equal(given, before)
    assert (numpy(steps) != before).any()


def test_the_wolfe_conditions_hold_after_a_step(float64):
    """f(w + td) ≤ f(w) + 10⁻⁴·t·∇f(w)ᵀd and |∇f(w + td)ᵀd| ≤ 0.9·|∇f(w)ᵀd|, one iteration after another."""
    loss, start = rosenbrock(10)
    model, w = Flat(loss, start), start
    model.compile(LBFGS(iterations=1).bind(model))
    for _ in range(25):
        t = float(model.train_on_batch(X, Y, return_dict=True)["step_size"])
        after = numpy(model.w)
        d = (after - w) / t
        slopes = [scipy.optimize.rosen_der(point) @ d for point in (w, after)]
        assert scipy.optimize.rosen(after) <= scipy.optimize.rosen(w) + 1e-4 * t * slopes[0]
        assert abs(slopes[1]) <= 0.9 * abs(slopes[0]) * (1 + 1e-9)
        w = after


def test_memory_zero_is_steepest_descent(float64):
    loss, start = rosenbrock(2)
    model = Flat(loss, start)
    logs = minimized(model, LBFGS(memory=0, iterations=1))
    g = scipy.optimize.rosen_der(start)
    np.testing.assert_allclose(numpy(model.w), start - float(logs["step_size"]) * g, rtol=1e-12)


def noisy_network(optimizer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, "relu"), layers.Dropout(0.2, seed=1), layers.Dense(1)])
    model.compile(optimizer.bind(model), "mse")
    return model


RNG = np.random.default_rng(3)
FEATURES = RNG.normal(size=(64, 4)).astype("float32")
TARGETS = (FEATURES[:, :1] * FEATURES[:, 1:2] + 0.3 * RNG.normal(size=(64, 1))).astype("float32")


def test_mini_batches_and_dropout_leave_it_stable_and_it_resumes_bit_for_bit(tmp_path):
    """Both gradients of a pair are from one batch, so that noise is not taken for curvature: the loss falls for good.

    Single epochs may lie above the first, since a step sees only the loss of its own batch.
    """
    model = noisy_network(LBFGS(iterations=2))
    history = model.fit(FEATURES, TARGETS, batch_size=16, epochs=15, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.median(history["loss"][-7:]) < 0.6 * history["loss"][0]
    # Keras 3.15 does not save how often a dropout has drawn: the seeds are copied.
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for ours, theirs in zip(loaded.non_trainable_variables, model.non_trainable_variables, strict=True):
        ours.assign(numpy(theirs))
    loaded.optimizer.bind(loaded)
    runs = [m.fit(FEATURES, TARGETS, batch_size=16, shuffle=False, verbose=0).history for m in (model, loaded)]
    assert runs[0] == runs[1]
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


if BACKEND == "tensorflow":

    def test_xla_compiles_the_two_loops_once_for_any_number_of_pairs():
        """The row of a pair was a constant, so that XLA recompiled, 0.2 s, in every iteration with more pairs."""
        import tensorflow as tf

        compiled = tf.function(quasi_newton_direction, jit_compile=True, autograph=False)
        g, rows, products = tf.ones(8), tf.ones((3, 8)), tf.ones(3)

        def program(count):
            arguments = (g, rows, rows, products, tf.constant(count))
            return compiled.experimental_get_compiler_ir(*arguments)(stage="hlo")

        assert program(1) == program(2)


def test_a_step_avoids_nan_and_a_start_at_nan_does_not_move(float64):
    """√(1 − w) − 3w is NaN beyond w = 1; the second loss is NaN at its start."""
    model = Flat(lambda w: ops.sum((1.0 - w) ** 0.5 - 3.0 * w), np.zeros(1))
    logs = minimized(model, LBFGS(learning_rate=64.0, iterations=1))
    assert 0 < float(numpy(model.w)[0]) < 1 and float(logs["step_size"]) > 0
    hopeless = Flat(lambda w: ops.sum((w - 1.0) ** 0.5), np.zeros(2))
    logs = minimized(hopeless, LBFGS())
    assert (float(logs["step_size"]), logs["evaluations"]) == (0.0, 1)
    assert numpy(hopeless.w).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("argument", "value"),
    [("memory", -1), ("line_search", "none"), ("iterations", 0), ("max_evaluations", 0.5), ("tolerance", -1)],
)
def test_rejects(argument, value):
    with pytest.raises((ValueError, TypeError), match=f"LBFGS: `{argument}` must be .*Received: {argument}="):
        LBFGS(**{argument: value})
