"""`TimeStopping` with a clock that the test turns: which batch is the last one, and what a resumed run has left."""

import keras
import numpy as np
import pytest
from support.harness import BACKEND
from support.small_fit import COMPILED, Kill
from support.watched_model import X, Y, fit, model

from keras_lecture.callbacks import ExactResume, TimeStopping, time_stopping


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is turned."""
    now = [100.0]
    monkeypatch.setattr(time_stopping, "monotonic", lambda: now[0])
    return now


class Passing(keras.callbacks.Callback):
    """A batch takes one second, an evaluation ten; records the batches and the evaluations."""

    def __init__(self, clock):
        super().__init__()
        self.clock, self.seen = clock, []

    def on_train_batch_end(self, batch, logs=None):
        self.clock[0] += 1.0
        self.seen.append(batch)

    def on_test_end(self, logs=None):
        self.clock[0] += 10.0
        self.seen.append("test")


def run(clock, seconds, *more, trained=None, **options):
    passing, stopping = Passing(clock), TimeStopping(seconds)
    options = {"epochs": 5, "batch_size": 4} | options
    fit(trained or model(**COMPILED), *more, passing, stopping, **options)
    return passing.seen, stopping


def test_it_stops_after_the_batch_that_exceeds_the_time(clock):
    seen, stopping = run(clock, 5.5)
    assert seen == [0, 1, 2, 3, 0, 1]
    assert stopping.elapsed == 6.0
    clock[0] += 100.0
    assert stopping.elapsed == 6.0


def test_the_time_may_be_used_up_exactly(clock):
    assert run(clock, 6.0)[0] == [0, 1, 2, 3, 0, 1, 2]


def test_validation_counts_and_still_runs_after_the_last_batch(clock):
    assert run(clock, 13.0, validation_data=(X, Y))[0] == [0, 1, 2, 3, "test"]
    assert run(clock, 2.0, validation_data=(X, Y))[0] == [0, 1, 2, "test"]


def test_a_run_that_ends_in_time_is_not_stopped(clock):
    trained = model(**COMPILED)
    assert len(run(clock, 1000.0, trained=trained)[0]) == 20
    assert trained.stop_training is False


def test_a_second_fit_has_all_the_seconds_again(clock):
    stopping, trained, passing = TimeStopping(1.0), model(**COMPILED), Passing(clock)
    for _ in range(2):
        fit(trained, passing, stopping, epochs=2, batch_size=4)
        clock[0] += 1000.0
    assert passing.seen == [0, 1, 0, 1]


def test_after_an_exception_the_next_fit_has_all_the_seconds_too(clock):
    class Fail(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise RuntimeError("broken")

    stopping, trained = TimeStopping(1.5), model(**COMPILED)
    with pytest.raises(RuntimeError, match="broken"):
        fit(trained, stopping, Fail())
    clock[0] += 1000.0
    passing = Passing(clock)
    fit(trained, passing, stopping, epochs=2, batch_size=4)
    assert passing.seen == [0, 1]


def test_a_resumed_run_has_the_rest_of_the_time(clock, tmp_path):
    """Killed after 3 of 4 batches of the second epoch; the last file is from its second one."""

    with pytest.raises(KeyboardInterrupt):
        run(clock, 8.5, Kill(1, 3), ExactResume(tmp_path, every=2))
    clock[0] += 1000.0
    # 6 seconds were used at the file: batches 2 and 3 of the second epoch, and the first of the third.
    seen, stopping = run(clock, 8.5, ExactResume(tmp_path, every=2))
    assert seen == [2, 3, 0]
    assert stopping.elapsed == 9.0
    # The run has stopped itself: it is finished.
    assert run(clock, 8.5, ExactResume(tmp_path, every=2))[0] == []


def test_state_before_the_first_fit(clock):
    one, other = TimeStopping(5.0), TimeStopping(5.0)
    other.restore({"elapsed": np.array(3.0)})
    assert one.elapsed == 0.0 and other.elapsed == 3.0
    one.restore(other.state())
    assert one.elapsed == 3.0


if BACKEND != "torch":  # Keras refuses it there.

    def test_with_several_steps_in_one_execution_the_clock_is_read_at_its_end(clock):
        seen, _ = run(clock, 1.5, trained=model(steps_per_execution=2, **COMPILED))
        assert seen == [1, 3]


def test_the_clock_is_monotonic_and_real():
    import time

    assert time_stopping.monotonic is time.monotonic
    stopping = TimeStopping(0.0)
    fit(model(**COMPILED), stopping, epochs=1000)
    assert 0.0 < stopping.elapsed < 60.0


def test_verbose_says_when_it_stopped(clock, capsys):
    fit(model(**COMPILED), Passing(clock), TimeStopping(5.5, verbose=1), epochs=3, batch_size=4)
    assert "Epoch 2: stopping after 6.0 seconds" in capsys.readouterr().out


def test_a_loop_of_the_users_own_that_only_tells_of_batches(clock, capsys):
    """There the number of the epoch, which `verbose` reports, does not exist, and stopping ended with an error."""
    trained, stopping = model(**COMPILED), TimeStopping(0.5, verbose=1)
    stopping.set_model(trained)
    stopping.on_train_begin()
    clock[0] += 1.0
    stopping.on_train_batch_end(0)
    assert trained.stop_training and "Epoch 1: stopping after 1.0 seconds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [({"seconds": -1}, "seconds"), ({"seconds": "1h"}, "seconds"), ({"seconds": 1, "verbose": 3}, "verbose")],
)
def test_rejects(arguments, argument):
    with pytest.raises((ValueError, TypeError), match=f"TimeStopping: `{argument}`"):
        TimeStopping(**arguments)
