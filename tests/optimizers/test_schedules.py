"""The schedules against their formulas, Keras's schedules and SGDR's own restarts."""

import keras
import numpy as np
import pytest
import torch

from keras_lecture import optimizers
from keras_lecture.optimizers import schedules

STEPS = np.arange(300)


def _curve(schedule, steps=STEPS):
    return keras.ops.convert_to_numpy(schedule(keras.ops.convert_to_tensor(np.asarray(steps, "int32"))))


def test_exponential_multiplies_each_period():
    np.testing.assert_allclose(
        _curve(schedules.Exponential(0.3, factor=0.9, period=7)), 0.3 * 0.9 ** (STEPS // 7), rtol=1e-5
    )


def test_factor_1_is_a_constant_learning_rate():
    np.testing.assert_allclose(_curve(schedules.Exponential(0.3, factor=1)), 0.3, rtol=1e-6)


def test_after_one_period_the_rate_of_inverse_time_is_half_the_first_one():
    np.testing.assert_allclose(_curve(schedules.InverseTime(0.3, period=40)), 0.3 / (1 + STEPS / 40), rtol=1e-6)
    assert float(schedules.InverseTime(0.3, period=40)(40)) == pytest.approx(0.15)


@pytest.mark.parametrize("t_mul", [1, 1.5, 2])
def test_warm_restarts_follow_sgdr_and_restart_at_the_exact_step(t_mul):
    start, length, want = 0, 10, []
    for k in STEPS:
        if k >= start + length:
            start, length = start + length, length * t_mul
        want.append(0.01 + 0.5 * (0.3 - 0.01) * (1 + np.cos(np.pi * (k - start) / length)))
    actual = _curve(schedules.WarmRestarts(0.3, period=10, t_mul=t_mul, minimum=0.01))
    np.testing.assert_allclose(actual, want, rtol=1e-4)


def test_warm_restarts_are_keras_cosine_decay_restarts():
    ours = schedules.WarmRestarts(0.3, period=10, t_mul=2, minimum=0.03)
    theirs = keras.optimizers.schedules.CosineDecayRestarts(0.3, 10, t_mul=2.0, alpha=0.1)
    np.testing.assert_allclose(_curve(ours), _curve(theirs), rtol=1e-4)


def test_no_restart_is_missed_or_early_in_a_million_steps():
    schedule = schedules.WarmRestarts(1.0, period=1000, t_mul=2)
    for i in range(10):
        restart = 1000 * (2**i - 1)
        if restart:
            assert float(schedule(restart - 1)) < 1e-4
        assert float(schedule(restart)) == pytest.approx(1.0)


def _smith(k, low, high, stepsize):
    """Smith, 2017, section 3.2: the code of the paper."""
    cycle = np.floor(1 + k / (2 * stepsize))
    x = np.abs(k / stepsize - 2 * cycle + 1)
    return cycle, low + (high - low) * np.maximum(0, 1 - x), (high - low) * np.maximum(0, 1 - x)


@pytest.mark.parametrize("period", [7, 14.5, 40])
def test_the_cycles_are_those_of_smiths_code(period):
    """Oracle: the paper's code in float64; 1e-5 relative, for float32."""
    cycle, triangular, height = _smith(STEPS, 0.05, 0.3, period / 2)
    wanted = {
        "triangular": triangular,
        "triangular2": 0.05 + height / 2 ** (cycle - 1),
        "exp_range": triangular * 0.8 ** (STEPS / period),
    }
    for policy, want in wanted.items():
        factor = 0.8 if policy == "exp_range" else None
        schedule = schedules.Cyclical(0.3, period=period, minimum=0.05, policy=policy, factor=factor)
        np.testing.assert_allclose(_curve(schedule), want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("policy", ["triangular", "triangular2", "exp_range"])
def test_cyclical_is_pytorchs_cyclic_lr(policy):
    """With a lower bound of 0, where PyTorch's "exp_range" lowers both bounds too."""
    ours = schedules.Cyclical(0.3, period=20, minimum=0, policy=policy, factor=0.8 if policy == "exp_range" else None)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.CyclicLR(
        optimizer, 0.0, 0.3, step_size_up=10, mode=policy, gamma=0.8 ** (1 / 20), cycle_momentum=False
    )
    want = []
    for _ in STEPS:
        want.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    np.testing.assert_allclose(_curve(ours), want, rtol=1e-4, atol=1e-6)


def test_in_the_middle_of_the_first_cycle_the_rate_is_the_upper_bound_and_at_its_ends_the_lower():
    schedule = schedules.Cyclical(0.4, period=10)
    np.testing.assert_allclose(_curve(schedule, [0, 5, 10, 15, 20]), [0.1, 0.4, 0.1, 0.4, 0.1], rtol=1e-6)


def test_the_last_step_of_the_warm_up_already_has_the_schedules_first_rate():
    schedule = schedules.Warmup(schedules.InverseTime(0.3, period=40), length=10)
    want = np.where(STEPS < 10, 0.3 * (STEPS + 1) / 10, 0.3 / (1 + (STEPS - 10) / 40))
    np.testing.assert_allclose(_curve(schedule), want, rtol=1e-5)
    np.testing.assert_allclose(
        _curve(schedules.Warmup(0.3, length=10)), np.minimum(0.3 * (STEPS + 1) / 10, 0.3), rtol=1e-5
    )


ALL = {
    "cyclical": schedules.Cyclical(0.3, period=3, minimum=0.1, policy="triangular2"),
    "cyclical_exp_range": schedules.Cyclical(0.3, period=3, policy="exp_range", factor=0.9),
    "exponential": schedules.Exponential(0.3, factor=0.9, period=2),
    "inverse_time": schedules.InverseTime(0.3, period=2),
    "warm_restarts": schedules.WarmRestarts(0.3, period=2, t_mul=1.5, minimum=0.1),
    "warmup": schedules.Warmup(schedules.WarmRestarts(0.3, period=2), length=3),
    "warmup_of_a_number": schedules.Warmup(0.3, length=3),
}


@pytest.mark.parametrize("name", ["cyclical", "cyclical_exp_range", "exponential", "inverse_time", "warm_restarts"])
def test_per_epoch_counts_epochs(name):
    schedule = ALL[name]
    at_epochs = _curve(schedule.per_epoch(20), range(0, 200, 20))
    np.testing.assert_allclose(at_epochs, _curve(schedule, range(10)), rtol=1e-4)


def test_per_epoch_reaches_the_schedule_inside_a_warm_up():
    inside = schedules.WarmRestarts(0.3, period=2 * 20)
    actual = ALL["warmup"].per_epoch(20)
    np.testing.assert_allclose(_curve(actual), _curve(schedules.Warmup(inside, length=3 * 20)), rtol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_schedules_survive_the_optimizers_config(name):
    optimizer = optimizers.Momentum(ALL[name], momentum=schedules.InverseTime(0.9, period=3))
    again = optimizers.Momentum.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    np.testing.assert_allclose(_curve(again._learning_rate, range(20)), _curve(ALL[name], range(20)))


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: schedules.Cyclical(-1, period=2), "learning_rate"),
        (lambda: schedules.Cyclical(1, period=0), "period"),
        (lambda: schedules.Cyclical(1, period=2, minimum=-1), "minimum"),
        (lambda: schedules.Cyclical(0.1, period=2, minimum=0.2), "minimum"),
        (lambda: schedules.Cyclical(1, period=2, policy="triangle"), "policy"),
        (lambda: schedules.Cyclical(1, period=2, policy="exp_range"), "factor"),
        (lambda: schedules.Cyclical(1, period=2, factor=0.5), "factor"),
        (lambda: schedules.Exponential(-1), "learning_rate"),
        (lambda: schedules.Exponential(1, factor=0), "factor"),
        (lambda: schedules.InverseTime(1, period=0), "period"),
        (lambda: schedules.WarmRestarts(1, period=5, t_mul=0.5), "t_mul"),
        (lambda: schedules.WarmRestarts(1, period=5, minimum=-1), "minimum"),
        (lambda: schedules.WarmRestarts(0.1, period=5, minimum=0.2), "minimum"),
        (lambda: schedules.Warmup("a", length=5), "learning_rate"),
        (lambda: schedules.Warmup(1, length=-5), "length"),
        (lambda: schedules.Exponential(1).per_epoch(0.5), "steps"),
    ],
)
def test_rejects(make, argument):
    with pytest.raises((ValueError, TypeError), match=f"`{argument}`"):
        make()
