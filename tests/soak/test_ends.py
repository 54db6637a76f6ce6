"""A run that is ended 100 times, by SIGKILL and by SIGTERM, at random moments: `make soak`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
ENDS = int(os.environ.get("SOAK_ENDS", "100"))
# Enough that the last end comes before the last batch: a life takes four batches on average.
EPOCHS = max(7, ENDS // 2)


@pytest.mark.parametrize("by", ["KILL", "TERM"])
def test_a_run_that_is_ended_many_times_gives_the_numbers_of_a_whole_one(tmp_path, by):
    """Bit for bit. Every life begins where the latest file ends; SIGTERM loses not even the batch that was running."""
    output = subprocess.run(
        [sys.executable, ROOT / "tests/callbacks/killed_runs.py", tmp_path, str(ENDS), str(EPOCHS), by],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert output.returncode == 0, output.stderr[-3000:]
    *ended, last = json.loads(output.stdout.splitlines()[-1])["ended"]
    torn = sum(not life["intact"][1] for life in ended)
    print(f"{len(ended)} ends by SIG{by}; ModelCheckpoint's file was incomplete {torn} times")
    assert len(ended) == ENDS and {life["status"] for life in ended} == {-9 if by == "KILL" else 143}
    assert last["status"] == 0
    lives = [*ended, last]
    assert all(life["began"] == life["expected"] for life in lives)
    # `AverageModelCheckpoint` is ours and promises it; Keras's `ModelCheckpoint` does not.
    assert all(life["intact"][0] for life in lives)
    for life, following in zip(lives, lives[1:], strict=False):
        epoch, batch = life["last"]
        if by == "TERM":
            assert following["expected"] == ([epoch, batch + 1] if batch < 7 else [epoch + 1, 0])
    whole, resumed = (np.load(tmp_path / f"{name}.npz") for name in ("whole", "ended"))
    assert len(whole.files) == len(resumed.files) > 10
    for name in whole.files:
        np.testing.assert_array_equal(whole[name], resumed[name], err_msg=name)
